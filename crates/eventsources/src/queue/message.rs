//! Messages as functions get them.
//!
//! Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", example event.

use serde_json::{Map, Value, json};
use stillwire_model::QueueArn;

/// A message on its way to a function.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    /// By which it is deleted.
    pub(super) receipt: String,
    /// The message in the form in which functions get it and filters see it.
    pub(super) event: Value,
    /// About how long it is as text.
    pub(super) bytes: usize,
}

impl Message {
    /// Reads a message as the queue has given it; `None` when it is none.
    pub(super) fn read(sent: &Value, queue: &QueueArn) -> Option<Self> {
        let text = |name: &str| Some(sent.get(name)?.as_str()?.to_owned());
        let (id, receipt) = (text("MessageId")?, text("ReceiptHandle")?);
        let body = text("Body").unwrap_or_default();
        let attributes = sent.get("Attributes").cloned().unwrap_or_else(|| json!({}));
        let own = sent.get("MessageAttributes").and_then(Value::as_object);
        let own: Map<String, Value> = own
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), attribute(value)))
            .collect();
        let mut event = json!({
            "messageId": &id,
            "receiptHandle": &receipt,
            "body": body,
            "attributes": attributes,
            "messageAttributes": own,
            "md5OfBody": text("MD5OfBody").unwrap_or_default(),
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.as_str(),
            "awsRegion": queue.region(),
        });
        if let (Some(md5), Some(members)) = (text("MD5OfMessageAttributes"), event.as_object_mut())
        {
            members.insert("md5OfMessageAttributes".to_owned(), md5.into());
        }
        let bytes = event.to_string().len();
        Some(Self { id, receipt, event, bytes })
    }
}

/// An attribute of a message: the API and the event write its members differently.
fn attribute(sent: &Value) -> Value {
    let mut event = Map::new();
    for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
        if let Some(value) = sent.get(from).filter(|value| !value.is_null()) {
            event.insert(to.to_owned(), value.clone());
        }
    }
    event.insert("stringListValues".to_owned(), json!([]));
    event.insert("binaryListValues".to_owned(), json!([]));
    event.insert("dataType".to_owned(), sent.get("DataType").cloned().unwrap_or_default());
    Value::Object(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_as_functions_know_it() {
        let queue = QueueArn::parse("arn:aws:sqs:eu-west-1:1:jobs").unwrap();
        let sent = json!({ "MessageId": "m", "ReceiptHandle": "r", "Body": "hello", "MD5OfBody": "5d",
            "Attributes": { "ApproximateReceiveCount": "1" },
            "MessageAttributes": { "kind": { "StringValue": "a", "DataType": "String" } } });
        let message = Message::read(&sent, &queue).unwrap();
        let expected = json!({
            "messageId": "m", "receiptHandle": "r", "body": "hello",
            "attributes": { "ApproximateReceiveCount": "1" },
            "messageAttributes": { "kind": { "stringValue": "a", "stringListValues": [],
                "binaryListValues": [], "dataType": "String" } },
            "md5OfBody": "5d", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:1:jobs", "awsRegion": "eu-west-1",
        });
        assert_eq!(message.event, expected);
        assert_eq!((message.id.as_str(), message.receipt.as_str()), ("m", "r"));
        assert!(Message::read(&json!({ "Body": "x" }), &queue).is_none());
    }
}
