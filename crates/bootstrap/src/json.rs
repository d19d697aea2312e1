//! Services of the JSON protocol: JSON in and out, the operation in a header.
//!
//! Source: Smithy, "AWS JSON 1.1 protocol".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stillwire_model::{BoxFuture, ServiceReply, ServiceRequest};
use uuid::Uuid;

use crate::error::{Answered, Refused};
use crate::place::Place;

/// The members of a request.
#[derive(Debug, Default)]
pub(crate) struct Members(Map<String, Value>);

/// Answers a request by an operation, of which it gets the name.
pub(crate) fn answer(
    request: &ServiceRequest,
    operate: impl FnOnce(&str, &Members) -> Answered<Value>,
) -> ServiceReply {
    let operation = request.target.split_once('.').map_or("", |(_, operation)| operation);
    let members = match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => Ok(Members(members)),
        _ if request.body.is_empty() => Ok(Members::default()),
        _ => Err(Refused::new(400, "SerializationException", "the body is not a JSON object")),
    };
    let (status, body) = match members.and_then(|members| operate(operation, &members)) {
        Ok(body) => (200, body),
        Err(Refused { status, code, message }) => {
            (status, json!({ "__type": code, "message": message }))
        }
    };
    ServiceReply {
        status,
        content_type: "application/x-amz-json-1.1",
        request_id: Uuid::new_v4().to_string(),
        body: body.to_string().into(),
    }
}

/// Answers a request by an operation that waits for the disk: it gets where the caller is, and its own name.
pub(crate) fn answer_from_disk(
    request: ServiceRequest,
    operate: impl FnOnce(&Place, &str, &Members) -> Answered<Value> + Send + 'static,
) -> BoxFuture<'static, ServiceReply> {
    Box::pin(async move {
        let answering = move || {
            let place = Place::of(&request.caller);
            answer(&request, |operation, members| operate(&place, operation, members))
        };
        let answered = tokio::task::spawn_blocking(answering).await;
        answered.unwrap_or_else(|error| failed(&error))
    })
}

/// The answer where an operation did not come to its end.
pub(crate) fn failed(error: &tokio::task::JoinError) -> ServiceReply {
    tracing::error!(%error, "a call panicked");
    ServiceReply {
        status: 500,
        content_type: "application/x-amz-json-1.1",
        request_id: Uuid::new_v4().to_string(),
        body: json!({ "__type": "InternalFailure" }).to_string().into(),
    }
}

impl Members {
    pub(crate) fn text(&self, name: &str) -> Answered<Option<&str>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refused::invalid(format!("{name} is not a text"))),
        }
    }

    pub(crate) fn needed(&self, name: &str) -> Answered<&str> {
        self.text(name)?.ok_or_else(|| Refused::invalid(format!("{name} must not be null")))
    }

    pub(crate) fn number(&self, name: &str) -> Answered<Option<u64>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(Refused::invalid(format!("{name} is not a number from 0 on"))),
            },
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A list of texts, or nothing.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.0
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Tags, in either of the forms that services have: a map, or a list of pairs.
    pub(crate) fn tags(&self, name: &str) -> BTreeMap<String, String> {
        let pair = |tag: &Value| {
            let text = |member| tag.get(member).and_then(Value::as_str).map(str::to_owned);
            Some((text("Key")?, text("Value").unwrap_or_default()))
        };
        match self.0.get(name) {
            Some(Value::Array(tags)) => tags.iter().filter_map(pair).collect(),
            Some(Value::Object(tags)) => tags
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    /// A list of objects.
    pub(crate) fn objects(&self, name: &str) -> impl Iterator<Item = &Map<String, Value>> {
        self.0
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
    }
}
