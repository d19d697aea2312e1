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

/// Custom resources of the CDK whose work has no meaning here. A `*` ends a prefix.
const CDK_HELPERS: [&str; 7] = [
    "Custom::LogRetention",
    "Custom::S3AutoDeleteObjects",
    "Custom::CDKBucketDeployment",
    "Custom::VpcRestrictDefaultSG",
    "Custom::DynamoDBReplica",
    "Custom::CrossRegionExport*",
    "Custom::S3BucketNotifications",
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
        "AWS::SSM::Parameter" => (Action::ValueOnly, "read by parameters of these templates"),
        kind if SKIPPED.contains(&kind) => (Action::Skipped, "no meaning at run time here"),
        kind if is_cdk_helper(kind) => (Action::Skipped, "no meaning at run time here"),
        kind if is_custom(kind) => (Action::NotRun, "custom resources are not run here"),
        "AWS::Lambda::LayerVersion" => (Action::Runs, "part of functions"),
        "AWS::Lambda::EventSourceMapping" => (Action::Runs, "it has problems"),
        "AWS::Lambda::Url" => (Action::NotRun, "function URLs are not served here"),
        kind if kind.starts_with("AWS::S3::") => (Action::NotRun, "there is no S3 here"),
        kind if kind.starts_with("AWS::SQS::") => (Action::NotRun, "there is no SQS here"),
        kind if kind.starts_with("AWS::ApiGateway::") => {
            (Action::NotRun, "REST APIs are not served here")
        }
        _ => (Action::NotRun, "not run here; references to it get a made-up value"),
    };
    (action, note.to_owned())
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
    }
}
