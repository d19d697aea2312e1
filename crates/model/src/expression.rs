//! Selection expressions: how an API finds the route of a message.
//!
//! ```
//! use stillwire_model::{Part, SelectionExpression};
//! let expression = SelectionExpression::parse("${request.body.service}/$request.body.action")?;
//! assert_eq!(expression.parts().len(), 3);
//! # Ok::<(), stillwire_model::InvalidExpression>(())
//! ```
//!
//! Source: API Gateway Developer Guide, "WebSocket selection expressions". Only `request.body` and static text
//! mean something for a message; other variables are accepted and give the empty text.

/// A parsed selection expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectionExpression {
    text: String,
    parts: Vec<Part>,
}

/// One piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Text(String),
    /// `request.body` and a path into it; an empty path is the whole body.
    Body(Vec<PathStep>),
    /// `integration.response.statuscode`.
    ResponseStatus,
    /// `integration.response.header.NAME`.
    ResponseHeader(String),
    /// A variable that a message does not have (`request.header.x`, `context.y`): the empty text.
    Absent(String),
}

/// One step into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// A member of an object.
    Member(String),
    /// An element of an array; negative counts from the end, as in Jayway `JsonPath`.
    Element(i64),
}

/// An expression that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selection expression {expression:?}, character {position}: {problem}")]
pub struct InvalidExpression {
    /// The whole expression.
    pub expression: String,
    /// Where the problem is, in characters from 1.
    pub position: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// The longest expression that is read, in bytes.
///
/// Choice: the service model has no limit; this bounds the work per message.
const EXPRESSION_BYTES_MAX: usize = 1024;

impl SelectionExpression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When a variable is not closed, a path is malformed, or the text is longer than 1,024 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        let mut reader = Reader { text, rest: text };
        if text.is_empty() {
            return Err(reader.fail("it is empty"));
        }
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(reader.fail("it is longer than 1,024 bytes"));
        }
        let mut parts: Vec<Part> = Vec::new();
        while let Some(part) = reader.part()? {
            match (parts.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(more)) => before.push_str(&more),
                (_, part) => parts.push(part),
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The expression as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it looks into the body, so that a body which is not JSON cannot be evaluated.
    pub fn reads_body(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Body(_)))
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn fail(&self, problem: &'static str) -> InvalidExpression {
        let read = self.text.len() - self.rest.len();
        let position = self.text.get(..read).map_or(0, |before| before.chars().count()) + 1;
        InvalidExpression { expression: self.text.to_owned(), position, problem }
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn part(&mut self) -> Result<Option<Part>, InvalidExpression> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if self.eat("\\$") {
            return Ok(Some(Part::Text("$".to_owned())));
        }
        if self.eat("${") {
            let part = self.variable()?;
            return if self.eat("}") { Ok(Some(part)) } else { Err(self.fail("`}` is missing")) };
        }
        if self.eat("$") {
            return self.variable().map(Some);
        }
        if self.eat("\\") {
            return Ok(Some(Part::Text("\\".to_owned())));
        }
        Ok(Some(Part::Text(self.take_while(|c| c != '$' && c != '\\').to_owned())))
    }

    fn variable(&mut self) -> Result<Part, InvalidExpression> {
        let name = self.name()?;
        if name != "request" || !self.rest.starts_with(".body") {
            let path = self.path()?;
            return Ok(Self::other(name, &path));
        }
        self.eat(".body");
        if self.rest.starts_with(is_name) {
            return Err(self.fail("a variable of a message is request.body"));
        }
        Ok(Part::Body(self.path()?))
    }

    /// A variable that is not the message's. The words of the documentation and of the service's own output differ.
    fn other(name: &str, path: &[PathStep]) -> Part {
        let members: Vec<&str> = path
            .iter()
            .map(|step| match step {
                PathStep::Member(member) => member.as_str(),
                PathStep::Element(_) => "",
            })
            .collect();
        match (name, members.as_slice()) {
            ("integration", ["response", "statuscode"]) | ("response", ["statuscode"]) => {
                Part::ResponseStatus
            }
            ("integration", ["response", "header" | "multivalueheader", header]) => {
                Part::ResponseHeader((*header).to_owned())
            }
            _ => Part::Absent(name.to_owned()),
        }
    }

    fn name(&mut self) -> Result<&'a str, InvalidExpression> {
        let name = self.take_while(is_name);
        if name.is_empty() { Err(self.fail("a name is missing here")) } else { Ok(name) }
    }

    fn path(&mut self) -> Result<Vec<PathStep>, InvalidExpression> {
        let mut steps = Vec::new();
        loop {
            if self.rest.starts_with('.') && self.rest.chars().nth(1).is_some_and(is_name) {
                self.eat(".");
                steps.push(PathStep::Member(self.name()?.to_owned()));
            } else if self.eat("[") {
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn bracket(&mut self) -> Result<PathStep, InvalidExpression> {
        let step = if self.eat("'") {
            let member = self.take_while(|c| c != '\'').to_owned();
            if !self.eat("'") {
                return Err(self.fail("`'` is missing"));
            }
            PathStep::Member(member)
        } else {
            let digits = self.take_while(|c| c.is_ascii_digit() || c == '-');
            let index = digits.parse();
            PathStep::Element(
                index.map_err(|_| self.fail("an index or a quoted name belongs here"))?,
            )
        };
        if self.eat("]") { Ok(step) } else { Err(self.fail("`]` is missing")) }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> PathStep {
        PathStep::Member(name.to_owned())
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn the_documented_forms_are_read() {
        let action = || Part::Body(vec![member("action")]);
        for (expression, parts) in [
            ("$request.body.action", vec![action()]),
            ("${request.body.action}", vec![action()]),
            (
                "${request.body.service}/${request.body.action}",
                vec![Part::Body(vec![member("service")]), text("/"), action()],
            ),
            ("$request.body.a/$request.body.b", {
                vec![Part::Body(vec![member("a")]), text("/"), Part::Body(vec![member("b")])]
            }),
            ("action", vec![text("action")]),
            ("\\$default", vec![text("$default")]),
            ("$request.body", vec![Part::Body(vec![])]),
            (
                "$request.body.items[0].type",
                vec![Part::Body(vec![member("items"), PathStep::Element(0), member("type")])],
            ),
            ("$request.body['my key']", vec![Part::Body(vec![member("my key")])]),
            ("$request.header.x", vec![Part::Absent("request".to_owned())]),
            ("${integration.response.statuscode}", vec![Part::ResponseStatus]),
            (
                "$integration.response.header.x-kind",
                vec![Part::ResponseHeader("x-kind".to_owned())],
            ),
            ("${request.body.v}-beta.", vec![Part::Body(vec![member("v")]), text("-beta.")]),
        ] {
            assert_eq!(
                SelectionExpression::parse(expression).unwrap().parts(),
                parts,
                "{expression}"
            );
        }
    }

    #[test]
    fn a_malformed_expression_says_where() {
        for (expression, message) in [
            ("", "character 1: it is empty"),
            ("$", "character 2: a name is missing here"),
            ("${request.body.a", "character 17: `}` is missing"),
            ("$request.body[x]", "character 15: an index or a quoted name belongs here"),
            ("$request.body['x]", "character 18: `'` is missing"),
            ("$request.bodyguard", "character 14: a variable of a message is request.body"),
        ] {
            let error = SelectionExpression::parse(expression).unwrap_err().to_string();
            assert!(error.ends_with(message), "{error}");
        }
    }

    #[test]
    fn whether_the_body_is_read_is_known() {
        assert!(SelectionExpression::parse("$request.body.a").unwrap().reads_body());
        assert!(!SelectionExpression::parse("\\$default").unwrap().reads_body());
    }
}
