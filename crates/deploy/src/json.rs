//! JSON with positions: every value knows the line and column it was written at.
//!
//! The reader is strict (RFC 8259) and bounded in size and depth; two members of one name are an error, because
//! tools disagree about which of them counts. Numbers stay text: a template's account `012` or `1.10` must
//! come out as it went in.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

/// The largest text that is read, in bytes.
///
/// Choice: CloudFormation takes templates of 1 MB; manifests and inline code are larger, but not by this much.
pub(crate) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// How deep lists and maps may be nested.
pub(crate) const DEPTH_MAX: usize = 128;

/// A place in a text; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What JSON can say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// The number as it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// The members of an object, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Map(pub(crate) Vec<Member>);

/// One member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

/// A text that is not JSON, or more of it than is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidJson {
    pub(crate) at: Position,
    pub(crate) problem: String,
}

impl fmt::Display for InvalidJson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.at.line, self.at.column, self.problem)
    }
}

impl Map {
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|member| member.name == name).map(|member| &member.node)
    }
}

impl Node {
    /// Reads one JSON text.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidJson> {
        let mut reader =
            Reader { bytes: text.as_bytes(), text, next: 0, at: Position::START, depth: 0 };
        if text.len() > BYTES_MAX {
            return Err(reader.fail("it is larger than 64 MB"));
        }
        if text.starts_with('\u{feff}') {
            return Err(reader.fail("it begins with a byte order mark; JSON has none"));
        }
        reader.space();
        let node = reader.value()?;
        reader.space();
        match reader.peek() {
            None => Ok(node),
            Some(_) => Err(reader.fail("there is more text after the end of the JSON value")),
        }
    }

    pub(crate) fn text(at: Position, text: impl Into<String>) -> Self {
        Self { at, value: Value::Text(text.into()) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.as_map().and_then(|map| map.get(name))
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar: `CloudFormation` writes numbers and booleans as text where text is asked for.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What a person would call this value.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// The same value without positions.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| text.clone().into())
            }
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect::<Vec<_>>().into(),
            Value::Map(map) => {
                let members = map.0.iter().map(|m| (m.name.clone(), m.node.to_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    next: usize,
    at: Position,
    depth: usize,
}

impl Reader<'_> {
    fn fail(&self, problem: impl Into<String>) -> InvalidJson {
        InvalidJson { at: self.at, problem: problem.into() }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.next).copied()
    }

    /// Steps over `count` bytes that hold no line end and end at a character's end.
    fn skip(&mut self, count: usize) {
        let end = self.next + count;
        let passed = self.bytes.get(self.next..end).unwrap_or_default();
        let characters = passed.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        self.at.column =
            self.at.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        self.next = end;
    }

    fn space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.skip(1),
                b'\n' => {
                    self.next += 1;
                    self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
                }
                _ => return,
            }
        }
    }

    /// What stands here, for an error message.
    fn found(&self) -> String {
        match self.text.get(self.next..).and_then(|rest| rest.chars().next()) {
            Some(character) => format!("{character:?}"),
            None => "the end of the text".to_owned(),
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        if here {
            self.skip(1);
        }
        here
    }

    fn expect(&mut self, byte: u8, wanted: &str) -> Result<(), InvalidJson> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.fail(format!("{wanted} is expected here, not {}", self.found())))
    }

    fn value(&mut self) -> Result<Node, InvalidJson> {
        let at = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::map)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.fail(format!("a value is expected here, not {}", self.found()))),
        };
        Ok(Node { at, value })
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, InvalidJson>,
    ) -> Result<Value, InvalidJson> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        self.skip(1);
        self.space();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn map(&mut self) -> Result<Value, InvalidJson> {
        let mut members = Vec::new();
        let mut names = HashSet::new();
        if self.eat(b'}') {
            return Ok(Value::Map(Map::default()));
        }
        loop {
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(
                    self.fail(format!("a name in quotes is expected here, not {}", self.found()))
                );
            }
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err(InvalidJson {
                    at,
                    problem: format!("the name {name:?} appears twice"),
                });
            }
            self.space();
            self.expect(b':', "`:`")?;
            self.space();
            let node = self.value()?;
            members.push(Member { name, at, node });
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Map(Map(members)));
            }
            self.expect(b',', "`,` or `}`")?;
            self.space();
        }
    }

    fn list(&mut self) -> Result<Value, InvalidJson> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::List(items));
            }
            self.expect(b',', "`,` or `]`")?;
            self.space();
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, InvalidJson> {
        if self.bytes.get(self.next..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.skip(word.len());
            return Ok(value);
        }
        Err(self.fail(format!("a value is expected here, not {}", self.found())))
    }

    fn digits(&mut self) -> Result<(), InvalidJson> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.fail(format!("a digit is expected here, not {}", self.found())));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip(1);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<String, InvalidJson> {
        let start = self.next;
        self.eat(b'-');
        if self.eat(b'0') {
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.fail("a number does not begin with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.next).unwrap_or_default().to_owned())
    }

    fn string(&mut self) -> Result<String, InvalidJson> {
        self.skip(1);
        let mut out = String::new();
        loop {
            let rest = self.bytes.get(self.next..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
                .unwrap_or(rest.len());
            out.push_str(self.text.get(self.next..self.next + plain).unwrap_or_default());
            self.skip(plain);
            match self.peek() {
                Some(b'"') => {
                    self.skip(1);
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(_) => return Err(self.fail("a control character in a text must be escaped")),
                None => return Err(self.fail("the text ends within quotes")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), InvalidJson> {
        let at = self.at;
        self.skip(1);
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.skip(1);
                out.push(self.code_point(at)?);
                return Ok(());
            }
            _ => return Err(InvalidJson { at, problem: "this escape is not JSON's".to_owned() }),
        };
        self.skip(1);
        out.push(character);
        Ok(())
    }

    fn code_point(&mut self, at: Position) -> Result<char, InvalidJson> {
        let lonely = || InvalidJson { at, problem: "half of a surrogate pair".to_owned() };
        let first = self.hex(at)?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(lonely());
                }
                match self.hex(at)? {
                    second @ 0xDC00..=0xDFFF => {
                        0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    _ => return Err(lonely()),
                }
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(lonely)
    }

    fn hex(&mut self, at: Position) -> Result<u32, InvalidJson> {
        let digits = self.text.get(self.next..self.next + 4).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidJson {
                at,
                problem: "`\\u` needs four hexadecimal digits".to_owned(),
            });
        }
        let code = u32::from_str_radix(digits, 16).unwrap_or_default();
        self.skip(4);
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        Node::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let node = Node::parse("{\n  \"ä\": [1,\n \"x\"] }").unwrap();
        let list = node.get("ä").unwrap();
        assert_eq!(list.at, Position { line: 2, column: 8 });
        assert_eq!(list.as_list().unwrap()[1].at, Position { line: 3, column: 2 });
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "1:1: a value is expected here, not the end of the text"),
            ("{\"a\":1,}", "1:8: a name in quotes is expected here, not '}'"),
            ("{\n\"a\": tru }", "2:6: a value is expected here, not 't'"),
            ("[1 2]", "1:4: `,` or `]` is expected here, not '2'"),
            ("{\"a\":1,\n \"a\":2}", "2:2: the name \"a\" appears twice"),
            ("01", "1:2: a number does not begin with 0"),
            ("1.", "1:3: a digit is expected here, not the end of the text"),
            ("\"a", "1:3: the text ends within quotes"),
            ("\"\t\"", "1:2: a control character in a text must be escaped"),
            (r#""\ud800x""#, "1:2: half of a surrogate pair"),
            (r#""\u12""#, "1:2: `\\u` needs four hexadecimal digits"),
            ("{} {}", "1:4: there is more text after the end of the JSON value"),
        ] {
            assert_eq!(error(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nesting_deeper_than_the_limit_is_refused_and_does_not_overflow() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Node::parse(&deep(DEPTH_MAX)).is_ok());
        assert!(error(&deep(DEPTH_MAX + 1)).ends_with("nested deeper than 128 levels"));
        assert!(error(&"[".repeat(1_000_000)).contains("nested deeper"));
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let node = Node::parse("[1.10, 99999999999999999999, -0e5]").unwrap();
        let texts: Vec<_> = node.as_list().unwrap().iter().filter_map(Node::scalar).collect();
        assert_eq!(texts, ["1.10", "99999999999999999999", "-0e5"]);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_another_library_wrote(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            prop_assert_eq!(Node::parse(&text.unwrap()).unwrap().to_json(), value);
        }

        #[test]
        fn agrees_with_another_library_on_what_is_json(text in r#"[\[\]{}:," \\u0-9a-fnrtlse.+-]{0,12}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let ours = Node::parse(&text);
            // Theirs takes a name twice; ours does not.
            if !matches!(&ours, Err(error) if error.problem.ends_with("twice")) {
                // Numbers beyond f64 are refused there and kept as text here.
                prop_assert!(ours.is_ok() == theirs || text.contains('e') || text.contains('E'), "{text:?}");
            }
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            // The result does not matter; that there is one does.
            prop_assert!(Node::parse(&text).map_or_else(|error| error.at.line, |node| node.at.line) >= 1);
        }
    }
}
