//! What becomes of a resource by its type alone.

use super::Fate;
use crate::report::Action;

/// Types that mean nothing at run time here.
const SKIPPED: [&str; 9] = [
    "AWS::CDK::Metadata",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::User",
    "AWS::IAM::Group",
    "AWS::IAM::AccessKey",
    "AWS::Lambda::LayerVersionPermission",
    "AWS::Lambda::CodeSigningConfig",
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudFormation::WaitConditionHandle",
];

/// Custom resources of the CDK, and of others, whose work has no meaning here. A `*` ends a prefix.
const CDK_HELPERS: [&str; 8] = [
    "Custom::LogRetention",
    "Custom::S3AutoDeleteObjects",
    "Custom::CDKBucketDeployment",
    "Custom::VpcRestrictDefaultSG",
    "Custom::DynamoDBReplica",
    "Custom::CrossRegionExport*",
    "Custom::S3BucketNotifications",
    "Custom::ApiGatewayAccountRole", // the Serverless Framework's, for logs
];

/// Whether a type is a custom resource.
pub(super) fn is_custom(kind: &str) -> bool {
    kind.starts_with("Custom::") || kind == "AWS::CloudFormation::CustomResource"
}

fn is_cdk_helper(kind: &str) -> bool {
    CDK_HELPERS.iter().any(|known| match known.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => kind == *known,
    })
}

/// Whether a resource is where the Serverless Framework uploads packages to.
pub(super) fn is_for_uploads(id: &str, kind: &str) -> bool {
    kind.starts_with("AWS::S3::")
        && matches!(id, "ServerlessDeploymentBucket" | "ServerlessDeploymentBucketPolicy")
}

/// The action for a type, and what it means.
pub(super) fn of(kind: &str) -> Fate {
    let (action, note) = match kind {
        "AWS::ApiGatewayV2::Api" => (Action::Runs, "WebSocket API"),
        "AWS::ApiGatewayV2::Route"
        | "AWS::ApiGatewayV2::Integration"
        | "AWS::ApiGatewayV2::Authorizer"
        | "AWS::ApiGatewayV2::IntegrationResponse"
        | "AWS::ApiGatewayV2::Model"
        | "AWS::ApiGatewayV2::Stage"
        | "AWS::ApiGatewayV2::RouteResponse" => (Action::Runs, "part of the API"),
        "AWS::ApiGatewayV2::DomainName" | "AWS::ApiGatewayV2::ApiMapping" => {
            (Action::Runs, "it has problems")
        }
        "AWS::ApiGateway::ApiKey" | "AWS::ApiGateway::UsagePlan" => (Action::Runs, ""),
        "AWS::ApiGateway::UsagePlanKey" => (Action::Runs, "puts an API key into a usage plan"),
        "AWS::ApiGatewayV2::Deployment" => (Action::Runs, "changes apply at once here"),
        "AWS::Lambda::Function" | "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
            (Action::Runs, "")
        }
        "AWS::CloudFormation::Stack" => (Action::Runs, "its resources are listed as a stack"),
        "AWS::Lambda::Permission" => (Action::Runs, "checked, not enforced"),
        "AWS::IAM::Role"
        | "AWS::IAM::Policy"
        | "AWS::IAM::ManagedPolicy"
        | "AWS::IAM::RolePolicy" => {
            (Action::ValueOnly, "enforced for tables, where [tables] enforce-iam says so")
        }
        "AWS::Logs::LogGroup" => (Action::ValueOnly, "logs go to the terminal"),
        "AWS::Lambda::Version" | "AWS::Lambda::Alias" => (Action::Runs, "runs the current code"),
        "AWS::Lambda::EventInvokeConfig" => {
            (Action::Runs, "how often events are tried again, and where records of them go")
        }
        "AWS::SSM::Parameter" => {
            (Action::ValueOnly, "read by functions, and by parameters of these templates")
        }
        kind if SKIPPED.contains(&kind) => (Action::Skipped, "no meaning at run time here"),
        kind if is_cdk_helper(kind) => (Action::Skipped, "no meaning at run time here"),
        kind if is_custom(kind) => (Action::NotRun, "custom resources are not run here"),
        "AWS::Lambda::LayerVersion" => (Action::Runs, "part of functions"),
        "AWS::Lambda::EventSourceMapping" => (Action::Runs, "it has problems"),
        "AWS::Lambda::Url" => (Action::NotRun, "function URLs are not served here"),
        "AWS::ApiGatewayV2::VpcLink" => {
            (Action::ValueOnly, "addresses behind it are asked directly")
        }
        "AWS::SecretsManager::Secret" => {
            (Action::ValueOnly, "its value: the template's, else of --secrets, else made up")
        }
        kind => of_service(kind),
    };
    (action, note.to_owned())
}

/// What it means that a service is not here, by how its types begin; the first that fits.
const SERVICES: [(&str, Action, &str); 26] = [
    (
        "AWS::S3::",
        Action::NotRun,
        "there is no S3 here: its calls go to AWS_ENDPOINT_URL_S3 where that is set",
    ),
    (
        "AWS::SQS::",
        Action::NotRun,
        "there is no SQS here: its calls go to AWS_ENDPOINT_URL_SQS where that is set",
    ),
    (
        "AWS::SNS::",
        Action::NotRun,
        "there is no SNS here: its calls go to AWS_ENDPOINT_URL_SNS where that is set",
    ),
    ("AWS::Kinesis", Action::NotRun, "there is no Kinesis here: nothing is read of it"),
    ("AWS::Events::", Action::NotRun, "no rule or schedule calls a function here"),
    ("AWS::Scheduler::", Action::NotRun, "no schedule calls a function here"),
    ("AWS::Pipes::", Action::NotRun, "no pipe calls a function here"),
    ("AWS::StepFunctions::", Action::NotRun, "state machines are not run here"),
    ("AWS::Cognito::", Action::NotRun, "there are no user pools here: nobody is signed in by them"),
    ("AWS::AppSync::", Action::NotRun, "GraphQL APIs are not served here"),
    ("AWS::ApiGateway::", Action::NotRun, "REST APIs are not served here"),
    ("AWS::RDS::", Action::NotRun, "there is no database of it here"),
    ("AWS::ElastiCache::", Action::NotRun, "there is no cache of it here"),
    ("AWS::ECS::", Action::NotRun, "containers are not run here"),
    ("AWS::WAF", Action::NotRun, "nothing is filtered by it here"),
    ("AWS::CloudFront::", Action::NotRun, "nothing is in front of the APIs here"),
    ("AWS::KMS::", Action::ValueOnly, "nothing is encrypted with it here"),
    ("AWS::CertificateManager::", Action::ValueOnly, "certificates are the local authority's"),
    (
        "AWS::Route53::",
        Action::ValueOnly,
        "names are not published; custom domains answer to them here",
    ),
    ("AWS::EC2::", Action::ValueOnly, "functions run on this machine's own network"),
    ("AWS::SSM::", Action::ValueOnly, "read by templates where they name it"),
    ("AWS::Logs::", Action::Skipped, "logs go to the terminal and to files"),
    ("AWS::CloudWatch::", Action::Skipped, "metrics are served, and watched by nobody"),
    ("AWS::ApplicationAutoScaling::", Action::Skipped, "nothing is scaled here"),
    ("AWS::CodeDeploy::", Action::Skipped, "what is deployed is live at once here"),
    ("AWS::ResourceGroups::", Action::Skipped, "no meaning at run time here"),
];

fn of_service(kind: &str) -> (Action, &'static str) {
    let known = SERVICES.iter().find(|(start, ..)| kind.starts_with(start));
    known.map_or(
        (Action::NotRun, "not run here; references to it get a made-up value"),
        |(_, action, note)| (*action, *note),
    )
}

/// What a person should be told about a type that does something on AWS and nothing here, beyond its row.
pub(super) fn notice(kind: &str) -> Option<&'static str> {
    match kind {
        "AWS::Lambda::Url" => Some("this function URL is not served here"),
        kind if is_custom(kind) && !is_cdk_helper(kind) => {
            Some("this custom resource is not run here")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cdks_own_custom_resources_are_skipped_in_silence_and_others_are_not() {
        for kind in ["Custom::LogRetention", "Custom::CrossRegionExportWriter"] {
            assert_eq!((of(kind).0, notice(kind)), (Action::Skipped, None));
        }
        assert_eq!(of("Custom::Mine").0, Action::NotRun);
        assert!(notice("Custom::Mine").is_some() && notice("Custom::AWS").is_some());
    }

    #[test]
    fn an_unknown_type_is_listed_as_not_run() {
        assert_eq!(of("AWS::Foo::Bar").0, Action::NotRun);
        assert_eq!(of("AWS::CDK::Metadata").0, Action::Skipped);
        assert_eq!(
            of("AWS::Events::Rule"),
            (Action::NotRun, "no rule or schedule calls a function here".to_owned())
        );
        assert_eq!(of("AWS::KMS::Key").0, Action::ValueOnly);
    }
}
