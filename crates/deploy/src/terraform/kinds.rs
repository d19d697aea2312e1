//! Which resource of the AWS provider is which of a template's, and its attributes that are properties as they are.

/// A resource of the provider, as a template has it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Attributes, and the properties that they are.
    pub(super) fields: &'static [(&'static str, &'static str)],
}

const API: &[(&str, &str)] = &[
    ("name", "Name"),
    ("protocol_type", "ProtocolType"),
    ("route_selection_expression", "RouteSelectionExpression"),
    ("api_key_selection_expression", "ApiKeySelectionExpression"),
    ("disable_execute_api_endpoint", "DisableExecuteApiEndpoint"),
    ("description", "Description"),
];
const ROUTE: &[(&str, &str)] = &[
    ("api_id", "ApiId"),
    ("route_key", "RouteKey"),
    ("target", "Target"),
    ("authorization_type", "AuthorizationType"),
    ("authorizer_id", "AuthorizerId"),
    ("api_key_required", "ApiKeyRequired"),
    ("model_selection_expression", "ModelSelectionExpression"),
    ("request_models", "RequestModels"),
    ("route_response_selection_expression", "RouteResponseSelectionExpression"),
    ("operation_name", "OperationName"),
];
const INTEGRATION: &[(&str, &str)] = &[
    ("api_id", "ApiId"),
    ("integration_type", "IntegrationType"),
    ("integration_uri", "IntegrationUri"),
    ("integration_method", "IntegrationMethod"),
    ("connection_type", "ConnectionType"),
    ("connection_id", "ConnectionId"),
    ("content_handling_strategy", "ContentHandlingStrategy"),
    ("credentials_arn", "CredentialsArn"),
    ("passthrough_behavior", "PassthroughBehavior"),
    ("request_parameters", "RequestParameters"),
    ("request_templates", "RequestTemplates"),
    ("template_selection_expression", "TemplateSelectionExpression"),
    ("timeout_milliseconds", "TimeoutInMillis"),
];
const FUNCTION: &[(&str, &str)] = &[
    ("function_name", "FunctionName"),
    ("runtime", "Runtime"),
    ("handler", "Handler"),
    ("memory_size", "MemorySize"),
    ("timeout", "Timeout"),
    ("role", "Role"),
    ("layers", "Layers"),
    ("architectures", "Architectures"),
    ("package_type", "PackageType"),
    ("description", "Description"),
    ("kms_key_arn", "KmsKeyArn"),
];

/// What a resource of the provider is in a template.
pub(super) fn find(terraform: &str) -> Option<Kind> {
    let (name, fields): (_, &'static [(&str, &str)]) = match terraform {
        "aws_apigatewayv2_api" => ("AWS::ApiGatewayV2::Api", API),
        "aws_apigatewayv2_route" => ("AWS::ApiGatewayV2::Route", ROUTE),
        "aws_apigatewayv2_integration" => ("AWS::ApiGatewayV2::Integration", INTEGRATION),
        "aws_apigatewayv2_integration_response" => (
            "AWS::ApiGatewayV2::IntegrationResponse",
            &[
                ("api_id", "ApiId"),
                ("integration_id", "IntegrationId"),
                ("integration_response_key", "IntegrationResponseKey"),
                ("content_handling_strategy", "ContentHandlingStrategy"),
                ("response_templates", "ResponseTemplates"),
                ("template_selection_expression", "TemplateSelectionExpression"),
            ],
        ),
        "aws_apigatewayv2_route_response" => (
            "AWS::ApiGatewayV2::RouteResponse",
            &[
                ("api_id", "ApiId"),
                ("route_id", "RouteId"),
                ("route_response_key", "RouteResponseKey"),
            ],
        ),
        "aws_apigatewayv2_authorizer" => (
            "AWS::ApiGatewayV2::Authorizer",
            &[
                ("api_id", "ApiId"),
                ("authorizer_type", "AuthorizerType"),
                ("authorizer_uri", "AuthorizerUri"),
                ("identity_sources", "IdentitySource"),
                ("name", "Name"),
            ],
        ),
        "aws_apigatewayv2_stage" => (
            "AWS::ApiGatewayV2::Stage",
            &[
                ("api_id", "ApiId"),
                ("name", "StageName"),
                ("auto_deploy", "AutoDeploy"),
                ("deployment_id", "DeploymentId"),
                ("stage_variables", "StageVariables"),
            ],
        ),
        "aws_apigatewayv2_deployment" => ("AWS::ApiGatewayV2::Deployment", &[("api_id", "ApiId")]),
        "aws_apigatewayv2_model" => (
            "AWS::ApiGatewayV2::Model",
            &[
                ("api_id", "ApiId"),
                ("name", "Name"),
                ("schema", "Schema"),
                ("content_type", "ContentType"),
            ],
        ),
        "aws_apigatewayv2_domain_name" => {
            ("AWS::ApiGatewayV2::DomainName", &[("domain_name", "DomainName")])
        }
        "aws_apigatewayv2_api_mapping" => (
            "AWS::ApiGatewayV2::ApiMapping",
            &[
                ("api_id", "ApiId"),
                ("domain_name", "DomainName"),
                ("stage", "Stage"),
                ("api_mapping_key", "ApiMappingKey"),
            ],
        ),
        "aws_apigatewayv2_vpc_link" => ("AWS::ApiGatewayV2::VpcLink", &[("name", "Name")]),
        "aws_lambda_function" => ("AWS::Lambda::Function", FUNCTION),
        "aws_lambda_permission" => (
            "AWS::Lambda::Permission",
            &[("action", "Action"), ("function_name", "FunctionName"), ("principal", "Principal")],
        ),
        "aws_lambda_alias" => (
            "AWS::Lambda::Alias",
            &[
                ("name", "Name"),
                ("function_name", "FunctionName"),
                ("function_version", "FunctionVersion"),
            ],
        ),
        "aws_lambda_layer_version" => ("AWS::Lambda::LayerVersion", &[("layer_name", "LayerName")]),
        "aws_lambda_function_url" => (
            "AWS::Lambda::Url",
            &[("function_name", "TargetFunctionArn"), ("authorization_type", "AuthType")],
        ),
        "aws_lambda_event_source_mapping" => (
            "AWS::Lambda::EventSourceMapping",
            &[
                ("event_source_arn", "EventSourceArn"),
                ("function_name", "FunctionName"),
                ("batch_size", "BatchSize"),
                ("starting_position", "StartingPosition"),
                ("starting_position_timestamp", "StartingPositionTimestamp"),
                ("enabled", "Enabled"),
                ("maximum_batching_window_in_seconds", "MaximumBatchingWindowInSeconds"),
                ("maximum_record_age_in_seconds", "MaximumRecordAgeInSeconds"),
                ("maximum_retry_attempts", "MaximumRetryAttempts"),
                ("bisect_batch_on_function_error", "BisectBatchOnFunctionError"),
                ("parallelization_factor", "ParallelizationFactor"),
                ("tumbling_window_in_seconds", "TumblingWindowInSeconds"),
                ("function_response_types", "FunctionResponseTypes"),
            ],
        ),
        "aws_lambda_function_event_invoke_config" => (
            "AWS::Lambda::EventInvokeConfig",
            &[
                ("function_name", "FunctionName"),
                ("qualifier", "Qualifier"),
                ("maximum_event_age_in_seconds", "MaximumEventAgeInSeconds"),
                ("maximum_retry_attempts", "MaximumRetryAttempts"),
            ],
        ),
        "aws_dynamodb_table" => (
            "AWS::DynamoDB::Table",
            &[
                ("name", "TableName"),
                ("billing_mode", "BillingMode"),
                ("deletion_protection_enabled", "DeletionProtectionEnabled"),
            ],
        ),
        "aws_dynamodb_table_item" => ("Custom::AWS", &[]),
        "aws_iam_role" => ("AWS::IAM::Role", &[("name", "RoleName"), ("path", "Path")]),
        "aws_iam_role_policy" => {
            ("AWS::IAM::RolePolicy", &[("role", "RoleName"), ("name", "PolicyName")])
        }
        "aws_iam_policy" => ("AWS::IAM::ManagedPolicy", &[("name", "ManagedPolicyName")]),
        "aws_cloudwatch_log_group" => ("AWS::Logs::LogGroup", &[("name", "LogGroupName")]),
        "aws_ssm_parameter" => {
            ("AWS::SSM::Parameter", &[("name", "Name"), ("type", "Type"), ("value", "Value")])
        }
        "aws_secretsmanager_secret" => ("AWS::SecretsManager::Secret", &[("name", "Name")]),
        "aws_sqs_queue" => {
            ("AWS::SQS::Queue", &[("name", "QueueName"), ("fifo_queue", "FifoQueue")])
        }
        "aws_sns_topic" => ("AWS::SNS::Topic", &[("name", "TopicName")]),
        "aws_s3_bucket" => ("AWS::S3::Bucket", &[("bucket", "BucketName")]),
        "aws_kinesis_stream" => ("AWS::Kinesis::Stream", &[("name", "Name")]),
        "aws_cloudwatch_event_rule" => ("AWS::Events::Rule", &[("name", "Name")]),
        "aws_api_gateway_rest_api" => ("AWS::ApiGateway::RestApi", &[("name", "Name")]),
        _ => return None,
    };
    Some(Kind { name, fields })
}
