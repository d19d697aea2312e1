//! Answers that are ours to word.
//!
//! Source: DynamoDB service model; the prefix of each family is what SDKs and tests of others rely on.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use stillwire_model::Reply;

/// A refusal, worded as DynamoDB words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    family: &'static str,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// The request is wrong in itself.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self {
            family: "com.amazon.coral.validate",
            code: "ValidationException",
            message: message.into(),
        }
    }

    /// An error that the service's model declares.
    pub(crate) fn modelled(code: &'static str, message: impl Into<String>) -> Self {
        Self { family: "com.amazonaws.dynamodb.v20120810", code, message: message.into() }
    }

    /// What is asked for is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::modelled("ResourceNotFoundException", message)
    }

    /// A value that breaks a rule of the model. Source: the wording of AWS's request validation.
    pub(crate) fn constraint(member: &str, value: &str, rule: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
        ))
    }

    /// A member that has to be there and is not.
    pub(crate) fn missing(member: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
             Member must not be null"
        ))
    }

    /// The text is not what the service reads.
    pub(crate) fn serialization() -> Self {
        Self {
            family: "com.amazon.coral.service",
            code: "SerializationException",
            message: String::new(),
        }
    }

    /// There is no such operation.
    pub(crate) fn unknown_operation() -> Self {
        Self {
            family: "com.amazon.coral.service",
            code: "UnknownOperationException",
            message: String::new(),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let Refusal { family, code, message } = refusal;
        let mut text = Map::new();
        text.insert("__type".to_owned(), format!("{family}#{code}").into());
        if !message.is_empty() {
            text.insert("message".to_owned(), message.into());
        }
        Self { status: 400, body: Bytes::from(Value::Object(text).to_string()) }
    }
}

/// An answer that SDKs retry.
pub(crate) fn internal(reason: &dyn std::fmt::Display) -> Reply {
    tracing::error!(%reason, "a table request failed");
    let text = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
        "message": "The request processing has failed because of an unknown error",
    });
    Reply { status: 500, body: Bytes::from(text.to_string()) }
}

/// An answer with a result.
pub(crate) fn ok(result: &Value) -> Reply {
    Reply { status: 200, body: Bytes::from(result.to_string()) }
}
