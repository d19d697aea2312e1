//! Integrations: what a route calls, how the request is made, and what becomes of the answer.
//!
//! Source: API Gateway v2 model, `Integration` and `IntegrationResponse`; API Gateway Developer Guide, "Set up a WebSocket API
//! integration request" and "Set up a WebSocket API integration response".

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{FunctionArn, SelectionExpression, limits};

/// What a route calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Its id.
    pub id: String,
    /// What it calls.
    pub target: IntegrationTarget,
    /// How long it may take.
    pub timeout: Duration,
    /// Parameters of the request to the backend. Proxy integrations of functions have none.
    pub parameters: Vec<Mapping>,
    /// Templates of the request's body. Proxy integrations have none.
    pub templates: RequestTemplates,
    /// What becomes of the answer. Proxy integrations have none.
    pub responses: Vec<IntegrationResponse>,
    /// How the request's body is converted.
    pub content_handling: Option<ContentHandling>,
}

/// How a payload is converted on its way. Without it, it passes as it is.
///
/// Source: API Gateway v2 model, `ContentHandlingStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentHandling {
    /// `CONVERT_TO_BINARY`: text in base64 becomes the bytes that it stands for.
    ToBinary,
    /// `CONVERT_TO_TEXT`: bytes become text in base64.
    ToText,
}

/// A text that is no way to convert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not CONVERT_TO_BINARY or CONVERT_TO_TEXT")]
pub struct InvalidContentHandling(pub String);

impl ContentHandling {
    /// Reads `ContentHandlingStrategy`.
    pub fn parse(text: &str) -> Result<Self, InvalidContentHandling> {
        match text {
            "CONVERT_TO_BINARY" => Ok(Self::ToBinary),
            "CONVERT_TO_TEXT" => Ok(Self::ToText),
            _ => Err(InvalidContentHandling(text.to_owned())),
        }
    }
}

/// What an integration calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntegrationTarget {
    /// `AWS_PROXY`: a function, by the Lambda proxy event.
    Function {
        /// Which function.
        function: FunctionArn,
        /// The alias or version in the URI.
        qualifier: Option<String>,
    },
    /// `AWS_PROXY` whose URI has variables of the stage.
    FunctionUri(String),
    /// `HTTP` and `HTTP_PROXY`.
    Http {
        /// The address; it may have variables of the stage.
        uri: String,
        /// The method.
        method: String,
        /// Whether body and answer pass unchanged.
        proxy: bool,
    },
    /// `AWS`: an action of a service, or a function with a body of the template's making.
    Service {
        /// The URI: `arn:…:apigateway:{region}:{service}:action/{name}` or `…:path/{path}`.
        uri: String,
        /// The method.
        method: String,
    },
    /// `MOCK`: answers with the status that its template renders.
    Mock,
    /// Nothing that runs here: every call fails, with this reason in the log.
    Unsupported(String),
}

/// The templates of a request's body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestTemplates {
    /// Templates by their keys.
    pub by_key: BTreeMap<String, String>,
    /// Finds the key.
    pub selection: Option<SelectionExpression>,
    /// What happens when there is no template.
    pub passthrough: Passthrough,
}

/// What happens to a message without a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passthrough {
    /// It passes.
    #[default]
    WhenNoMatch,
    /// It passes where there are no templates at all.
    WhenNoTemplates,
    /// It is refused with 415.
    Never,
}

impl RequestTemplates {
    /// The template for a key that was selected, or for none.
    ///
    /// # Errors
    /// When there is none and the message may not pass without.
    pub fn find(&self, key: Option<&str>) -> Result<Option<&str>, NoTemplate> {
        // Source: API Gateway Developer Guide: templates keyed `application/json` are used in its own examples that have
        // no selection expression.
        let keys = key.into_iter().chain(["$default", "application/json"]);
        match keys.into_iter().find_map(|key| self.by_key.get(key)) {
            Some(template) => Ok(Some(template)),
            None => match self.passthrough {
                Passthrough::WhenNoMatch => Ok(None),
                Passthrough::WhenNoTemplates if self.by_key.is_empty() => Ok(None),
                Passthrough::WhenNoTemplates | Passthrough::Never => Err(NoTemplate),
            },
        }
    }
}

/// There is no template, and the message may not pass without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTemplate;

/// What becomes of a backend's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationResponse {
    /// Which answers it is for.
    pub key: ResponseKey,
    /// Templates of the message, by their keys.
    pub templates: BTreeMap<String, String>,
    /// Finds the key.
    pub selection: Option<SelectionExpression>,
    /// How the answer's body is converted.
    pub content_handling: Option<ContentHandling>,
}

/// Which answers an integration response is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseKey {
    /// `$default`: those that no other takes.
    Default,
    /// Those whose status, or error, is exactly this.
    Exactly(String),
    /// `/…/`: those whose status, or error, matches this regular expression.
    Matching(String),
}

/// A text that is no key of an integration response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a key of an integration response: $default, a text, or /a regular expression/"
)]
pub struct InvalidResponseKey(pub String);

impl ResponseKey {
    /// Reads `IntegrationResponseKey`.
    pub fn parse(text: &str) -> Result<Self, InvalidResponseKey> {
        match text {
            "" | "/" => Err(InvalidResponseKey(text.to_owned())),
            "$default" => Ok(Self::Default),
            _ => Ok(match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
                Some(pattern) => Self::Matching(pattern.to_owned()),
                None => Self::Exactly(text.to_owned()),
            }),
        }
    }
}

/// One parameter of a request to a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Where it goes.
    pub target: MappingTarget,
    /// What it is.
    pub source: MappingSource,
}

/// Where a parameter goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingTarget {
    /// A header.
    Header(String),
    /// A parameter of the query string.
    QueryString(String),
    /// A part of the path, `{NAME}` in the URI.
    Path(String),
}

/// What a parameter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingSource {
    /// `'…'`.
    Literal(String),
    /// `route.request.header.NAME`, on `$connect`.
    Header(String),
    /// `route.request.querystring.NAME`, on `$connect`.
    QueryString(String),
    /// `route.request.body` and a path into it.
    Body(SelectionExpression),
    /// `context.NAME`.
    Context(String),
    /// `stageVariables.NAME`.
    StageVariable(String),
}

/// A mapping that the service would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidMapping {
    /// What was written.
    pub text: String,
    /// What is taken.
    pub expected: &'static str,
}

impl Mapping {
    /// Reads one entry of `RequestParameters`.
    pub fn parse(target: &str, source: &str) -> Result<Self, InvalidMapping> {
        Ok(Self { target: MappingTarget::parse(target)?, source: MappingSource::parse(source)? })
    }
}

impl MappingTarget {
    fn parse(text: &str) -> Result<Self, InvalidMapping> {
        let kinds: [Kind<Self>; 3] = [
            ("integration.request.header.", Self::Header),
            ("integration.request.querystring.", Self::QueryString),
            ("integration.request.path.", Self::Path),
        ];
        named(text, kinds).ok_or_else(|| InvalidMapping {
            text: text.to_owned(),
            expected: "integration.request.header.NAME, …querystring.NAME or …path.NAME",
        })
    }
}

impl MappingSource {
    /// Reads a source.
    ///
    /// # Errors
    /// When it has none of the documented forms.
    pub fn parse(text: &str) -> Result<Self, InvalidMapping> {
        if let Some(literal) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            return Ok(Self::Literal(literal.to_owned()));
        }
        let invalid = || InvalidMapping {
            text: text.to_owned(),
            expected: "'text', route.request.header.NAME, …querystring.NAME, …body.PATH, context.NAME or \
                stageVariables.NAME",
        };
        if let Some(path) = text.strip_prefix("route.request.body")
            && (path.is_empty() || path.starts_with(['.', '[']))
        {
            let expression = SelectionExpression::parse(&format!("$request.body{path}"));
            return expression.map(Self::Body).map_err(|_| invalid());
        }
        let kinds: [Kind<Self>; 6] = [
            ("route.request.header.", Self::Header),
            ("route.request.multivalueheader.", Self::Header),
            ("route.request.querystring.", Self::QueryString),
            ("route.request.multivaluequerystring.", Self::QueryString),
            ("context.", Self::Context),
            ("stageVariables.", Self::StageVariable),
        ];
        named(text, kinds).ok_or_else(invalid)
    }
}

/// A prefix, and what a name behind it is.
type Kind<T> = (&'static str, fn(String) -> T);

/// Reads a prefix and a name.
///
/// Source: API Gateway Developer Guide, "Data mapping": names match `^[a-zA-Z0-9._$-]+$`.
fn named<T>(text: &str, kinds: impl IntoIterator<Item = Kind<T>>) -> Option<T> {
    let is_name = |name: &&str| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._$-".contains(letter);
        !name.is_empty() && name.chars().all(allowed)
    };
    kinds.into_iter().find_map(|(prefix, kind)| {
        text.strip_prefix(prefix).filter(is_name).map(|name| kind(name.to_owned()))
    })
}

impl Integration {
    /// An integration of a function, by the Lambda proxy event.
    pub fn of_function(id: &str, function: FunctionArn) -> Self {
        Self {
            id: id.to_owned(),
            target: IntegrationTarget::Function { function, qualifier: None },
            timeout: limits::INTEGRATION_TIMEOUT_MAX,
            parameters: Vec::new(),
            templates: RequestTemplates::default(),
            responses: Vec::new(),
            content_handling: None,
        }
    }
}

/// The function that a URI calls, and the alias or version it names.
///
/// Source: API Gateway v2, `IntegrationUri`: `arn:…:lambda:path/2015-03-31/functions/{function}/invocations`; a
/// bare function ARN is accepted too.
pub fn function_of_uri(uri: &str) -> Option<(FunctionArn, Option<String>)> {
    let arn = match uri.split_once(":lambda:path/") {
        Some((_, path)) => path.split_once("/functions/")?.1.strip_suffix("/invocations")?,
        None => uri,
    };
    if arn.contains("${") {
        return None;
    }
    FunctionArn::parse(arn).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_functions_uri_names_the_function() {
        let arn = "arn:aws:lambda:us-east-1:999999999999:function:chat";
        let path = |arn: &str| {
            format!(
                "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
            )
        };
        for (uri, qualifier) in [
            (path(arn), None),
            (path(&format!("{arn}:live")), Some("live")),
            (path(&format!("{arn}:7")), Some("7")),
            (arn.to_owned(), None),
            (format!("{arn}:live"), Some("live")),
        ] {
            let (function, found) = function_of_uri(&uri).unwrap();
            assert_eq!((function.as_str(), found.as_deref()), (arn, qualifier), "{uri}");
        }
        for uri in [
            "",
            "https://example.com/",
            "arn:aws:apigateway:us-east-1:sqs:path/1/queue",
            &path(&format!("{arn}:${{stageVariables.alias}}")),
        ] {
            assert!(function_of_uri(uri).is_none(), "{uri}");
        }
    }

    #[test]
    fn mappings_have_the_documented_forms() {
        use {MappingSource as S, MappingTarget as T};
        let header = "integration.request.header.x-id";
        for (source, expected) in [
            ("context.connectionId", S::Context("connectionId".into())),
            ("'fixed text'", S::Literal("fixed text".into())),
            ("stageVariables.key", S::StageVariable("key".into())),
            ("route.request.querystring.token", S::QueryString("token".into())),
            ("route.request.multivalueheader.X", S::Header("X".into())),
        ] {
            let mapping = Mapping::parse(header, source).unwrap();
            assert_eq!(mapping, Mapping { target: T::Header("x-id".into()), source: expected });
        }
        assert!(matches!(
            Mapping::parse(header, "route.request.body.a[0].b").unwrap().source,
            S::Body(_)
        ));
        for (target, source) in [
            (header, "method.request.header.x"),
            (header, "context."),
            (header, "route.request.header.a b"),
            ("integration.request.body", "'x'"),
            ("integration.response.header.x", "'x'"),
        ] {
            assert!(Mapping::parse(target, source).is_err(), "{target} = {source}");
        }
    }

    #[test]
    fn a_template_is_found_by_key_then_default_then_json() {
        let mut templates = RequestTemplates::default();
        assert_eq!(templates.find(Some("a")), Ok(None));
        templates.by_key.insert("application/json".into(), "json".into());
        assert_eq!(templates.find(None), Ok(Some("json")));
        templates.by_key.insert("$default".into(), "default".into());
        templates.by_key.insert("a".into(), "own".into());
        assert_eq!(templates.find(Some("a")), Ok(Some("own")));
        assert_eq!(templates.find(Some("b")), Ok(Some("default")));
    }

    #[test]
    fn without_a_template_the_passthrough_decides() {
        let other = BTreeMap::from([("other".to_owned(), String::new())]);
        for (passthrough, empty, some) in [
            (Passthrough::WhenNoMatch, Ok(None), Ok(None)),
            (Passthrough::WhenNoTemplates, Ok(None), Err(NoTemplate)),
            (Passthrough::Never, Err(NoTemplate), Err(NoTemplate)),
        ] {
            let mut templates = RequestTemplates { passthrough, ..RequestTemplates::default() };
            assert_eq!(templates.find(None), empty);
            templates.by_key.clone_from(&other);
            assert_eq!(templates.find(None), some);
        }
    }
}
