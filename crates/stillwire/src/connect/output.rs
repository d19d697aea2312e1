//! How `connect` shows what happens: for people, or as lines of JSON.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use crate::connect::client::{Event, Refusal};
use crate::style::{Style, visible};

/// Where a conversation is shown: messages on standard output, everything else on standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    out: Style,
    err: Style,
}

impl Output {
    pub(crate) fn new(json: bool, no_color: bool) -> Self {
        let (out, err) = (Style::of(&io::stdout(), no_color), Style::of(&io::stderr(), no_color));
        Self { json, out, err }
    }

    /// The connection is open.
    pub(crate) fn opened(self, url: &str, subprotocol: Option<&str>) {
        if self.json {
            return data(&json!({ "type": "open", "subprotocol": subprotocol }).to_string());
        }
        let chosen = subprotocol.map(|name| format!(" ({name})")).unwrap_or_default();
        note(&format!("{} {url}{}", self.err.green("connected"), visible(&chosen)));
    }

    /// The server said no.
    pub(crate) fn refused(self, Refusal { status, body }: &Refusal) {
        if self.json {
            let line = json!({ "type": "refused", "status": status, "body": body });
            return data(&line.to_string());
        }
        let meaning = match status {
            401 => ": the authorizer needs something that was not sent (-H 'Authorization: …'?)",
            403 => ": not allowed, or no such stage",
            426 => ": this address serves no WebSocket",
            502 => ": the function behind $connect failed",
            _ => "",
        };
        note(&format!("{} {status}{meaning}", self.err.red("refused")));
        if !body.is_empty() {
            note(&visible(body));
        }
    }

    /// An event, as it is printed; `None` where there is nothing to say.
    pub(crate) fn text_of(self, event: &Event) -> Option<String> {
        if self.json {
            return Some(json_of(event).to_string());
        }
        Some(match event {
            Event::Text(text) => format!("{} {}", self.out.dim("<"), pretty(text)),
            Event::Binary(bytes) => {
                format!("{} {} bytes of binary", self.out.dim("<"), bytes.len())
            }
            Event::Ping(_) => return None,
            Event::Pong(payload) => {
                let payload = visible(&String::from_utf8_lossy(payload));
                format!("{} {payload}", self.out.cyan("pong"))
            }
            Event::Closed(end) => {
                let (code, reason) = end.code_and_reason();
                format!("{} {code} {}", self.out.yellow("closed"), visible(reason))
                    .trim_end()
                    .to_owned()
            }
        })
    }

    /// Prints an event.
    pub(crate) fn event(self, event: &Event) {
        let Some(text) = self.text_of(event) else { return };
        if self.json || matches!(event, Event::Text(_) | Event::Binary(_)) {
            data(&text);
        } else {
            note(&text);
        }
    }

    /// A message that was sent, where the person did not type it.
    pub(crate) fn sent(self, text: &str) {
        if !self.json {
            note(&format!("{} {}", self.err.dim(">"), visible(text)));
        }
    }
}

/// Prints a line of data.
fn data(line: &str) {
    // A reader that has gone away wants no more lines.
    writeln!(io::stdout(), "{line}").ok();
}

/// Prints a line for the person at the terminal.
pub(crate) fn note(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}

/// JSON objects and arrays over several lines, other text as it is.
fn pretty(text: &str) -> String {
    let parsed = serde_json::from_str::<Value>(text).ok();
    match parsed.filter(|value| value.is_object() || value.is_array()) {
        Some(value) if text.len() > 72 => {
            serde_json::to_string_pretty(&value).unwrap_or_else(|_| text.to_owned())
        }
        _ => visible(text),
    }
}

fn json_of(event: &Event) -> Value {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match event {
        Event::Text(text) => json!({ "type": "message", "data": text }),
        Event::Binary(bytes) => json!({ "type": "binary", "bytes": bytes.len() }),
        Event::Ping(payload) => json!({ "type": "ping", "data": lossy(payload) }),
        Event::Pong(payload) => json!({ "type": "pong", "data": lossy(payload) }),
        Event::Closed(end) => {
            let (code, reason) = end.code_and_reason();
            json!({ "type": "close", "code": code, "reason": reason })
        }
    }
}
