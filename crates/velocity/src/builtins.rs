//! What API Gateway provides: `$input`, `$util`, `$context`, `$stageVariables`.
//!
//! Source: API Gateway Developer Guide, mapping template reference for WebSocket APIs.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use crate::error::Fault;
use crate::evaluate::Evaluator;
use crate::input::{ContextValue, ParamPlace};
use crate::json_path::{JsonPath, Selection};
use crate::value::{Entries, Value};

/// The branches of `$context` that a template may write to.
const OVERRIDES: [&str; 2] = ["requestOverride", "responseOverride"];

/// What `$input` gives for a message without a body.
///
/// Source: observed with API Gateway REST APIs: `$input.body` of a request without a body is `{}`. Believed: the same
/// on `$connect`.
const EMPTY_BODY: &str = "{}";

impl Evaluator<'_> {
    pub(crate) fn provided_property(&mut self, value: &Value, name: &str) -> Result<Value, Fault> {
        match value {
            Value::Context(branch) => self.context(&dotted(branch, name)),
            Value::Override(branch) => Ok(self.override_of(&dotted(branch, name))),
            Value::StageVariables => match self.input.stage_variable(name) {
                Some(text) => self.heap.text(text),
                None => Ok(Value::Missing),
            },
            Value::Input if name == "body" => self.body_text(),
            _ => Ok(Value::Null),
        }
    }

    fn context(&mut self, name: &str) -> Result<Value, Fault> {
        if OVERRIDES.contains(&name) {
            return Ok(Value::Override(Arc::from(name)));
        }
        Ok(match self.input.context(name) {
            ContextValue::Missing => Value::Missing,
            ContextValue::Text(text) => self.heap.text(text)?,
            ContextValue::Integer(number) => Value::Integer(number),
            ContextValue::Boolean(value) => Value::Boolean(value),
            ContextValue::Branch => Value::Context(Arc::from(name)),
        })
    }

    /// What was assigned to an override; its branches (`header`, `path`, …) are always there.
    fn override_of(&self, name: &str) -> Value {
        let assigned = self.overrides.iter().rev().find(|(assigned, _)| assigned == name);
        match assigned {
            Some((_, text)) => Value::text(text),
            None if name.matches('.').count() == 1 && !name.ends_with(".status") => {
                Value::Override(Arc::from(name))
            }
            None => Value::Missing,
        }
    }

    /// A lazy value as a map; other values as they are.
    pub(crate) fn materialised(&mut self, value: &Value) -> Result<Value, Fault> {
        let names = match value {
            Value::Context(branch) => self.input.context_names(branch),
            Value::StageVariables => self.input.stage_variable_names(),
            value => return Ok(value.clone()),
        };
        let mut entries = Entries::with_capacity(names.len());
        for name in names {
            let member = self.provided_property(value, &name)?;
            let member = self.materialised(&member)?;
            entries.insert(Arc::from(name), member);
        }
        self.heap.map(entries)
    }

    pub(crate) fn call_input(
        &mut self,
        name: &str,
        arguments: &[Value],
    ) -> Result<Option<Value>, Fault> {
        Ok(Some(match (name, arguments) {
            ("body" | "getBody", []) => self.body_text()?,
            ("json", [path]) => self.input_json(path)?,
            ("path", [path]) => self.input_path(path)?,
            ("params", []) => self.params()?,
            ("params", [name]) => self.param(name)?,
            _ => return Ok(None),
        }))
    }

    fn body_text(&mut self) -> Result<Value, Fault> {
        let body = self.input.body();
        self.heap.text(if body.is_empty() { EMPTY_BODY } else { body })
    }

    /// The body as JSON.
    ///
    /// Choice: a body that is not JSON counts as one text, as the lenient reader behind Jayway's `JsonPath` takes a bare
    /// word; the template decides whether that is an error.
    fn body_json(&mut self) -> Result<Arc<Json>, Fault> {
        if let Some(json) = &self.body {
            return Ok(Arc::clone(json));
        }
        let text = self.input.body();
        let text = if text.trim().is_empty() { EMPTY_BODY } else { text };
        self.heap.spend_text(text.len())?;
        let json = serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()));
        let json = Arc::new(json);
        self.body = Some(Arc::clone(&json));
        Ok(json)
    }

    fn select<'j>(&mut self, path: &Value, json: &'j Json) -> Result<Selection<'j>, Fault> {
        let path = self.show(path)?;
        self.heap.spend_text(path.len() * 8)?;
        let path = JsonPath::parse(&path).map_err(|error| Fault::failed(error.to_string()))?;
        let (selection, visits) =
            path.select_counted(json).map_err(|error| Fault::failed(error.to_string()))?;
        self.heap.spend(visits)?;
        Ok(selection)
    }

    /// `$input.json(path)`: JSON text.
    ///
    /// Choice: a path that leads nowhere gives `""`, so that the template's JSON stays JSON.
    fn input_json(&mut self, path: &Value) -> Result<Value, Fault> {
        let json = self.body_json()?;
        let text = match self.select(path, &json)? {
            Selection::Nothing => "\"\"".to_owned(),
            Selection::One(found) => found.to_string(),
            Selection::Made(made) => made.to_string(),
        };
        self.heap.text(text)
    }

    /// `$input.path(path)`: a value. Asking for the same place again gives the same value.
    ///
    /// Choice: a path that leads nowhere, or to null, is missing like a variable of `$context`; templates that ask
    /// `"$input.path('$.x')" != ""` rely on it.
    fn input_path(&mut self, path: &Value) -> Result<Value, Fault> {
        let json = self.body_json()?;
        match self.select(path, &json)? {
            Selection::Nothing | Selection::One(Json::Null) => Ok(Value::Missing),
            Selection::Made(made) => self.heap.import(&made),
            Selection::One(found) => {
                let address = std::ptr::from_ref(found).addr();
                if let Some(value) = self.imported.get(&address) {
                    return Ok(value.clone());
                }
                let value = self.heap.import(found)?;
                if matches!(value, Value::Cell(_)) {
                    self.imported.insert(address, value.clone());
                }
                Ok(value)
            }
        }
    }

    fn params(&mut self) -> Result<Value, Fault> {
        let mut places = Entries::with_capacity(ParamPlace::ALL.len());
        for place in ParamPlace::ALL {
            let mut entries = Entries::new();
            for (name, value) in self.input.params(place) {
                let value = self.heap.text(value)?;
                entries.insert(Arc::from(name), value);
            }
            places.insert(Arc::from(place.key()), self.heap.map(entries)?);
        }
        self.heap.map(places)
    }

    /// `$input.params(name)`: the empty text when no place has it.
    fn param(&mut self, name: &Value) -> Result<Value, Fault> {
        let name = self.show(name)?;
        for place in ParamPlace::ALL {
            let params = self.input.params(place);
            self.heap.spend(params.len())?;
            if let Some((_, value)) = params.into_iter().rfind(|(found, _)| *found == name) {
                return self.heap.text(value);
            }
        }
        self.heap.text("")
    }

    pub(crate) fn call_util(
        &mut self,
        name: &str,
        arguments: &[Value],
    ) -> Result<Option<Value>, Fault> {
        let [argument] = arguments else { return Ok(None) };
        // Choice: a missing value is an empty text to all of these.
        let text = if argument.is_null() { String::new() } else { self.show(argument)? };
        let made = match name {
            "escapeJavaScript" => escape_java_script(&text),
            "urlEncode" => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            "urlDecode" => url_decode(&text)?,
            "base64Encode" => BASE64_STANDARD.encode(text),
            "base64Decode" => {
                let compact: String = text.split_ascii_whitespace().collect();
                let bytes = BASE64_STANDARD
                    .decode(&compact)
                    .map_err(|error| Fault::failed(format!("this is not Base64: {error}")))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            "parseJson" => {
                let json: Json = serde_json::from_str(&text)
                    .map_err(|error| Fault::failed(format!("this is not JSON: {error}")))?;
                return self.heap.import(&json).map(Some);
            }
            _ => return Ok(None),
        };
        self.heap.text(made).map(Some)
    }
}

fn dotted(branch: &str, name: &str) -> String {
    if branch.is_empty() { name.to_owned() } else { format!("{branch}.{name}") }
}

/// Escapes a text for a JavaScript string.
///
/// Source: API Gateway Developer Guide, `$util.escapeJavaScript` ("escapes the characters in a string using JavaScript
/// string rules"; a single quote becomes `\'`). Believed: Apache Commons Lang, which also escapes `/` and whatever is
/// not ASCII.
fn escape_java_script(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' | '/' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _infallible = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
    out
}

/// Decodes as Java's `URLDecoder` does: `+` is a space, and a broken escape is an error.
fn url_decode(text: &str) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
                bytes.push(u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or_default());
                rest
            }
            [b'%', ..] => return Err(Fault::failed("a % is not followed by two hex digits")),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}
