//! The names of services: how a signature, a host and an environment variable each spell them.

use std::collections::BTreeMap;

/// Signing names that differ from the name in `AWS_ENDPOINT_URL_<NAME>`.
///
/// Source: botocore service models, `signingName` and `serviceId`.
const SERVICE_IDS: [(&str, &str); 14] = [
    ("secretsmanager", "SECRETS_MANAGER"),
    ("states", "SFN"),
    ("events", "EVENTBRIDGE"),
    ("logs", "CLOUDWATCH_LOGS"),
    ("monitoring", "CLOUDWATCH"),
    ("cognito-idp", "COGNITO_IDENTITY_PROVIDER"),
    ("cognito-identity", "COGNITO_IDENTITY"),
    ("bedrock", "BEDROCK_RUNTIME"),
    ("execute-api", "APIGATEWAYMANAGEMENTAPI"),
    ("apigateway", "APIGATEWAYV2"),
    ("email", "SES"),
    ("ses", "SESV2"),
    ("iotdata", "IOT_DATA_PLANE"),
    ("rds-data", "RDS_DATA"),
];

/// The environment variable that names a service's endpoint to SDKs.
pub fn endpoint_variable(signing_name: &str) -> String {
    format!("AWS_ENDPOINT_URL_{}", service_id(signing_name))
}

/// The endpoint of a service, among those named by environment variables: `sqs` for `AWS_ENDPOINT_URL_SQS`.
pub fn endpoint_of<'a>(
    endpoints: &'a BTreeMap<String, String>,
    signing_name: &str,
) -> Option<&'a str> {
    endpoints.get(&service_id(signing_name).to_ascii_lowercase()).map(String::as_str)
}

fn service_id(signing_name: &str) -> String {
    let known = SERVICE_IDS.iter().find(|(name, _)| *name == signing_name).map(|(_, id)| *id);
    known.map_or_else(|| signing_name.to_ascii_uppercase().replace('-', "_"), str::to_owned)
}

/// The service in a host name of AWS: `sqs.eu-west-1.amazonaws.com`, `bucket.s3.eu-west-1.amazonaws.com`.
pub fn service_of_host(host: &str) -> Option<&str> {
    let name = host.split(':').next()?;
    let rest =
        name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn"))?;
    let mut labels: Vec<&str> = rest.split('.').collect();
    if labels.last().is_some_and(|label| label.contains('-')) && labels.len() > 1 {
        labels.pop(); // the region
    }
    labels.last().copied().filter(|label| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_as_sdks_name_it() {
        assert_eq!(endpoint_variable("s3"), "AWS_ENDPOINT_URL_S3");
        assert_eq!(endpoint_variable("secretsmanager"), "AWS_ENDPOINT_URL_SECRETS_MANAGER");
        assert_eq!(endpoint_variable("new-thing"), "AWS_ENDPOINT_URL_NEW_THING");
        let endpoints = [("eventbridge".to_owned(), "http://here".to_owned())].into();
        assert_eq!(endpoint_of(&endpoints, "events"), Some("http://here"));
    }

    #[test]
    fn a_host_of_aws_names_its_service() {
        assert_eq!(service_of_host("sqs.eu-west-1.amazonaws.com"), Some("sqs"));
        assert_eq!(service_of_host("bucket.s3.eu-west-1.amazonaws.com:443"), Some("s3"));
        assert_eq!(service_of_host("sts.amazonaws.com"), Some("sts"));
        assert_eq!(service_of_host("localhost:7799"), None);
    }
}
