//! SAM's templates of policies.
//!
//! Source: the SAM specification, "AWS SAM policy templates". Choice: only what a template says about tables, functions
//! and queues is written out, as policies on other services decide nothing here; the others are known by name.

/// A template: its actions, the resource of them, and the parameters that it takes, the resource's name first.
pub(super) struct PolicyTemplate {
    pub(super) parameters: &'static [&'static str],
    pub(super) statements: &'static [(&'static [&'static str], &'static [&'static str])],
}

const TABLE: &[&str] = &["dynamodb:…:table/${TableName}"];
const TABLE_AND_INDEXES: &[&str] =
    &["dynamodb:…:table/${TableName}", "dynamodb:…:table/${TableName}/index/*"];
const BACKUPS: &[&str] = &["dynamodb:…:table/${TableName}/backup/*"];

/// The templates that say something about what runs here.
pub(super) fn written_out(name: &str) -> Option<PolicyTemplate> {
    let table: &[&str] = &["TableName"];
    let (parameters, statements): (_, &'static [(&[&str], &[&str])]) = match name {
        "DynamoDBCrudPolicy" => (
            table,
            &[(
                &[
                    "dynamodb:GetItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:PutItem",
                    "dynamodb:Scan",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "dynamodb:BatchWriteItem",
                    "dynamodb:BatchGetItem",
                    "dynamodb:DescribeTable",
                    "dynamodb:ConditionCheckItem",
                ],
                TABLE_AND_INDEXES,
            )],
        ),
        "DynamoDBReadPolicy" => (
            table,
            &[(
                &[
                    "dynamodb:GetItem",
                    "dynamodb:Scan",
                    "dynamodb:Query",
                    "dynamodb:BatchGetItem",
                    "dynamodb:DescribeTable",
                ],
                TABLE_AND_INDEXES,
            )],
        ),
        "DynamoDBWritePolicy" => (
            table,
            &[(
                &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"],
                TABLE_AND_INDEXES,
            )],
        ),
        "DynamoDBReconfigurePolicy" => (table, &[(&["dynamodb:UpdateTable"], TABLE)]),
        "DynamoDBBackupFullAccessPolicy" => (
            table,
            &[
                (&["dynamodb:CreateBackup", "dynamodb:DescribeContinuousBackups"], TABLE),
                (
                    &["dynamodb:DeleteBackup", "dynamodb:DescribeBackup", "dynamodb:ListBackups"],
                    BACKUPS,
                ),
            ],
        ),
        "DynamoDBRestoreFromBackupPolicy" => (
            table,
            &[
                (&["dynamodb:RestoreTableFromBackup"], BACKUPS),
                (
                    &[
                        "dynamodb:PutItem",
                        "dynamodb:UpdateItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:GetItem",
                        "dynamodb:Query",
                        "dynamodb:Scan",
                        "dynamodb:BatchWriteItem",
                    ],
                    TABLE,
                ),
            ],
        ),
        "DynamoDBStreamReadPolicy" => (
            &["TableName", "StreamName"],
            &[
                (
                    &[
                        "dynamodb:DescribeStream",
                        "dynamodb:GetRecords",
                        "dynamodb:GetShardIterator",
                    ],
                    &["dynamodb:…:table/${TableName}/stream/${StreamName}"],
                ),
                (&["dynamodb:ListStreams"], &["dynamodb:…:table/${TableName}/stream/*"]),
            ],
        ),
        "LambdaInvokePolicy" => (
            &["FunctionName"],
            &[(&["lambda:InvokeFunction"], &["lambda:…:function:${FunctionName}*"])],
        ),
        "SQSPollerPolicy" => (
            &["QueueName"],
            &[(
                &[
                    "sqs:ChangeMessageVisibility",
                    "sqs:ChangeMessageVisibilityBatch",
                    "sqs:DeleteMessage",
                    "sqs:DeleteMessageBatch",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ],
                &["sqs:…:${QueueName}"],
            )],
        ),
        "SQSSendMessagePolicy" => {
            (&["QueueName"], &[(&["sqs:SendMessage*"], &["sqs:…:${QueueName}"])])
        }
        _ => return None,
    };
    Some(PolicyTemplate { parameters, statements })
}

/// The templates about services that are not here.
pub(super) const OTHERS: [&str; 71] = [
    "AMIDescribePolicy",
    "AWSSecretsManagerGetSecretValuePolicy",
    "AWSSecretsManagerRotationPolicy",
    "AcmGetCertificatePolicy",
    "AthenaQueryPolicy",
    "CloudFormationDescribeStacksPolicy",
    "CloudWatchDashboardPolicy",
    "CloudWatchDescribeAlarmHistoryPolicy",
    "CloudWatchPutMetricPolicy",
    "CodeCommitCrudPolicy",
    "CodeCommitReadPolicy",
    "CodePipelineLambdaExecutionPolicy",
    "CodePipelineReadOnlyPolicy",
    "ComprehendBasicAccessPolicy",
    "CostExplorerReadOnlyPolicy",
    "EC2CopyImagePolicy",
    "EC2DescribePolicy",
    "EFSWriteAccessPolicy",
    "EKSDescribePolicy",
    "EcsRunTaskPolicy",
    "ElasticMapReduceAddJobFlowStepsPolicy",
    "ElasticMapReduceCancelStepsPolicy",
    "ElasticMapReduceModifyInstanceFleetPolicy",
    "ElasticMapReduceModifyInstanceGroupsPolicy",
    "ElasticMapReduceSetTerminationProtectionPolicy",
    "ElasticMapReduceTerminateJobFlowsPolicy",
    "ElasticsearchHttpPostPolicy",
    "EventBridgePutEventsPolicy",
    "FilterLogEventsPolicy",
    "FirehoseCrudPolicy",
    "FirehoseWritePolicy",
    "KMSDecryptPolicy",
    "KMSEncryptPolicy",
    "KMSEncryptPolicy_v2",
    "KinesisCrudPolicy",
    "KinesisStreamReadPolicy",
    "MobileAnalyticsWriteOnlyAccessPolicy",
    "OrganizationsListAccountsPolicy",
    "PinpointEndpointAccessPolicy",
    "PollyFullAccessPolicy",
    "RekognitionDetectOnlyPolicy",
    "RekognitionFacesManagementPolicy",
    "RekognitionFacesPolicy",
    "RekognitionLabelsPolicy",
    "RekognitionNoDataAccessPolicy",
    "RekognitionReadPolicy",
    "RekognitionWriteOnlyAccessPolicy",
    "Route53ChangeResourceRecordSetsPolicy",
    "S3CrudPolicy",
    "S3FullAccessPolicy",
    "S3ReadPolicy",
    "S3WritePolicy",
    "SESBulkTemplatedCrudPolicy",
    "SESBulkTemplatedCrudPolicy_v2",
    "SESCrudPolicy",
    "SESEmailTemplateCrudPolicy",
    "SESSendBouncePolicy",
    "SNSCrudPolicy",
    "SNSPublishMessagePolicy",
    "SSMParameterReadPolicy",
    "SSMParameterWithSlashPrefixReadPolicy",
    "SageMakerCreateEndpointConfigPolicy",
    "SageMakerCreateEndpointPolicy",
    "ServerlessRepoReadWriteAccessPolicy",
    "StepFunctionsCallbackPolicy",
    "StepFunctionsExecutionPolicy",
    "StepFunctionsExecutionPolicy_v2",
    "TextractDetectAnalyzePolicy",
    "TextractGetResultPolicy",
    "TextractPolicy",
    "VPCAccessPolicy",
];
