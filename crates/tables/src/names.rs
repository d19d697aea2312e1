//! The ARNs of tables: the engine has one account and region of its own, the world has real ones.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

/// How the engine begins every ARN.
const ENGINE_PREFIX: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// The operations that speak of resources and not of items. Items are never rewritten: they are the user's.
const TRANSLATED: [&str; 14] = [
    "CreateTable",
    "DeleteTable",
    "DescribeTable",
    "UpdateTable",
    "ListTagsOfResource",
    "TagResource",
    "UntagResource",
    "UpdateTimeToLive",
    "DescribeTimeToLive",
    "ListStreams",
    "DescribeStream",
    "GetShardIterator",
    "DescribeContinuousBackups",
    "GetResourcePolicy",
];

/// Which table has which ARN.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By table name: everything of its ARN before `table/`.
    prefixes: RwLock<HashMap<String, String>>,
}

impl Names {
    /// Learns the ARN of a table.
    pub(crate) fn learn(&self, name: &str, arn: &str) {
        if let Some(prefix) = arn.strip_suffix(name).and_then(|rest| rest.strip_suffix("table/")) {
            self.prefixes
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(name.to_owned(), prefix.to_owned());
        }
    }

    /// Whether ARNs in an operation's request and answer name resources.
    pub(crate) fn is_translated(target: &str) -> bool {
        target.split_once('.').is_some_and(|(_, operation)| TRANSLATED.contains(&operation))
    }

    /// A request as the engine understands it.
    pub(crate) fn inward(&self, body: Bytes) -> Bytes {
        let prefixes = self.prefixes.read().unwrap_or_else(PoisonError::into_inner);
        let Ok(text) = str::from_utf8(&body) else { return body };
        let known = prefixes.values().find(|prefix| text.contains(prefix.as_str()));
        match known {
            Some(prefix) => text.replace(prefix.as_str(), ENGINE_PREFIX).into(),
            None => body,
        }
    }

    /// An answer as the world understands it.
    pub(crate) fn outward(&self, body: Bytes) -> Bytes {
        let Ok(text) = str::from_utf8(&body) else { return body };
        if !text.contains(ENGINE_PREFIX) {
            return body;
        }
        let prefixes = self.prefixes.read().unwrap_or_else(PoisonError::into_inner);
        let mut pieces = text.split(ENGINE_PREFIX);
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let name = piece
                .strip_prefix("table/")
                .and_then(|rest| rest.split(['"', '/']).next())
                .unwrap_or_default();
            out.push_str(prefixes.get(name).map_or(ENGINE_PREFIX, String::as_str));
            out.push_str(piece);
        }
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_translated_both_ways_and_items_are_left_alone() {
        let names = Names::default();
        names.learn("Chat", "arn:aws:dynamodb:eu-west-1:999999999999:table/Chat");
        let inside = r#"{"TableArn":"arn:aws:dynamodb:dynoxide:000000000000:table/Chat","S":"arn:aws:dynamodb:dynoxide:000000000000:table/Chat/stream/x"}"#;
        let outside = r#"{"TableArn":"arn:aws:dynamodb:eu-west-1:999999999999:table/Chat","S":"arn:aws:dynamodb:eu-west-1:999999999999:table/Chat/stream/x"}"#;
        assert_eq!(names.outward(inside.into()), outside);
        assert_eq!(names.inward(outside.into()), inside);
        assert!(Names::is_translated("DynamoDB_20120810.DescribeTable"));
        assert!(!Names::is_translated("DynamoDB_20120810.PutItem"));
    }
}
