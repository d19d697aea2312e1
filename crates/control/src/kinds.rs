//! The kinds of resources: where they are, what they are made of, how many there may be.
//!
//! Source: service model `apigatewayv2` 2018-11-29; numbers from API Gateway quotas.

use crate::members::Form::{
    Flag, Integer, Number, Record, RecordList, RecordMap, Schema, Text, TextMap, Texts, Word,
};
use crate::members::{Member, Resource, member, required};

/// A kind of part of an API.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The last word of its type in templates.
    pub(crate) name: &'static str,
    /// Its segment in paths, and its name in what is written to disk.
    pub(crate) segment: &'static str,
    /// The member that is its id.
    pub(crate) id: &'static str,
    /// The kind that it belongs to: its segment, and the member that names it in templates.
    pub(crate) parent: Option<(&'static str, &'static str)>,
    /// What it is made of.
    pub(crate) members: &'static [Member],
    /// The member whose value no other of its kind, below the same parent, may have.
    pub(crate) unique: &'static str,
    /// How many an API, or a parent, may have.
    pub(crate) count_max: usize,
}

/// Descriptions have at most so many characters.
const DESCRIPTION: usize = 1024;

const AUTHORIZATION_TYPES: &[&str] = &["NONE", "AWS_IAM", "CUSTOM", "JWT"];
const PASSTHROUGH: &[&str] = &["WHEN_NO_MATCH", "NEVER", "WHEN_NO_TEMPLATES"];
const CONTENT_HANDLING: &[&str] = &["CONVERT_TO_BINARY", "CONVERT_TO_TEXT"];
const INTEGRATION_TYPES: &[&str] = &["AWS", "HTTP", "MOCK", "HTTP_PROXY", "AWS_PROXY"];

/// What an API itself is made of.
pub(crate) const API: &[Member] = &[
    required("name", Text(128)),
    required("protocolType", Word(&["WEBSOCKET", "HTTP"])),
    member("routeSelectionExpression", Text(1024)),
    member("apiKeySelectionExpression", Text(1024)),
    member("description", Text(DESCRIPTION)),
    member("disableSchemaValidation", Flag),
    member("disableExecuteApiEndpoint", Flag),
    member("ipAddressType", Word(&["ipv4", "dualstack"])),
    member("version", Text(64)),
    member("tags", TextMap),
];

/// The kinds of parts.
pub(crate) const KINDS: [Kind; 6] = [
    Kind {
        name: "Route",
        segment: "routes",
        id: "routeId",
        parent: None,
        members: &[
            required("routeKey", Text(256)),
            member("target", Text(128)),
            member("authorizationType", Word(AUTHORIZATION_TYPES)),
            member("authorizerId", Text(64)),
            member("authorizationScopes", Texts),
            member("apiKeyRequired", Flag),
            member("modelSelectionExpression", Text(1024)),
            member("operationName", Text(64)),
            member("requestModels", TextMap),
            member("requestParameters", RecordMap(&[member("required", Flag)])),
            member("routeResponseSelectionExpression", Text(1024)),
        ],
        unique: "routeKey",
        count_max: 300,
    },
    Kind {
        name: "RouteResponse",
        segment: "routeresponses",
        id: "routeResponseId",
        parent: Some(("routes", "routeId")),
        members: &[
            required("routeResponseKey", Text(256)),
            member("modelSelectionExpression", Text(1024)),
            member("responseModels", TextMap),
            member("responseParameters", RecordMap(&[member("required", Flag)])),
        ],
        unique: "routeResponseKey",
        count_max: 20,
    },
    Kind {
        name: "Integration",
        segment: "integrations",
        id: "integrationId",
        parent: None,
        members: &[
            required("integrationType", Word(INTEGRATION_TYPES)),
            member("integrationUri", Text(2048)),
            member("integrationMethod", Text(64)),
            member("connectionType", Word(&["INTERNET", "VPC_LINK"])),
            member("connectionId", Text(1024)),
            member("contentHandlingStrategy", Word(CONTENT_HANDLING)),
            member("credentialsArn", Text(2048)),
            member("description", Text(DESCRIPTION)),
            member("passthroughBehavior", Word(PASSTHROUGH)),
            member("payloadFormatVersion", Text(64)),
            member("requestParameters", TextMap),
            member("requestTemplates", TextMap),
            member("templateSelectionExpression", Text(1024)),
            member("timeoutInMillis", Integer(50, 29_000)),
            member("tlsConfig", Record(&[member("serverNameToVerify", Text(512))])),
        ],
        unique: "integrationId",
        count_max: 300,
    },
    Kind {
        name: "IntegrationResponse",
        segment: "integrationresponses",
        id: "integrationResponseId",
        parent: Some(("integrations", "integrationId")),
        members: &[
            required("integrationResponseKey", Text(256)),
            member("contentHandlingStrategy", Word(CONTENT_HANDLING)),
            member("responseParameters", TextMap),
            member("responseTemplates", TextMap),
            member("templateSelectionExpression", Text(1024)),
        ],
        unique: "integrationResponseKey",
        count_max: 100,
    },
    Kind {
        name: "Authorizer",
        segment: "authorizers",
        id: "authorizerId",
        parent: None,
        members: &[
            required("authorizerType", Word(&["REQUEST", "JWT"])),
            required("name", Text(128)),
            member("identitySource", Texts),
            member("authorizerUri", Text(2048)),
            member("authorizerCredentialsArn", Text(2048)),
            member("authorizerPayloadFormatVersion", Text(64)),
            member("authorizerResultTtlInSeconds", Integer(0, 3600)),
            member("identityValidationExpression", Text(1024)),
        ],
        unique: "name",
        count_max: 10,
    },
    Kind {
        name: "Model",
        segment: "models",
        id: "modelId",
        parent: None,
        members: &[
            required("name", Text(128)),
            required("schema", Schema),
            member("contentType", Text(256)),
            member("description", Text(DESCRIPTION)),
        ],
        unique: "name",
        count_max: 60,
    },
];

/// How a stage serves routes.
const ROUTE_SETTINGS: &[Member] = &[
    member("dataTraceEnabled", Flag),
    member("detailedMetricsEnabled", Flag),
    member("loggingLevel", Word(&["ERROR", "INFO", "OFF"])),
    member("throttlingBurstLimit", Integer(0, i32::MAX as i64)),
    member("throttlingRateLimit", Number),
];

/// What a stage is made of.
pub(crate) const STAGE: &[Member] = &[
    required("stageName", Text(128)),
    member("deploymentId", Text(64)),
    member("autoDeploy", Flag),
    member(
        "accessLogSettings",
        Record(&[member("destinationArn", Text(2048)), member("format", Text(3072))]),
    ),
    member("clientCertificateId", Text(64)),
    member("defaultRouteSettings", Record(ROUTE_SETTINGS)),
    member("description", Text(DESCRIPTION)),
    member("routeSettings", RecordMap(ROUTE_SETTINGS)),
    member("stageVariables", TextMap),
    member("tags", TextMap),
];

/// How many stages an API may have.
pub(crate) const STAGES_MAX: usize = 10;

/// What may be said of a deployment.
pub(crate) const DEPLOYMENT: &[Member] =
    &[member("description", Text(DESCRIPTION)), member("stageName", Text(128))];

/// How many deployments are kept.
///
/// Choice: automatic ones that no stage serves go first, so that only deliberate ones count.
pub(crate) const DEPLOYMENTS_MAX: usize = 300;

/// What a custom domain name is made of.
pub(crate) const DOMAIN: &[Member] = &[
    required("domainName", Text(512)),
    member(
        "domainNameConfigurations",
        RecordList(&[
            member("certificateArn", Text(2048)),
            member("certificateName", Text(128)),
            member("endpointType", Word(&["REGIONAL", "EDGE"])),
            member("ipAddressType", Word(&["ipv4", "dualstack"])),
            member("securityPolicy", Word(&["TLS_1_0", "TLS_1_2"])),
            member("ownershipVerificationCertificateArn", Text(2048)),
        ]),
    ),
    member(
        "mutualTlsAuthentication",
        Record(&[member("truststoreUri", Text(2048)), member("truststoreVersion", Text(64))]),
    ),
    member(
        "routingMode",
        Word(&["API_MAPPING_ONLY", "ROUTING_RULE_ONLY", "ROUTING_RULE_THEN_API_MAPPING"]),
    ),
    member("tags", TextMap),
];

/// How many custom domain names there may be.
pub(crate) const DOMAINS_MAX: usize = 120;

/// What an API mapping is made of.
pub(crate) const MAPPING: &[Member] = &[
    required("apiId", Text(64)),
    required("stage", Text(128)),
    member("apiMappingKey", Text(300)),
];

/// How many mappings a domain name may have.
pub(crate) const MAPPINGS_MAX: usize = 200;

/// How many APIs there may be.
pub(crate) const APIS_MAX: usize = 600;

/// What `CreateApi`'s and other calls' tags are made of.
pub(crate) const TAGS: &[Member] = &[required("tags", TextMap)];

/// How many tags a resource may have.
pub(crate) const TAGS_MAX: usize = 50;

impl Kind {
    /// The kind whose segment is this.
    pub(crate) fn of_segment(segment: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.segment == segment)
    }

    /// The kind that templates call so.
    pub(crate) fn of_name(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// What a resource of this kind answers where its author said nothing.
    ///
    /// Source: answers of `CreateRoute`, `CreateIntegration` and others in the AWS CLI's reference.
    pub(crate) fn with_defaults(&self, resource: &Resource) -> Resource {
        let mut shown = resource.clone();
        let mut default = |name: &str, value: serde_json::Value| {
            shown.entry(name.to_owned()).or_insert(value);
        };
        match self.name {
            "Route" => {
                default("apiKeyRequired", false.into());
                default("authorizationType", "NONE".into());
            }
            "Integration" => {
                let kind = resource.get("integrationType").and_then(serde_json::Value::as_str);
                let selection = match kind {
                    Some("AWS_PROXY" | "AWS") => "${integration.response.body.errormessage}",
                    _ => "${integration.response.statuscode}",
                };
                default("connectionType", "INTERNET".into());
                default("integrationResponseSelectionExpression", selection.into());
                if kind != Some("MOCK") {
                    default("integrationMethod", "POST".into());
                }
                default("passthroughBehavior", "WHEN_NO_MATCH".into());
                default("payloadFormatVersion", "1.0".into());
                default("timeoutInMillis", 29_000.into());
            }
            "Model" => default("contentType", "application/json".into()),
            _ => {}
        }
        shown
    }
}
