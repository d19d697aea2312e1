//! Tumbling windows: a state that is carried from batch to batch, for a time.
//!
//! Source: AWS Lambda Developer Guide, "Implementing stateful DynamoDB stream processing in Lambda".

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stillwire_awswire::iso_millis;
use stillwire_model::limits;

/// A window that is open, with what the function has said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenWindow {
    /// Its first moment, in milliseconds since 1970.
    pub(super) start: u64,
    /// The first moment after it.
    pub(super) end: u64,
    /// The state, as JSON text.
    pub(super) state: String,
}

/// What an invocation is told of its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WindowCall {
    pub(super) window: OpenWindow,
    /// Whether it is the last one of the window.
    pub(super) is_final: bool,
}

#[derive(Debug, Serialize)]
struct Bounds {
    start: String,
    end: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    state: Option<Box<RawValue>>,
}

impl OpenWindow {
    /// The window of this length that a moment is in. All begin at multiples of their length since 1970.
    pub(super) fn around(moment: u64, length: Duration) -> Self {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        let start = moment / length * length;
        Self { start, end: start.saturating_add(length), state: "{}".to_owned() }
    }

    /// Whether its state became larger than it may.
    pub(super) fn is_too_large(&self) -> bool {
        self.state.len() > limits::WINDOW_STATE_BYTES_MAX
    }
}

impl WindowCall {
    /// The members of the event, after `Records`.
    pub(super) fn members(&self, shard: &str, stream: &str) -> String {
        let OpenWindow { start, end, state } = &self.window;
        let whole_seconds = |millis: u64| iso_millis(millis).replace(".000Z", "Z");
        let bounds = Bounds { start: whole_seconds(*start), end: whole_seconds(*end) };
        let bounds = serde_json::to_string(&bounds).unwrap_or_default();
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let early = self.is_final && self.window.is_too_large();
        format!(
            r#","window":{bounds},"state":{state},"shardId":{},"eventSourceARN":{},"isFinalInvokeForWindow":{},"isWindowTerminatedEarly":{early}"#,
            text(shard),
            text(stream),
            self.is_final,
        )
    }
}

/// The state in a function's answer; without one, the invocation has failed.
pub(super) fn state_of(answer: &[u8]) -> Option<String> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    answer.state.map(|state| state.get().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        let window = OpenWindow::around(1_600_000_061_500, Duration::from_mins(1));
        assert_eq!((window.start, window.end), (1_600_000_020_000, 1_600_000_080_000));
    }

    #[test]
    fn an_invocation_is_told_of_its_window() {
        let mut window = OpenWindow::around(1_600_000_020_000, Duration::from_mins(1));
        window.state = r#"{"sum":3}"#.to_owned();
        let call = WindowCall { window, is_final: true };
        let event: Value =
            serde_json::from_str(&format!("{{\"Records\":[]{}}}", call.members("s", "arn")))
                .unwrap();
        let expected = json!({ "Records": [],
            "window": { "start": "2020-09-13T12:27:00Z", "end": "2020-09-13T12:28:00Z" },
            "state": { "sum": 3 }, "shardId": "s", "eventSourceARN": "arn",
            "isFinalInvokeForWindow": true, "isWindowTerminatedEarly": false });
        assert_eq!(event, expected);
    }

    #[test]
    fn an_answer_without_a_state_is_a_failure() {
        assert_eq!(state_of(br#"{"state":{"a":1}}"#).as_deref(), Some(r#"{"a":1}"#));
        for answer in ["", "null", "{}", r#"{"state":null}"#] {
            assert_eq!(state_of(answer.as_bytes()), None, "{answer}");
        }
    }
}
