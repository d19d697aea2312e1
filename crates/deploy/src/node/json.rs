//! Reads JSON text: one pass, no look-ahead beyond a byte, every failure with its place.

use std::collections::HashSet;

use super::{BYTES_MAX, DEPTH_MAX, InvalidText, Map, Member, Node, Position, Value};

/// Reads one JSON text.
pub(super) fn read(text: &str) -> Result<Node, InvalidText> {
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

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    next: usize,
    at: Position,
    depth: usize,
}

impl Reader<'_> {
    fn fail(&self, problem: impl Into<String>) -> InvalidText {
        InvalidText { at: self.at, problem: problem.into() }
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

    fn expect(&mut self, byte: u8, wanted: &str) -> Result<(), InvalidText> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.fail(format!("{wanted} is expected here, not {}", self.found())))
    }

    fn value(&mut self) -> Result<Node, InvalidText> {
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
        read: fn(&mut Self) -> Result<Value, InvalidText>,
    ) -> Result<Value, InvalidText> {
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

    fn map(&mut self) -> Result<Value, InvalidText> {
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
                return Err(InvalidText {
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

    fn list(&mut self) -> Result<Value, InvalidText> {
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

    fn word(&mut self, word: &str, value: Value) -> Result<Value, InvalidText> {
        if self.bytes.get(self.next..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.skip(word.len());
            return Ok(value);
        }
        Err(self.fail(format!("a value is expected here, not {}", self.found())))
    }

    fn digits(&mut self) -> Result<(), InvalidText> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.fail(format!("a digit is expected here, not {}", self.found())));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip(1);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<String, InvalidText> {
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

    fn string(&mut self) -> Result<String, InvalidText> {
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

    fn escape(&mut self, out: &mut String) -> Result<(), InvalidText> {
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
            _ => return Err(InvalidText { at, problem: "this escape is not JSON's".to_owned() }),
        };
        self.skip(1);
        out.push(character);
        Ok(())
    }

    fn code_point(&mut self, at: Position) -> Result<char, InvalidText> {
        let lonely = || InvalidText { at, problem: "half of a surrogate pair".to_owned() };
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

    fn hex(&mut self, at: Position) -> Result<u32, InvalidText> {
        let digits = self.text.get(self.next..self.next + 4).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidText {
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
mod tests;
