//! The questions that a queue answers, in the JSON protocol of SQS.
//!
//! Source: Amazon SQS API: `GetQueueUrl`, `ReceiveMessage`, `DeleteMessageBatch`, `ChangeMessageVisibilityBatch`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use stillwire_awswire::{Credentials, SigningScope};
use stillwire_model::{LOCAL_KEYS, QueueArn};
use stillwire_outbound::service::{self, Ask};

use super::message::Message;
use crate::backoff::delay;
use crate::job::Job;

/// Messages of one answer, and entries of one request. Source: Amazon SQS API, `MaxNumberOfMessages` (10).
pub(super) const RECEIVE_MAX: usize = 10;

/// How long a queue may take for an answer, beside the time that it was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a request is tried without which a message comes twice.
const TRIES_MAX: u32 = 3;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueueError {
    /// Nobody answers there.
    #[error("{address}: {reason}")]
    Unreachable {
        /// What was asked.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// It answered with an error.
    #[error("{operation} was answered with {status}: {text}")]
    Refused {
        /// What was asked for.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        text: String,
    },
}

/// A queue. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    job: Arc<Job>,
    arn: QueueArn,
    endpoint: String,
    /// Its URL, as the service names it.
    url: OnceLock<String>,
}

impl Queue {
    pub(super) fn new(job: Arc<Job>, arn: QueueArn, endpoint: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { job, arn, endpoint, url: OnceLock::new() }))
    }

    /// Learns the queue's URL.
    pub(super) async fn find(&self) -> Result<(), QueueError> {
        let arn = &self.0.arn;
        let ask = json!({ "QueueName": arn.name(), "QueueOwnerAWSAccountId": arn.account() });
        let answer = self.ask("GetQueueUrl", ask, Duration::ZERO).await?;
        let given = answer.get("QueueUrl").and_then(Value::as_str).map(str::to_owned);
        let usual = || format!("{}/{}/{}", self.0.endpoint, arn.account(), arn.name());
        self.0.url.get_or_init(|| given.unwrap_or_else(usual));
        Ok(())
    }

    /// Receives up to so many messages; none when there are none for this long.
    pub(super) async fn receive(
        &self,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Message>, QueueError> {
        let ask = json!({
            "QueueUrl": self.url(),
            "MaxNumberOfMessages": most.clamp(1, RECEIVE_MAX),
            "WaitTimeSeconds": wait.as_secs(),
            // The older name of the member, and the one of today.
            "AttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let mut answer = self.ask("ReceiveMessage", ask, wait).await?;
        let messages = match answer.get_mut("Messages").map(Value::take) {
            Some(Value::Array(messages)) => messages,
            _ => Vec::new(),
        };
        Ok(messages.iter().filter_map(|message| Message::read(message, &self.0.arn)).collect())
    }

    /// Deletes messages; those that cannot be deleted come again.
    pub(super) async fn delete(&self, messages: &[&Message]) {
        for messages in messages.chunks(RECEIVE_MAX) {
            let entry = |(index, message): (usize, &&Message)| json!({ "Id": index.to_string(), "ReceiptHandle": message.receipt });
            let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
            self.change("DeleteMessageBatch", entries).await;
        }
    }

    /// Shows messages to others again that were not done.
    pub(super) async fn show_again(&self, messages: &[Message]) {
        for messages in messages.chunks(RECEIVE_MAX) {
            let entry = |(index, message): (usize, &Message)| json!({ "Id": index.to_string(), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0 });
            let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
            self.change("ChangeMessageVisibilityBatch", entries).await;
        }
    }

    async fn change(&self, operation: &'static str, entries: Vec<Value>) {
        let queue = self.0.arn.as_str();
        for tries in 1..=TRIES_MAX {
            let ask = json!({ "QueueUrl": self.url(), "Entries": &entries });
            match self.ask(operation, ask, Duration::ZERO).await {
                Ok(answer) => {
                    let failed = answer.get("Failed").and_then(Value::as_array);
                    if let Some(failed) = failed.filter(|failed| !failed.is_empty()) {
                        let count = failed.len();
                        tracing::warn!(
                            queue,
                            "{operation} failed for {count} messages: they come again"
                        );
                    }
                    return;
                }
                Err(error) if tries == TRIES_MAX => {
                    tracing::warn!(queue, %error, "messages that are done come again");
                }
                Err(_) => {
                    let pause = delay(Duration::from_millis(100), Duration::from_secs(1), tries);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn url(&self) -> &str {
        self.0.url.get().map_or("", String::as_str)
    }

    async fn ask(
        &self,
        operation: &'static str,
        ask: Value,
        wait: Duration,
    ) -> Result<Value, QueueError> {
        let Inner { job, arn, endpoint, .. } = &*self.0;
        let body = ask.to_string();
        let target = format!("AmazonSQS.{operation}");
        let (path, headers) = service::address("sqs", &Ask::Json(&target), body.as_bytes());
        let address = format!("{endpoint}{path}");
        let failed = |reason: String| QueueError::Unreachable { address: address.clone(), reason };
        let mut request = Request::post(&address)
            .body(Bytes::from(body))
            .map_err(|error| failed(error.to_string()))?;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                request.headers_mut().insert(name, value);
            }
        }
        let seconds = i64::try_from(job.now() / 1000).unwrap_or(0);
        let scope = SigningScope { region: arn.region(), service: "sqs", epoch_seconds: seconds };
        let keys = Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret);
        service::add_signature(&mut request, &keys, &scope);
        let answer = job.ports.outbound.send(request, ANSWER_TIMEOUT + wait).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let (status, body) = (answer.status().as_u16(), answer.body());
        if !answer.status().is_success() {
            let text = String::from_utf8_lossy(body).chars().take(200).collect();
            return Err(QueueError::Refused { operation, status, text });
        }
        // Some answers are empty.
        Ok(serde_json::from_slice(body).unwrap_or_default())
    }
}
