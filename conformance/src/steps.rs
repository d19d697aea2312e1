//! The steps of a case: a table each, one word of which says what is done.

#![allow(clippy::struct_field_names, reason = "the word that begins a step is its kind")]

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Result;

/// One step, and how long it may take.
#[derive(Debug)]
pub(crate) struct Step {
    /// The word that says what is done.
    pub(crate) verb: &'static str,
    pub(crate) what: What,
    pub(crate) at_least: Option<Duration>,
    pub(crate) at_most: Option<Duration>,
}

/// The words, and the step that each begins.
macro_rules! verbs {
    ($($verb:literal => $step:ident,)*) => {
        /// What is done.
        #[derive(Debug)]
        pub(crate) enum What { $($step($step),)* }

        const VERBS: &[&str] = &[$($verb,)*];

        fn what(verb: &str, words: Value) -> Result<What> {
            match verb {
                $($verb => read(words).map(What::$step),)*
                other => Err(format!("no step begins with {other:?}")),
            }
        }
    };
}

verbs! {
    "connect" => Connect,
    "send" => Send,
    "send-bytes" => SendBytes,
    "ping" => Ping,
    "receive" => Receive,
    "pong" => Pong,
    "silence" => Silence,
    "close" => Close,
    "closed" => Closed,
    "leave" => Leave,
    "event" => Event,
    "no-event" => NoEvent,
    "request" => Request,
    "no-request" => NoRequest,
    "logged" => Logged,
    "http" => Http,
    "call" => Call,
    "sign" => Sign,
    "check" => Check,
    "holds" => Holds,
    "wait" => Wait,
    "validate" => Validate,
    "edit" => Edit,
    "signal" => Signal,
    "after-the-end" => AfterTheEnd,
}

/// A step as a table with these words and no others.
macro_rules! steps {
    ($($(#[$about:meta])* $name:ident { $($(#[$on:meta])* $field:ident: $kind:ty,)* })*) => { $(
        $(#[$about])*
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$on])* pub(crate) $field: $kind,)* }
    )* };
}

steps! {
    /// Opens a connection under a name, or is refused.
    Connect {
        connect: String,
        /// Which stage, instead of the case's.
        stage: Option<String>,
        /// What stands after the stage's path, `?room=1` for example.
        #[serde(default)] then: String,
        /// The whole URL, instead of the stage's.
        url: Option<String>,
        /// `ws`, unless it is `wss`.
        scheme: Option<String>,
        /// Headers: a table, or a list of pairs; `Host` is the URL's unless it is among them.
        #[serde(default)] headers: Value,
        /// What the actor does with the handshake.
        does: Option<Value>,
        /// What the authorizer does.
        gate: Option<Value>,
        /// Whether the answer is waited for.
        #[serde(default = "yes")] answer: bool,
        /// The status that is expected; 101 unless it is said.
        status: Option<u16>,
        /// The body of a refusal.
        body: Option<Value>,
        /// Headers of the 101, by their names in lower case.
        with: Option<Value>,
    }
    /// Sends a text message; a table is sent as JSON.
    Send {
        send: Value,
        by: Option<String>,
        /// The largest frame, in bytes; one frame unless it is said.
        frames: Option<usize>,
    }
    /// Sends bytes as they are, in hexadecimal.
    SendBytes { send_bytes: String, by: Option<String>, }
    /// Sends a ping.
    Ping { ping: String, by: Option<String>, }
    /// Expects a message: a text, or a table that it is as JSON.
    Receive { receive: Value, by: Option<String>, }
    /// Expects a pong.
    Pong { pong: String, by: Option<String>, }
    /// Expects nothing for so long.
    Silence { silence: String, by: Option<String>, }
    /// Sends a close frame (1005: without a code) and expects its echo.
    Close { close: u16, #[serde(default)] reason: String, by: Option<String>, }
    /// Expects a close frame.
    Closed { closed: u16, reason: Option<String>, by: Option<String>, }
    /// Goes away without a word: `reset`, or `end` of TCP.
    Leave { leave: Goodbye, by: Option<String>, }
    /// Expects that a function got an event: of a type (`CONNECT`, `MESSAGE`, `DISCONNECT`, `AUTHORIZER`, `ANY`).
    Event {
        event: String,
        /// Whose: a connection's name, an id, or `anyone`.
        of: Option<String>,
        #[serde(default = "anything")] is: Value,
        /// Whether it has what is named and nothing more.
        #[serde(default)] exactly: bool,
        /// How many there are in the end.
        times: Option<usize>,
    }
    /// Expects that no function gets such an event for so long.
    NoEvent {
        no_event: String,
        of: Option<String>,
        #[serde(default = "anything")] is: Value,
        #[serde(default = "soon")] within: String,
    }
    /// Expects that a backend got a request.
    Request { request: Value, }
    /// Expects that no backend gets such a request for so long.
    NoRequest { no_request: Value, #[serde(default = "soon")] within: String, }
    /// Expects a line of an access log, as JSON.
    Logged { logged: Value, #[serde(default)] exactly: bool, }
    /// Sends an HTTP request, `GET /prod` for example.
    Http {
        http: String,
        stage: Option<String>,
        /// Where to, instead of the stage's address.
        endpoint: Option<String>,
        #[serde(default)] headers: Value,
        #[serde(default)] body: String,
        status: u16,
        /// The body of the answer.
        is: Option<Value>,
        /// Headers of the answer, by their names in lower case.
        with: Option<Value>,
        /// How often it is sent at most until the status comes.
        up_to: Option<usize>,
    }
    /// Calls an operation through an SDK: `boto3` unless it says `js`, or each of both.
    Call {
        call: String,
        #[serde(default = "boto3")] sdks: Vec<Sdk>,
        /// `@connections`, unless it is a service of the local AWS endpoint.
        service: Option<String>,
        stage: Option<String>,
        endpoint: Option<String>,
        #[serde(default)] with: Map<String, Value>,
        /// `[access key, secret]`.
        keys: Option<(String, String)>,
        gives: Option<Value>,
        fails: Option<Value>,
    }
    /// Signs a handshake as boto3 would, and keeps what it has to say: in the query, or as headers.
    Sign {
        sign: String,
        stage: Option<String>,
        keys: (String, String),
        #[serde(default = "region")] region: String,
        /// A query that is signed as well.
        #[serde(default)] query: String,
    }
    /// A check that is written in Rust.
    Check { check: String, #[serde(default)] of: Vec<String>, }
    /// Compares two values: `<a> < <b>`.
    Holds { holds: String, }
    /// Waits.
    Wait { wait: String, }
    /// Runs `stillwire check` on the app's template with changes: `Resource.Property` to value.
    Validate {
        validate: Map<String, Value>,
        #[serde(default)] accepted: bool,
        /// What it says, in pieces.
        #[serde(default)] says: Vec<String>,
    }
    /// Changes a file of the app.
    Edit { edit: String, from: String, to: String, }
    /// Sends the program a signal, `TERM` or `INT`.
    Signal { signal: String, }
    /// Waits for the end of the program, and starts it again where it is wanted.
    AfterTheEnd { after_the_end: Next, }
}

/// An SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sdk {
    Boto3,
    Js,
}

/// How a client leaves without a close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Goodbye {
    /// TCP ends as it should.
    End,
    /// TCP is reset.
    Reset,
}

/// What follows the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Next {
    Nothing,
    Start,
}

fn yes() -> bool {
    true
}

fn anything() -> Value {
    "<any>".into()
}

fn soon() -> String {
    "300ms".to_owned()
}

fn boto3() -> Vec<Sdk> {
    vec![Sdk::Boto3]
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl Step {
    /// Reads a step.
    pub(crate) fn read(written: Value) -> Result<Self> {
        let Value::Object(mut words) = written else { return Err("a step is a table".to_owned()) };
        let mut verbs = VERBS.iter().copied().filter(|verb| words.contains_key(*verb));
        let (Some(verb), None) = (verbs.next(), verbs.next()) else {
            return Err(format!("{words:?} does not say one thing that is done"));
        };
        let mut time = |name: &str| match words.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => duration(&text).map(Some),
            Some(other) => Err(format!("{other} is no time")),
        };
        let (at_least, at_most) = (time("at-least")?, time("at-most")?);
        let what = what(verb, Value::Object(words))?;
        Ok(Self { verb, what, at_least, at_most })
    }
}

fn read<T: DeserializeOwned>(words: Value) -> Result<T> {
    serde_json::from_value(words).map_err(|error| error.to_string())
}

/// A time: `300ms`, `2s`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let millis = text.strip_suffix("ms").map(|number| (number, 1));
    let seconds = text.strip_suffix('s').map(|number| (number, 1000));
    let read = millis.or(seconds).and_then(|(number, unit)| {
        Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit)?))
    });
    read.ok_or_else(|| format!("{text:?} is no time (300ms, 2s)"))
}
