//! Reads YAML as CloudFormation means it: JSON's values with less punctuation, and tags for functions.
//!
//! Only what JSON can say is understood: names are texts, `yes` and `2010-09-09` stay texts, and a number is kept as it
//! was written. `!Sub x` is `{"Fn::Sub": "x"}`. Aliases stand for copies of what they name, of which the whole text may
//! hold only so much: ten lines of aliases of aliases would fill any memory.
//!
//! Source: CloudFormation User Guide, "Template formats"; YAML 1.2.2, core schema. Choice: merge keys (`<<`) are
//! read, as the AWS CLI and SAM CLI resolve them before a deployment.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{BYTES_MAX, DEPTH_MAX, InvalidText, Map, Member, Node, Position, Value};

/// How many bytes all copies that aliases make may take together.
///
/// Choice: more than any template needs (CloudFormation takes 1 MB), and little for a machine.
const COPIES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The functions that have a short form.
///
/// Source: CloudFormation Template Reference, "Intrinsic functions"; each page names its short form.
const SHORT_FORMS: [&str; 19] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "GetStackOutput",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
];

/// Reads one YAML document.
pub(super) fn read(text: &str) -> Result<Node, InvalidText> {
    if text.len() > BYTES_MAX {
        return Err(fail(Position::START, "it is larger than 64 MB"));
    }
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        copies_bytes: 0,
        last: Position::START,
    };
    reader.document()
}

/// A value that an alias may name: how deep it is nested, and what a copy takes.
struct Anchor {
    node: Node,
    height: usize,
    bytes: usize,
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Anchor>,
    copies_bytes: usize,
    last: Position,
}

type Tagged<'t> = Option<Cow<'t, Tag>>;

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Position), InvalidText> {
        match self.events.next_event() {
            Some(Ok((event, Span { start, .. }))) => {
                self.last = position(start);
                Ok((event, self.last))
            }
            Some(Err(error)) => Err(of_scan(&error)),
            None => Err(fail(self.last, "the text ends too early")),
        }
    }

    fn document(&mut self) -> Result<Node, InvalidText> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, at) => return Err(fail(at, "it is empty")),
                (event, at) => {
                    let node = self.node(event, at, 0)?;
                    return self.end().map(|()| node);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), InvalidText> {
        loop {
            match self.next()? {
                (Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, at) => return Err(fail(at, "a second document begins here; one is read")),
            }
        }
    }

    /// The value that begins with `event`, `depth` levels below the document.
    fn node(&mut self, event: Event<'t>, at: Position, depth: usize) -> Result<Node, InvalidText> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag, at)?, anchor),
            Event::SequenceStart(anchor, tag) => {
                let items = self.list(at, depth)?;
                (call(tag, at, Node { at, value: Value::List(items) })?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                let map = self.map(at, depth)?;
                (call(tag, at, Node { at, value: Value::Map(map) })?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, at, depth),
            other => return Err(fail(at, format!("a value is expected here, not {other:?}"))),
        };
        if anchor != 0 {
            let (height, bytes) = (height(&node), node.bytes());
            self.anchors.insert(anchor, Anchor { node: node.clone(), height, bytes });
            self.charge(bytes, at)?;
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: Position, depth: usize) -> Result<Node, InvalidText> {
        let Some(Anchor { node, height, bytes }) = self.anchors.get(&anchor) else {
            return Err(fail(at, "this alias stands within what it names"));
        };
        if depth + height > DEPTH_MAX {
            return Err(too_deep(at));
        }
        let (node, bytes) = (node.clone(), *bytes);
        self.charge(bytes, at)?;
        Ok(node)
    }

    fn charge(&mut self, bytes: usize, at: Position) -> Result<(), InvalidText> {
        self.copies_bytes = self.copies_bytes.saturating_add(bytes);
        if self.copies_bytes > COPIES_BYTES_MAX {
            return Err(fail(at, "its aliases stand for more than 16 MB"));
        }
        Ok(())
    }

    fn list(&mut self, at: Position, depth: usize) -> Result<Vec<Node>, InvalidText> {
        if depth == DEPTH_MAX {
            return Err(too_deep(at));
        }
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Position, depth: usize) -> Result<Map, InvalidText> {
        if depth == DEPTH_MAX {
            return Err(too_deep(at));
        }
        let mut members = Vec::new();
        let mut names = HashSet::new();
        let mut merged = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let (name, plain) = self.name(event, at)?;
            let (event, value_at) = self.next()?;
            let node = self.node(event, value_at, depth + 1)?;
            if plain && name == "<<" {
                merged.push(node);
                continue;
            }
            if !names.insert(name.clone()) {
                return Err(fail(at, format!("the name {name:?} appears twice")));
            }
            members.push(Member { name, at, node });
        }
        for node in merged {
            merge(node, &mut members, &mut names)?;
        }
        Ok(Map(members))
    }

    /// The name of a member, and whether it was written without quotes.
    fn name(&mut self, event: Event<'t>, at: Position) -> Result<(String, bool), InvalidText> {
        match event {
            Event::Scalar(text, style, _, None) => {
                Ok((text.into_owned(), style == ScalarStyle::Plain))
            }
            Event::Scalar(text, _, _, Some(tag)) if tag.is_yaml_core_schema() => {
                Ok((text.into_owned(), false))
            }
            Event::Alias(anchor) => {
                match self.anchors.get(&anchor).map(|found| found.node.scalar()) {
                    Some(Some(name)) => Ok((name, false)),
                    _ => Err(fail(at, "a name is a text")),
                }
            }
            _ => Err(fail(at, "a name is a text")),
        }
    }
}

/// Adds the members of a merge key's value that the map does not have itself.
fn merge(
    node: Node,
    members: &mut Vec<Member>,
    names: &mut HashSet<String>,
) -> Result<(), InvalidText> {
    match node.value {
        Value::Map(map) => {
            members.extend(map.0.into_iter().filter(|member| names.insert(member.name.clone())));
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| match item.value {
            Value::Map(_) => merge(item, members, names),
            _ => Err(fail(item.at, "`<<` merges objects")),
        }),
        _ => Err(fail(node.at, "`<<` merges objects")),
    }
}

/// A value, or the call of a function with it, as its tag says.
fn call(tag: Tagged<'_>, at: Position, argument: Node) -> Result<Node, InvalidText> {
    let Some(tag) = tag else { return Ok(argument) };
    if tag.is_yaml_core_schema() {
        return match tag.suffix.as_str() {
            "map" | "seq" | "str" | "int" | "float" | "bool" | "null" => Ok(argument),
            other => Err(fail(at, format!("`!!{other}` is not a value of templates"))),
        };
    }
    let name = match tag.suffix.as_str() {
        _ if tag.handle != "!" => None,
        "" => return Ok(argument),
        "Ref" | "Condition" => Some(tag.suffix.clone()),
        known if SHORT_FORMS.contains(&known) => Some(format!("Fn::{known}")),
        _ => None,
    };
    match name {
        Some(name) => Ok(Node::map(at, vec![(name, argument)])),
        None => Err(fail(at, format!("`{tag}` is not the short form of a function"))),
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Tagged<'_>,
    at: Position,
) -> Result<Node, InvalidText> {
    // A tag makes its value a text: names, and what `!Sub` holds, may look like numbers.
    let is_text = style != ScalarStyle::Plain
        || tag.as_ref().is_some_and(|tag| !tag.is_yaml_core_schema() || tag.suffix == "str");
    let value = if is_text { Value::Text(text.to_owned()) } else { plain(text) };
    call(tag, at, Node { at, value })
}

/// What a scalar without quotes means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

/// Whether a text is a number in JSON too: what only YAML takes for one (`0x1F`, `012`, `1_000`) stays a text.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && matches!(super::json::read(text), Ok(Node { value: Value::Number(_), .. }))
}

fn height(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Map(map) => 1 + map.0.iter().map(|member| height(&member.node)).max().unwrap_or(0),
        _ => 0,
    }
}

fn too_deep(at: Position) -> InvalidText {
    fail(at, format!("it is nested deeper than {DEPTH_MAX} levels"))
}

fn fail(at: Position, problem: impl Into<String>) -> InvalidText {
    InvalidText { at, problem: problem.into() }
}

fn of_scan(error: &ScanError) -> InvalidText {
    fail(position(*error.marker()), error.info())
}

fn position(marker: Marker) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests;
