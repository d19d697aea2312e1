//! Text to path.

use serde_json::Value as Json;

use super::filter::{Compare, Filter, Operand};
use super::{InvalidPath, JsonPath, Segment, Step};
use crate::limits;
use crate::pattern::Pattern;

/// How deep parentheses of a filter may be nested, and filters in filters.
const NESTING_MAX: usize = 16;

pub(super) fn parse(path: &str) -> Result<JsonPath, InvalidPath> {
    if path.len() > limits::PATH_BYTES_MAX {
        let problem = format!("it is longer than {} bytes", limits::PATH_BYTES_MAX);
        return Err(InvalidPath { path: crate::error::shortened(path), problem });
    }
    let text = path.trim();
    let mut reader = Reader { whole: text, rest: text, depth: 0 };
    let result = reader.whole_path();
    result.map_err(|problem| {
        let read = reader.whole.len() - reader.rest.len();
        let before = reader.whole.get(..read).unwrap_or_default();
        let position = before.chars().count() + 1;
        InvalidPath { path: path.to_owned(), problem: format!("character {position}: {problem}") }
    })
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, prefix: &str) -> Parsed<()> {
        if self.eat(prefix) { Ok(()) } else { Err(format!("`{prefix}` belongs here")) }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn whole_path(&mut self) -> Parsed<JsonPath> {
        let path = if self.eat("$") || self.rest.starts_with(['[', '.']) {
            self.segments(is_name)?
        } else {
            let first = self.member(is_name)?;
            let mut path = self.segments(is_name)?;
            path.segments.insert(0, Segment { deep: false, step: first });
            path
        };
        if self.rest.is_empty() {
            Ok(path)
        } else {
            Err("a path cannot go on like this".to_owned())
        }
    }

    fn segments(&mut self, name: fn(char) -> bool) -> Parsed<JsonPath> {
        let mut path = JsonPath { segments: Vec::new(), length: false };
        loop {
            let deep = self.eat("..");
            if self.eat("[") {
                let step = self.bracket()?;
                path.segments.push(Segment { deep, step });
            } else if deep || self.eat(".") {
                for function in ["length()", "size()"] {
                    if !deep && self.eat(function) {
                        path.length = true;
                        return Ok(path);
                    }
                }
                let step = self.member(name)?;
                path.segments.push(Segment { deep, step });
            } else {
                return Ok(path);
            }
        }
    }

    fn member(&mut self, name: fn(char) -> bool) -> Parsed<Step> {
        if self.eat("*") {
            return Ok(Step::Every);
        }
        let found = self.take_while(name);
        if found.is_empty() {
            return Err("a name is missing here".to_owned());
        }
        if self.rest.starts_with('(') {
            return Err(format!("the function {found}() is not there; length() and size() are"));
        }
        Ok(Step::Names(vec![found.to_owned()]))
    }

    fn bracket(&mut self) -> Parsed<Step> {
        self.blank();
        let step = if self.eat("*") {
            Step::Every
        } else if self.eat("?") {
            self.blank();
            self.expect("(")?;
            let filter = self.any()?;
            self.blank();
            self.expect(")")?;
            Step::Filter(filter)
        } else if self.rest.starts_with(['\'', '"']) {
            Step::Names(self.separated(Self::quoted)?)
        } else {
            self.indexes()?
        };
        self.blank();
        self.expect("]")?;
        Ok(step)
    }

    fn separated<T>(&mut self, one: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut found = Vec::new();
        loop {
            self.blank();
            found.push(one(self)?);
            self.blank();
            if !self.eat(",") {
                return Ok(found);
            }
        }
    }

    fn indexes(&mut self) -> Parsed<Step> {
        let from = self.integer();
        self.blank();
        if self.eat(":") {
            self.blank();
            return Ok(Step::Slice(from, self.integer()));
        }
        let Some(first) = from else {
            return Err("an index, a slice, a quoted name, * or ?() belongs here".to_owned());
        };
        let mut indexes = vec![first];
        while self.eat(",") {
            self.blank();
            indexes.push(self.integer().ok_or("an index is missing here")?);
            self.blank();
        }
        Ok(Step::Indexes(indexes))
    }

    fn integer(&mut self) -> Option<i64> {
        let before = self.rest;
        let negative = self.eat("-");
        let digits = self.take_while(|c| c.is_ascii_digit());
        let number =
            digits.parse::<i64>().ok().map(|number| if negative { -number } else { number });
        if number.is_none() {
            self.rest = before;
        }
        number
    }

    fn quoted(&mut self) -> Parsed<String> {
        let quote = self.rest.chars().next().unwrap_or_default();
        if !self.eat("'") && !self.eat("\"") {
            return Err("a quoted text belongs here".to_owned());
        }
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\'));
            if self.eat("\\") {
                let escaped = self.rest.chars().next().ok_or("a text does not end")?;
                text.push(escaped);
                self.rest = self.rest.get(escaped.len_utf8()..).unwrap_or_default();
            } else if self.rest.starts_with(quote) {
                self.rest = self.rest.get(quote.len_utf8()..).unwrap_or_default();
                return Ok(text);
            } else {
                return Err("a text does not end".to_owned());
            }
        }
    }

    fn any(&mut self) -> Parsed<Filter> {
        if self.depth >= NESTING_MAX {
            return Err(format!("a filter is nested deeper than {NESTING_MAX}"));
        }
        self.depth += 1;
        let mut parts = vec![self.all()?];
        while {
            self.blank();
            self.eat("||")
        } {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(Filter::Any(parts))
    }

    fn all(&mut self) -> Parsed<Filter> {
        let mut parts = vec![self.term()?];
        while {
            self.blank();
            self.eat("&&")
        } {
            parts.push(self.term()?);
        }
        Ok(Filter::All(parts))
    }

    fn term(&mut self) -> Parsed<Filter> {
        self.blank();
        if self.eat("!") {
            if self.depth >= NESTING_MAX {
                return Err(format!("a filter is nested deeper than {NESTING_MAX}"));
            }
            self.depth += 1;
            let negated = self.term()?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(negated)));
        }
        if self.eat("(") {
            let inner = self.any()?;
            self.blank();
            self.expect(")")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        self.blank();
        if self.eat("=~") {
            return Ok(Filter::Matches(left, self.regex()?));
        }
        for (sign, compare) in [
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
            ("in ", Compare::In),
            ("nin ", Compare::NotIn),
        ] {
            if self.eat(sign) {
                return Ok(Filter::Compare(left, compare, self.operand()?));
            }
        }
        match left {
            Operand::Here(_) | Operand::Root(_) => Ok(Filter::Exists(left)),
            Operand::Literal(_) => Err("an operator belongs here".to_owned()),
        }
    }

    fn operand(&mut self) -> Parsed<Operand> {
        self.blank();
        if self.eat("@") {
            return self.inner_path().map(Operand::Here);
        }
        if self.eat("$") {
            return self.inner_path().map(Operand::Root);
        }
        self.literal().map(Operand::Literal)
    }

    fn inner_path(&mut self) -> Parsed<JsonPath> {
        if self.depth >= NESTING_MAX {
            return Err(format!("a filter is nested deeper than {NESTING_MAX}"));
        }
        self.depth += 1;
        let path = self.segments(|c| is_name(c) && !"=!<>&|),~".contains(c));
        self.depth -= 1;
        path
    }

    fn literal(&mut self) -> Parsed<Json> {
        self.blank();
        if self.rest.starts_with(['\'', '"']) {
            return self.quoted().map(Json::String);
        }
        if self.eat("[") {
            self.blank();
            if self.eat("]") {
                return Ok(Json::Array(Vec::new()));
            }
            let items = self.separated(Self::simple)?;
            self.expect("]")?;
            return Ok(Json::Array(items));
        }
        self.simple()
    }

    fn simple(&mut self) -> Parsed<Json> {
        if self.rest.starts_with(['\'', '"']) {
            return self.quoted().map(Json::String);
        }
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
        serde_json::from_str(word).map_err(|_| {
            "a number, a quoted text, true, false, null or a path belongs here".to_owned()
        })
    }

    fn regex(&mut self) -> Parsed<Pattern> {
        self.blank();
        self.expect("/")?;
        let mut pattern = String::new();
        loop {
            pattern.push_str(self.take_while(|c| c != '/' && c != '\\'));
            if self.eat("\\/") {
                pattern.push('/');
            } else if self.eat("\\") {
                pattern.push('\\');
                let escaped = self.rest.chars().next().ok_or("a pattern does not end")?;
                pattern.push(escaped);
                self.rest = self.rest.get(escaped.len_utf8()..).unwrap_or_default();
            } else if self.eat("/") {
                break;
            } else {
                return Err("a pattern does not end".to_owned());
            }
        }
        let flags = if self.eat("i") { "(?i)" } else { "" };
        // Source: Jayway: the whole text must match.
        Pattern::build(&format!("{flags}\\A(?:{pattern})\\z"))
            .map_err(|_| "this pattern cannot be read, or is too large".to_owned())
    }
}

fn is_name(c: char) -> bool {
    !matches!(c, '.' | '[' | ']' | '(' | ')' | '\'' | '"') && !c.is_whitespace()
}
