//! Operations whose answer never changes here: what tools ask before and after their work.
//!
//! Source: DynamoDB service model and API reference. What is not served is answered as a table that never had it.

use serde_json::{Value, json};

use crate::errors::Refusal;
use crate::place::Place;

/// Whether an operation's answer is a constant for a table that exists.
pub(crate) fn is_about_table(operation: &str) -> bool {
    matches!(
        operation,
        "DescribeContinuousBackups"
            | "DescribeContributorInsights"
            | "DescribeKinesisStreamingDestination"
            | "DescribeTableReplicaAutoScaling"
            | "GetResourcePolicy"
    )
}

/// That answer; `None` for all other operations.
pub(crate) fn about_table(
    operation: &str,
    place: &Place,
    table: &str,
) -> Option<Result<Value, Refusal>> {
    let answer = match operation {
        "DescribeContinuousBackups" => json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" },
        }}),
        "DescribeContributorInsights" => {
            json!({ "TableName": table, "ContributorInsightsStatus": "DISABLED" })
        }
        "DescribeKinesisStreamingDestination" => {
            json!({ "TableName": table, "KinesisDataStreamDestinations": [] })
        }
        "DescribeTableReplicaAutoScaling" => json!({ "TableAutoScalingDescription": {
            "TableName": table, "TableStatus": "ACTIVE", "Replicas": [],
        }}),
        "GetResourcePolicy" => {
            let arn = place.table_arn(table);
            return Some(Err(Refusal::modelled(
                "PolicyNotFoundException",
                format!("Resource-based policy not found for the provided ResourceArn: {arn}"),
            )));
        }
        _ => return None,
    };
    Some(Ok(answer))
}

/// The answer to an operation that is a constant for everybody; `None` for all other operations.
pub(crate) fn for_all(operation: &str, place: &Place) -> Option<Value> {
    Some(match operation {
        // Source: DynamoDB quotas, defaults of an account.
        "DescribeLimits" => json!({
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        }),
        "DescribeEndpoints" => {
            let address = format!("dynamodb.{}.amazonaws.com", place.region);
            json!({ "Endpoints": [{ "Address": address, "CachePeriodInMinutes": 1440 }] })
        }
        "ListBackups" => json!({ "BackupSummaries": [] }),
        "ListExports" => json!({ "ExportSummaries": [] }),
        "ListImports" => json!({ "ImportSummaryList": [] }),
        "ListGlobalTables" => json!({ "GlobalTables": [] }),
        "ListContributorInsights" => json!({ "ContributorInsightsSummaries": [] }),
        _ => return None,
    })
}
