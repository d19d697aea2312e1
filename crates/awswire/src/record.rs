//! What records of Lambda's invocations have in common: those of events, and those of batches that were given up.
//!
//! Source: AWS Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations" and "Retain discarded records
//! for a DynamoDB event source in Lambda".

use serde::Serialize;

use crate::iso_millis;

/// What was asked for, and why it is told; `C` is the word for that.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext<'a, C> {
    /// The id of the last invocation.
    pub request_id: &'a str,
    /// The function, with its qualifier.
    pub function_arn: String,
    /// Why it is told.
    pub condition: C,
    /// How often it was invoked.
    pub approximate_invoke_count: u32,
}

/// What the last invocation came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseContext<'a> {
    /// 200 where the function ran, also where it failed.
    pub status_code: u16,
    /// The version that ran.
    pub executed_version: &'a str,
    /// How it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_error: Option<&'static str>,
}

/// The key of a record in a bucket: `{prefix}/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-{unique}`.
pub fn record_key(prefix: &str, epoch_millis: u64, unique: &str) -> String {
    let time = iso_millis(epoch_millis).replace(':', ".");
    let (seconds, _) = time.rsplit_once('.').unwrap_or((&time, ""));
    let day = seconds.split('T').next().unwrap_or_default().replace('-', "/");
    format!("{prefix}/{day}/{seconds}-{unique}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_day_and_the_second() {
        let key = record_key("aws/lambda/async/chat", 1_738_660_353_120, "u");
        assert_eq!(key, "aws/lambda/async/chat/2025/02/04/2025-02-04T09.12.33-u");
    }
}
