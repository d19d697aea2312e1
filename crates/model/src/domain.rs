//! Custom domains: names of an app's own that lead to stages of APIs.
//!
//! Source: API Gateway Developer Guide, "Custom domain names for WebSocket APIs".

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::ids::InvalidId;
use crate::{ApiId, DomainDefinition, MappingDefinition, StageName, limits};

/// A custom domain with its mappings. It never changes: a new mapping makes a new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// The stack it belongs to.
    pub stack: Arc<str>,
    /// Its logical id in the template; that of its first mapping where it is declared elsewhere.
    pub logical_id: Arc<str>,
    /// What it leads to, by the first segment of the path.
    pub mappings: BTreeMap<ApiMappingKey, ApiMapping>,
}

impl Domain {
    /// Reads a domain that no template declares.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(definition: &DomainDefinition) -> Result<Self, InvalidId> {
        let mapping = |written: &MappingDefinition| {
            let MappingDefinition { id, key, api, stage } = written;
            let (api, stage) = (api.clone(), stage.clone());
            Ok((ApiMappingKey::parse(key)?, ApiMapping { id: id.as_str().into(), api, stage }))
        };
        Ok(Self {
            name: DomainName::parse(&definition.name)?,
            stack: "".into(),
            logical_id: "".into(),
            mappings: definition.mappings.iter().map(mapping).collect::<Result<_, _>>()?,
        })
    }

    /// The domain as it is written.
    pub fn definition(&self) -> DomainDefinition {
        let mapping = |(key, mapping): (&ApiMappingKey, &ApiMapping)| MappingDefinition {
            id: mapping.id.to_string(),
            key: key.to_string(),
            api: mapping.api.clone(),
            stage: mapping.stage.clone(),
        };
        let mappings = self.mappings.iter().map(mapping).collect();
        DomainDefinition { name: self.name.to_string(), mappings }
    }
}

/// The stage that a mapping leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiMapping {
    /// Its id.
    pub id: Arc<str>,
    /// The API.
    pub api: ApiId,
    /// Its stage.
    pub stage: StageName,
}

/// The name of a custom domain: `ws.example.com`, or `*.example.com` for every name with one label more.
///
/// Names compare without case; this one is in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Arc<str>);

/// The longest name of a host, and its longest label. Source: RFC 1035, section 2.3.4.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

impl DomainName {
    /// Accepts names of at least two labels, of which the first may be `*`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let is_label = |label: &str| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let rest = text.strip_prefix("*.").unwrap_or(text);
        let labels = rest.split('.').count();
        let is_name = text.len() <= NAME_BYTES_MAX
            && labels >= 2
            && rest.split('.').all(is_label)
            && !rest.ends_with(|last: char| last.is_ascii_digit()); // an address is no name
        let expected = "the name of a domain (ws.example.com, *.example.com)";
        is_name
            .then(|| Self(text.to_ascii_lowercase().into()))
            .ok_or_else(|| InvalidId::new(text, expected))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for many names.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The wildcard that a name in lower case falls under: `*.example.com` for `ws.example.com`.
    pub fn wildcard_of(name: &str) -> Option<String> {
        name.split_once('.').map(|(_, rest)| format!("*.{rest}"))
    }
}

/// What stands in the path of a custom domain, where an API's own address has the stage; it may be empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiMappingKey(Arc<str>);

impl ApiMappingKey {
    /// Accepts at most 300 of letters, digits and `$-_.+!*'()`; keys of several segments are not for WebSocket APIs.
    ///
    /// Source: API Gateway v2 model, `ApiMappingKey`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let is_key = text.len() <= limits::API_MAPPING_KEY_CHARS_MAX
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"$-_.+!*'()".contains(&byte));
        let expected = "an API mapping key (letters, digits and $-_.+!*'(), at most 300)";
        is_key.then(|| Self(text.into())).ok_or_else(|| InvalidId::new(text, expected))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_of {
    ($($kind:ident),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
        impl fmt::Debug for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($kind), self.0)
            }
        }
        /// It is found by its text.
        impl Borrow<str> for $kind {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}
text_of!(DomainName, ApiMappingKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_a_name_of_its_own_or_stands_for_many() {
        let name = DomainName::parse("WS.Example.com").unwrap();
        assert_eq!((name.as_str(), name.is_wildcard()), ("ws.example.com", false));
        let wildcard = DomainName::parse("*.example.com").unwrap();
        assert!(wildcard.is_wildcard());
        assert_eq!(DomainName::wildcard_of("ws.example.com").as_deref(), Some("*.example.com"));
        assert_eq!(DomainName::wildcard_of("localhost"), None);
        let long = format!("{}.example.com", "a".repeat(64));
        for text in [
            "",
            "localhost",
            "*",
            "*.com",
            "a..b",
            "a.*.com",
            "ws.example.com:1",
            "127.0.0.1",
            "-a.b",
            &long,
        ] {
            assert!(DomainName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mapping = MappingDefinition {
            id: "abc123".to_owned(),
            key: "v1".to_owned(),
            api: ApiId::parse("a1b2c3d4e5").unwrap(),
            stage: StageName::parse("dev").unwrap(),
        };
        let name = "*.example.com".to_owned();
        let mut definition = DomainDefinition { name, mappings: vec![mapping] };
        assert_eq!(Domain::read(&definition).unwrap().definition(), definition);
        definition.mappings[0].key = "a/b".to_owned();
        assert!(Domain::read(&definition).is_err());
        definition.name = "localhost".to_owned();
        assert!(Domain::read(&definition).is_err());
    }

    #[test]
    fn a_mapping_key_is_one_segment_or_none() {
        for text in ["", "v1", "chat-$dev_1.0+!*'()"] {
            assert_eq!(ApiMappingKey::parse(text).unwrap().as_str(), text);
        }
        for text in ["a/b", "a b", "ä", &"a".repeat(301)] {
            assert!(ApiMappingKey::parse(text).is_err(), "{text}");
        }
    }
}
