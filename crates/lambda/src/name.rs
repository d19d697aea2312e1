//! The names of functions as callers write them.
//!
//! Source: service model `lambda`, `NamespacedFunctionName`: a name, a partial or a whole ARN, each with a version or
//! alias after it.

use stillwire_model::FunctionArn;

use crate::error::{Answered, Refused};

/// Source: as above (140 characters; 256 where a qualifier may follow).
const NAME_BYTES_MAX: usize = 256;

/// What a caller has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The account and region, where they were given.
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    /// The name itself.
    pub(crate) name: String,
    /// The version or alias.
    pub(crate) qualifier: Option<String>,
}

impl Named {
    /// Reads a name and the `Qualifier` beside it.
    pub(crate) fn parse(text: &str, qualifier: Option<&str>) -> Answered<Self> {
        let invalid = || {
            let constraint = "Member must satisfy regular expression pattern: \
                (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?\
                ([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";
            Refused::invalid_member(text, "functionName", constraint)
        };
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(invalid());
        }
        let fields: Vec<&str> = text.split(':').collect();
        let own = |region: Option<&str>, account: Option<&str>, rest: &[&str]| {
            let (name, own) = match rest {
                [name] => (*name, None),
                [name, qualifier] => (*name, Some(*qualifier)),
                _ => return None,
            };
            let fits = is_word(name) && own.is_none_or(is_qualifier);
            fits.then(|| Self {
                account: account.map(str::to_owned),
                region: region.map(str::to_owned),
                name: name.to_owned(),
                qualifier: own.map(str::to_owned),
            })
        };
        let named = match fields.as_slice() {
            ["arn", _, "lambda", region, account, "function", rest @ ..] => {
                own(Some(region), Some(account), rest)
            }
            [account, "function", rest @ ..] if is_account(account) => {
                own(None, Some(account), rest)
            }
            ["function", rest @ ..] if !rest.is_empty() => own(None, None, rest),
            rest => own(None, None, rest),
        };
        let mut named = named.ok_or_else(invalid)?;
        if let Some(qualifier) = qualifier.filter(|qualifier| !qualifier.is_empty()) {
            if !is_qualifier(qualifier) {
                let constraint =
                    "Member must satisfy regular expression pattern: \\$LATEST|[a-zA-Z0-9-_]+";
                return Err(Refused::invalid_member(qualifier, "qualifier", constraint));
            }
            if named.qualifier.as_deref().is_some_and(|own| own != qualifier) {
                return Err(Refused::invalid(
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            named.qualifier = Some(qualifier.to_owned());
        }
        Ok(named)
    }

    /// Whether this means the function of this ARN.
    pub(crate) fn is(&self, arn: &FunctionArn) -> bool {
        self.name == arn.name()
            && self.account.as_deref().is_none_or(|account| account == arn.account())
            && self.region.as_deref().is_none_or(|region| region == arn.region())
    }

    /// The ARN that is meant, for a function that is nowhere.
    pub(crate) fn arn(&self, region: &str, account: &str) -> String {
        let region = self.region.as_deref().unwrap_or(region);
        let account = self.account.as_deref().unwrap_or(account);
        let arn = FunctionArn::new("aws", region, account, &self.name);
        qualified(arn.as_str(), self.qualifier.as_deref())
    }
}

/// An ARN with a version or alias.
pub(crate) fn qualified(arn: &str, qualifier: Option<&str>) -> String {
    qualifier.map_or_else(|| arn.to_owned(), |qualifier| format!("{arn}:{qualifier}"))
}

/// Whether this may name a function.
pub(crate) fn is_word(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(byte)
}

fn is_qualifier(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text == stillwire_model::LATEST || (1..=128).contains(&text.len()) && text.bytes().all(byte)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_name_means_the_same_function() {
        let arn = FunctionArn::new("aws", "us-east-1", "123456789012", "chat");
        for text in [
            "chat",
            "function:chat",
            "123456789012:function:chat",
            "arn:aws:lambda:us-east-1:123456789012:function:chat",
        ] {
            let named = Named::parse(text, None).unwrap();
            assert!(named.is(&arn) && named.qualifier.is_none(), "{text}");
            let named = Named::parse(&format!("{text}:live"), Some("live")).unwrap();
            assert!(named.is(&arn) && named.qualifier.as_deref() == Some("live"), "{text}");
        }
        for text in [
            "chaT",
            "000000000000:function:chat",
            "arn:aws:lambda:eu-west-1:123456789012:function:chat",
        ] {
            assert!(!Named::parse(text, None).unwrap().is(&arn), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_and_so_are_two_qualifiers() {
        for text in
            ["", "a b", "a:b:c", "arn:aws:s3:::bucket", "../x", "1:function:chat", &"a".repeat(300)]
        {
            assert!(Named::parse(text, None).is_err(), "{text}");
        }
        assert!(Named::parse("chat:live", Some("test")).is_err());
        assert!(Named::parse("chat", Some("a b")).is_err());
        assert_eq!(Named::parse("chat", Some("")).unwrap().qualifier, None);
    }
}
