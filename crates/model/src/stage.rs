//! Stages: variables, throttling, access logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{RouteKey, StageName};

/// A named, addressable deployment of an API.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name, the first segment of its path.
    pub name: StageName,
    /// Its variables; events carry them.
    pub variables: BTreeMap<String, String>,
    /// What holds for routes that say nothing else.
    pub default_settings: RouteSettings,
    /// What holds for single routes.
    pub route_settings: BTreeMap<RouteKey, RouteSettings>,
    /// What is written about each request, and where.
    pub access_log: Option<AccessLog>,
}

/// How a stage serves a route.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RouteSettings {
    /// How many requests may pass; `None` for as many as come.
    ///
    /// Choice: without a word of the template nothing is throttled, where the service has quotas of the account.
    pub throttle: Option<Throttle>,
    /// Whether the route has metrics of its own, beside its stage's.
    pub detailed_metrics: bool,
}

/// A token bucket.
///
/// Source: API Gateway Developer Guide, "Throttle requests to your WebSocket APIs": a rate, and a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests in a second, in the long run.
    pub rate: f64,
    /// Requests at once.
    pub burst: u32,
}

/// An access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// The name of the log group or delivery stream.
    pub destination: Arc<str>,
    /// What is written.
    pub format: LogFormat,
}

/// The format of an access log: one line with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat(Vec<LogPiece>);

/// One piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPiece {
    /// Text that stands for itself.
    Text(String),
    /// A variable, by its name without `$context.`.
    Variable(String),
}

/// A format that the service would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogFormat {
    /// Source: observed message of the service.
    #[error("The following context variables are not supported: [{}]", .0.join(", "))]
    UnknownVariables(Vec<String>),
    /// Source: API Gateway Developer Guide, "Set up a WebSocket API logging format".
    #[error("the format must contain $context.requestId or $context.extendedRequestId")]
    NoRequestId,
    /// Source: API Gateway quotas, "Access log template size" (3 KB).
    #[error("the format is longer than 3 KB")]
    TooLong,
}

/// The longest format, in bytes. Source: API Gateway quotas, "Access log template size".
const FORMAT_BYTES_MAX: usize = 3 * 1024;

/// The variables of a format; members of `authorizer` beyond these are the authorizer's own.
///
/// Source: API Gateway Developer Guide, "Monitor WebSocket API execution with `CloudWatch` metrics", `$context`
/// variables of access logs.
const VARIABLES: [&str; 62] = [
    "apiId",
    "authenticate.error",
    "authenticate.latency",
    "authenticate.status",
    "authorize.error",
    "authorize.latency",
    "authorize.status",
    "awsEndpointRequestId",
    "connectedAt",
    "connectionId",
    "domainName",
    "error.message",
    "error.messageString",
    "error.responseType",
    "error.validationErrorString",
    "eventType",
    "extendedRequestId",
    "identity.accountId",
    "identity.apiKey",
    "identity.apiKeyId",
    "identity.caller",
    "identity.cognitoAuthenticationProvider",
    "identity.cognitoAuthenticationType",
    "identity.cognitoIdentityId",
    "identity.cognitoIdentityPoolId",
    "identity.principalOrgId",
    "identity.sourceIp",
    "identity.user",
    "identity.userAgent",
    "identity.userArn",
    "integration.error",
    "integration.integrationStatus",
    "integration.latency",
    "integration.requestId",
    "integration.status",
    "integrationErrorMessage",
    "integrationLatency",
    "integrationStatus",
    "messageId",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "routeKey",
    "stage",
    "status",
    "waf.error",
    "waf.latency",
    "waf.status",
    "wafResponseCode",
    "webaclArn",
    // In formats of the console that are made for REST APIs; they print `-`.
    "httpMethod",
    "path",
    "protocol",
    "resourceId",
    "resourcePath",
    "responseLength",
    "responseLatency",
    "accountId",
    "domainPrefix",
    "dataProcessed",
    "customDomain.basePathMatched",
    "xrayTraceId",
];

impl Stage {
    /// A stage that says nothing but its name.
    pub fn new(name: StageName) -> Self {
        Self {
            name,
            variables: BTreeMap::new(),
            default_settings: RouteSettings::default(),
            route_settings: BTreeMap::new(),
            access_log: None,
        }
    }

    /// How it serves a route.
    pub fn settings(&self, route: &RouteKey) -> RouteSettings {
        self.route_settings.get(route).copied().unwrap_or(self.default_settings)
    }
}

impl LogFormat {
    /// Reads a format.
    ///
    /// # Errors
    /// When it has a variable that does not exist, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidLogFormat> {
        if text.len() > FORMAT_BYTES_MAX {
            return Err(InvalidLogFormat::TooLong);
        }
        let mut pieces = Vec::new();
        let mut unknown = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("$context.") {
            if !before.is_empty() {
                pieces.push(LogPiece::Text(before.to_owned()));
            }
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            let end = after.find(|letter| !is_name(letter)).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            // A full stop at the end belongs to the sentence.
            let name = name.trim_end_matches('.');
            rest = after.get(name.len()..).unwrap_or(tail);
            let is_known = VARIABLES.contains(&name)
                || name.strip_prefix("authorizer.").is_some_and(|property| !property.is_empty());
            if !is_known {
                unknown.push(format!("$context.{name}"));
            }
            pieces.push(LogPiece::Variable(name.to_owned()));
        }
        if !rest.is_empty() {
            pieces.push(LogPiece::Text(rest.to_owned()));
        }
        if !unknown.is_empty() {
            return Err(InvalidLogFormat::UnknownVariables(unknown));
        }
        Ok(Self(pieces))
    }

    /// Checks that its lines say which request they are about.
    ///
    /// # Errors
    /// When they don't.
    pub fn check_request_id(&self) -> Result<(), InvalidLogFormat> {
        let identifies = |piece: &LogPiece| match piece {
            LogPiece::Variable(name) => name == "requestId" || name == "extendedRequestId",
            LogPiece::Text(_) => false,
        };
        if self.0.iter().any(identifies) { Ok(()) } else { Err(InvalidLogFormat::NoRequestId) }
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[LogPiece] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_text_and_variables() {
        let format =
            LogFormat::parse(r#"[$context.requestId] "$context.authorizer.tenant"."#).unwrap();
        let text = |text: &str| LogPiece::Text(text.to_owned());
        let variable = |name: &str| LogPiece::Variable(name.to_owned());
        let expected = [
            text("["),
            variable("requestId"),
            text("] \""),
            variable("authorizer.tenant"),
            text("\"."),
        ];
        assert_eq!(format.pieces(), expected);
    }

    #[test]
    fn what_the_service_refuses_is_refused_in_its_words() {
        let error = LogFormat::parse("$context.requestId $context.x $context.error.y").unwrap_err();
        let expected =
            "The following context variables are not supported: [$context.x, $context.error.y]";
        assert_eq!(error.to_string(), expected);
        let nameless = LogFormat::parse("$context.stage").unwrap();
        assert_eq!(nameless.check_request_id(), Err(InvalidLogFormat::NoRequestId));
        assert_eq!(LogFormat::parse(&"x".repeat(3073)), Err(InvalidLogFormat::TooLong));
    }

    #[test]
    fn a_routes_own_settings_come_first() {
        let mut stage = Stage::new(StageName::parse("dev").unwrap());
        stage.default_settings.throttle = Some(Throttle { rate: 1.0, burst: 2 });
        stage.route_settings.insert(RouteKey::Connect, RouteSettings::default());
        assert_eq!(stage.settings(&RouteKey::Connect).throttle, None);
        assert_eq!(stage.settings(&RouteKey::Default).throttle, stage.default_settings.throttle);
    }
}
