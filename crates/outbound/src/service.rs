//! Requests to services of AWS: by the protocol of each, and signed.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request};
use stillwire_awswire::{Credentials, Payload, RawRequest, SigningScope, sign};

/// The JSON protocol of services with actions: the prefix of `X-Amz-Target`, and the version of the protocol.
///
/// Source: the services' own models (`targetPrefix`, `jsonVersion`). All others speak the query protocol.
const JSON_SERVICES: [(&str, &str, &str); 9] = [
    ("dynamodb", "DynamoDB_20120810", "1.0"),
    ("states", "AWSStepFunctions", "1.0"),
    ("events", "AWSEvents", "1.1"),
    ("kinesis", "Kinesis_20131202", "1.1"),
    ("firehose", "Firehose_20150804", "1.1"),
    ("logs", "Logs_20140328", "1.1"),
    ("ssm", "AmazonSSM", "1.1"),
    ("secretsmanager", "secretsmanager", "1.1"),
    ("kms", "TrentService", "1.1"),
];

/// What is asked of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask<'a> {
    /// One of its actions.
    Action(&'a str),
    /// One of the actions of a service that speaks the JSON protocol too, by its target (`AmazonSQS.ReceiveMessage`).
    Json(&'a str),
    /// A path, without the first slash.
    Path(&'a str),
}

/// Path and headers of a request, by the protocol of its service.
pub fn address(service: &str, ask: &Ask<'_>, body: &[u8]) -> (String, Vec<(HeaderName, String)>) {
    let form = || vec![(CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
    let json = |target: String, version: &str| {
        let kind = format!("application/x-amz-json-{version}");
        let target = (HeaderName::from_static("x-amz-target"), target);
        ("/".to_owned(), vec![target, (CONTENT_TYPE, kind)])
    };
    match ask {
        Ask::Json(target) => json((*target).to_owned(), "1.0"),
        Ask::Path(path) => (format!("/{path}"), form()),
        Ask::Action(action) => match JSON_SERVICES.iter().find(|(known, ..)| *known == service) {
            Some((_, prefix, version)) => json(format!("{prefix}.{action}"), version),
            None if body.windows(7).any(|window| window == b"Action=") => ("/".to_owned(), form()),
            None => (format!("/?Action={action}"), form()),
        },
    }
}

/// Signs a request in the header form, with its `host`.
pub fn add_signature(request: &mut Request<Bytes>, keys: &Credentials, scope: &SigningScope<'_>) {
    if let Some(host) = request.uri().authority().map(|authority| authority.as_str().to_owned())
        && let Ok(host) = HeaderValue::from_str(&host)
    {
        request.headers_mut().insert(HOST, host);
    }
    let headers = request.headers().iter();
    let raw = RawRequest {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: headers
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect(),
        payload: Payload::Body(request.body()),
    };
    let made = sign(&raw, keys, scope);
    for (name, value) in made {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_in_its_own_protocol() {
        let asked = |service: &str, ask: Ask<'_>, body: &str| {
            let (path, headers) = address(service, &ask, body.as_bytes());
            (path, headers.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        let json = vec![
            "AWSStepFunctions.StartExecution".to_owned(),
            "application/x-amz-json-1.0".to_owned(),
        ];
        let form = vec!["application/x-www-form-urlencoded".to_owned()];
        let started = asked("states", Ask::Action("StartExecution"), "{}");
        assert_eq!(started, ("/".to_owned(), json));
        let published = asked("sns", Ask::Action("Publish"), "Message=x");
        assert_eq!(published, ("/?Action=Publish".to_owned(), form.clone()));
        let sent = asked("sqs", Ask::Path("1/inbox"), "Action=SendMessage");
        assert_eq!(sent, ("/1/inbox".to_owned(), form));
    }
}
