//! The ARNs of streams and queues.

use std::fmt;
use std::sync::Arc;

use crate::ids::InvalidId;

/// The ARN of a table's stream: `arn:{partition}:dynamodb:{region}:{account}:table/{table}/stream/{label}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamArn(Arc<str>);

/// The ARN of a queue: `arn:{partition}:sqs:{region}:{account}:{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueArn(Arc<str>);

/// The six fields of an ARN.
fn fields(text: &str) -> Option<[&str; 6]> {
    let fields: Vec<&str> = text.splitn(6, ':').collect();
    let fields: [&str; 6] = fields.try_into().ok()?;
    (fields[0] == "arn" && fields.iter().all(|field| !field.is_empty())).then_some(fields)
}

impl StreamArn {
    /// Reads the ARN of a stream.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let is_stream = |[_, _, service, _, _, resource]: [&str; 6]| {
            let mut parts = resource.splitn(4, '/');
            let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
            let [Some("table"), Some(table), Some("stream"), Some(label)] = parts else {
                return false;
            };
            service == "dynamodb" && !table.is_empty() && !label.is_empty() && !label.contains('/')
        };
        let expected =
            "the ARN of a stream (arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/stream/LABEL)";
        fields(text)
            .is_some_and(is_stream)
            .then(|| Self(text.into()))
            .ok_or_else(|| InvalidId::new(text, expected))
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The table whose stream it is.
    pub fn table(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    /// The ARN of that table.
    pub fn table_arn(&self) -> &str {
        self.0.split("/stream/").next().unwrap_or_default()
    }

    /// The label: what tells it from earlier streams of the table.
    pub fn label(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The account in the ARN.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// The region in the ARN.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

impl QueueArn {
    /// Reads the ARN of a queue.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let is_queue =
            |[_, _, service, _, _, name]: [&str; 6]| service == "sqs" && !name.contains([':', '/']);
        fields(text).is_some_and(is_queue).then(|| Self(text.into())).ok_or_else(|| {
            InvalidId::new(text, "the ARN of a queue (arn:aws:sqs:REGION:ACCOUNT:NAME)")
        })
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        self.field(5)
    }

    /// The account in the ARN.
    pub fn account(&self) -> &str {
        self.field(4)
    }

    /// The region in the ARN.
    pub fn region(&self) -> &str {
        self.field(3)
    }

    /// Whether it keeps the order of its messages.
    ///
    /// Source: Amazon SQS Developer Guide, "FIFO queue" (its name ends in `.fifo`).
    pub fn is_fifo(&self) -> bool {
        self.name().rsplit_once('.').is_some_and(|(_, end)| end == "fifo")
    }

    fn field(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for QueueArn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_give_their_parts_and_others_are_refused() {
        let text = "arn:aws:dynamodb:eu-west-1:1:table/Chat/stream/2026-01-01T00:00:00.000";
        let stream = StreamArn::parse(text).unwrap();
        assert_eq!((stream.table(), stream.region()), ("Chat", "eu-west-1"));
        assert_eq!(stream.label(), "2026-01-01T00:00:00.000");
        assert_eq!(stream.table_arn(), "arn:aws:dynamodb:eu-west-1:1:table/Chat");
        let queue = QueueArn::parse("arn:aws:sqs:eu-west-1:1:jobs.fifo").unwrap();
        assert_eq!((queue.name(), queue.account(), queue.is_fifo()), ("jobs.fifo", "1", true));
        for text in [
            "",
            "Chat",
            "arn:aws:dynamodb:eu-west-1:1:table/Chat",
            "arn:aws:dynamodb:eu-west-1:1:table//stream/x",
            "arn:aws:dynamodb:eu-west-1:1:table/Chat/stream/x/y",
            "arn:aws:kinesis:eu-west-1:1:table/Chat/stream/x",
        ] {
            assert!(StreamArn::parse(text).is_err(), "{text}");
        }
        for text in ["arn:aws:sqs:eu-west-1:1:", "arn:aws:sqs:eu-west-1:1:a:b", "arn:aws:sns:r:1:a"]
        {
            assert!(QueueArn::parse(text).is_err(), "{text}");
        }
    }
}
