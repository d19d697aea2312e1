//! Text to schemas, with references resolved.

use std::collections::{BTreeSet, HashMap};

use regex_lite::RegexBuilder;
use serde_json::{Map, Value};

use crate::{Additional, Dependency, Index, InvalidSchema, Items, Node, Pattern, Type};
use crate::{canonical, limits};

/// Where a model of an API is found.
///
/// Source: API Gateway Developer Guide, "Models and mapping templates": `$ref` to another model.
const MODEL_ADDRESS: &str = "https://apigateway.amazonaws.com/restapis/";

/// How large a compiled regular expression may be, in bytes: a few hundred states.
const COMPILED_BYTES_MAX: usize = 32 * 1024;

/// A place: a document (its model's name; empty for the schema itself) and a JSON pointer into it.
type Place = (String, String);

pub(crate) fn parse(
    text: &str,
    models: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Node>, InvalidSchema> {
    let mut parser =
        Parser { models, documents: HashMap::new(), indexes: HashMap::new(), waiting: Vec::new() };
    parser.documents.insert(String::new(), document(text, "")?);
    let root = parser.index((String::new(), String::new()))?;
    let mut nodes: Vec<Option<Node>> = Vec::new();
    // Schemas wait in a list, so that references which lead in circles end, and nothing recurses.
    while let Some((place, index)) = parser.waiting.pop() {
        let node = parser.node(&place)?;
        if nodes.len() <= index {
            nodes.resize_with(index + 1, || None);
        }
        if let Some(slot) = nodes.get_mut(index) {
            *slot = Some(node);
        }
    }
    debug_assert_eq!(root, 0);
    Ok(nodes.into_iter().map(Option::unwrap_or_default).collect())
}

struct Parser<'m> {
    models: &'m dyn Fn(&str) -> Option<String>,
    documents: HashMap<String, Value>,
    indexes: HashMap<Place, Index>,
    waiting: Vec<(Place, Index)>,
}

/// One schema while it is read: its members and its place.
struct Reader<'r> {
    members: &'r Map<String, Value>,
    place: &'r Place,
}

impl Parser<'_> {
    /// The index of the schema at a place, which is read later.
    fn index(&mut self, place: Place) -> Result<Index, InvalidSchema> {
        if let Some(index) = self.indexes.get(&place) {
            return Ok(*index);
        }
        let index = self.indexes.len();
        if index >= limits::SCHEMAS_MAX {
            return Err(fail(
                &place,
                format!("there are more than {} schemas", limits::SCHEMAS_MAX),
            ));
        }
        self.indexes.insert(place.clone(), index);
        self.waiting.push((place, index));
        Ok(index)
    }

    fn below(&mut self, place: &Place, steps: &[&str]) -> Result<Index, InvalidSchema> {
        self.index(deeper(place, steps))
    }

    fn node(&mut self, place: &Place) -> Result<Node, InvalidSchema> {
        let found = self.documents.get(&place.0).and_then(|document| document.pointer(&place.1));
        let members = match found {
            Some(Value::Object(members)) => members.clone(),
            Some(_) => return Err(fail(place, "a schema of draft 4 is an object")),
            None => return Err(fail(place, "there is nothing here; correct the $ref")),
        };
        let reader = Reader { members: &members, place };
        if let Some(reference) = reader.text("$ref")? {
            let target = self.target(place, reference)?;
            return Ok(Node { reference: Some(self.index(target)?), ..Node::default() });
        }
        let mut node = Node {
            types: reader.types()?,
            allowed: reader.allowed()?,
            required: reader.names("required")?,
            min_properties: reader.count("minProperties")?,
            max_properties: reader.count("maxProperties")?,
            min_items: reader.count("minItems")?,
            max_items: reader.count("maxItems")?,
            min_length: reader.count("minLength")?,
            max_length: reader.count("maxLength")?,
            unique_items: reader.truth("uniqueItems")?,
            minimum: reader.bound("minimum", "exclusiveMinimum")?,
            maximum: reader.bound("maximum", "exclusiveMaximum")?,
            multiple_of: reader.multiple()?,
            pattern: match reader.text("pattern")? {
                Some(text) => Some(pattern(text, &deeper(place, &["pattern"]))?),
                None => None,
            },
            ..Node::default()
        };
        self.children(&reader, &mut node)?;
        Ok(node)
    }

    fn children(&mut self, reader: &Reader<'_>, node: &mut Node) -> Result<(), InvalidSchema> {
        let place = reader.place;
        for name in reader.members_of("properties")? {
            node.properties.push((name.clone(), self.below(place, &["properties", name])?));
        }
        for name in reader.members_of("patternProperties")? {
            let pattern = pattern(name, &deeper(place, &["patternProperties"]))?;
            let index = self.below(place, &["patternProperties", name])?;
            node.pattern_properties.push((pattern, index));
        }
        node.additional_properties = self.additional(reader, "additionalProperties")?;
        node.additional_items = self.additional(reader, "additionalItems")?;
        node.items = match reader.members.get("items") {
            None => Items::Any,
            Some(Value::Array(places)) => {
                let places =
                    (0..places.len()).map(|at| self.below(place, &["items", &at.to_string()]));
                Items::Places(places.collect::<Result<_, _>>()?)
            }
            Some(_) => Items::Each(self.below(place, &["items"])?),
        };
        for name in reader.members_of("dependencies")? {
            let held = reader.members.get("dependencies").and_then(|all| all.get(name));
            let dependency = match held {
                Some(Value::Array(names)) => Dependency::Names(texts(names).ok_or_else(|| {
                    fail(&deeper(place, &["dependencies", name]), "names are texts")
                })?),
                _ => Dependency::Schema(self.below(place, &["dependencies", name])?),
            };
            node.dependencies.push((name.clone(), dependency));
        }
        node.all_of = self.each(reader, "allOf")?;
        node.any_of = self.each(reader, "anyOf")?;
        node.one_of = self.each(reader, "oneOf")?;
        if reader.members.contains_key("not") {
            node.not = Some(self.below(place, &["not"])?);
        }
        Ok(())
    }

    fn each(&mut self, reader: &Reader<'_>, name: &str) -> Result<Vec<Index>, InvalidSchema> {
        match reader.members.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(schemas)) if !schemas.is_empty() => (0..schemas.len())
                .map(|at| self.below(reader.place, &[name, &at.to_string()]))
                .collect(),
            Some(_) => Err(reader.fail(name, "a list of schemas belongs here")),
        }
    }

    fn additional(&mut self, reader: &Reader<'_>, name: &str) -> Result<Additional, InvalidSchema> {
        Ok(match reader.members.get(name) {
            None | Some(Value::Bool(true)) => Additional::Allowed,
            Some(Value::Bool(false)) => Additional::Refused,
            Some(_) => Additional::Schema(self.below(reader.place, &[name])?),
        })
    }

    /// Where a reference leads.
    fn target(&mut self, place: &Place, reference: &str) -> Result<Place, InvalidSchema> {
        let here = deeper(place, &["$ref"]);
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if address.is_empty() {
            place.0.clone()
        } else {
            let name = address
                .strip_prefix(MODEL_ADDRESS)
                .and_then(|rest| rest.split_once("/models/"))
                .map(|(_, name)| name)
                .filter(|name| !name.is_empty() && !name.contains('/'));
            let Some(name) = name else {
                let what = format!("{reference:?} leads out of this API, where nothing is read");
                return Err(fail(&here, format!("{what}; refer to #/definitions/… or to a model")));
            };
            if !self.documents.contains_key(name) {
                let text = (self.models)(name)
                    .ok_or_else(|| fail(&here, format!("this API has no model {name:?}")))?;
                self.documents.insert(name.to_owned(), document(&text, name)?);
            }
            name.to_owned()
        };
        let pointer = decoded(fragment);
        if !(pointer.is_empty() || pointer.starts_with('/')) {
            let what = format!("{reference:?} is no JSON pointer");
            return Err(fail(&here, format!("{what}; write #/definitions/…")));
        }
        Ok((document, pointer))
    }
}

impl Reader<'_> {
    fn fail(&self, name: &str, problem: impl Into<String>) -> InvalidSchema {
        fail(&deeper(self.place, &[name]), problem)
    }

    fn text(&self, name: &str) -> Result<Option<&str>, InvalidSchema> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fail(name, "a text belongs here")),
        }
    }

    fn truth(&self, name: &str) -> Result<bool, InvalidSchema> {
        match self.members.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.fail(name, "true or false belongs here, as in draft 4")),
        }
    }

    fn count(&self, name: &str) -> Result<Option<u64>, InvalidSchema> {
        match self.members.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(self.fail(name, "an integer from 0 belongs here")),
            },
        }
    }

    fn number(&self, name: &str) -> Result<Option<serde_json::Number>, InvalidSchema> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(_) => Err(self.fail(name, "a number belongs here")),
        }
    }

    /// A bound and whether it is exclusive.
    fn bound(
        &self,
        name: &str,
        exclusive: &str,
    ) -> Result<Option<(serde_json::Number, bool)>, InvalidSchema> {
        let exclusive = self.truth(exclusive)?;
        Ok(self.number(name)?.map(|number| (number, exclusive)))
    }

    fn multiple(&self) -> Result<Option<serde_json::Number>, InvalidSchema> {
        let number = self.number("multipleOf")?;
        if number.as_ref().is_some_and(|number| number.as_f64().is_none_or(|of| of <= 0.0)) {
            return Err(self.fail("multipleOf", "a number above 0 belongs here"));
        }
        Ok(number)
    }

    fn names(&self, name: &str) -> Result<BTreeSet<String>, InvalidSchema> {
        let names = match self.members.get(name) {
            None => return Ok(BTreeSet::new()),
            Some(Value::Array(names)) => texts(names),
            Some(_) => None,
        };
        names.ok_or_else(|| self.fail(name, "a list of names belongs here, beside `properties`"))
    }

    fn members_of(&self, name: &str) -> Result<Vec<&String>, InvalidSchema> {
        match self.members.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(members)) => Ok(members.keys().collect()),
            Some(_) => Err(self.fail(name, "an object belongs here")),
        }
    }

    fn types(&self) -> Result<Option<Vec<Type>>, InvalidSchema> {
        let one = |value: &Value| {
            let name = value.as_str()?;
            Type::ALL.iter().find(|(found, _)| *found == name).map(|(_, found)| *found)
        };
        let types = match self.members.get("type") {
            None => return Ok(None),
            Some(Value::Array(types)) if !types.is_empty() => {
                types.iter().map(one).collect::<Option<Vec<_>>>()
            }
            Some(value) => one(value).map(|found| vec![found]),
        };
        let mut types = types.ok_or_else(|| {
            self.fail(
                "type",
                "no type of draft 4; array, boolean, integer, null, number, object and string are",
            )
        })?;
        types.sort();
        Ok(Some(types))
    }

    fn allowed(&self) -> Result<Option<(Value, BTreeSet<String>)>, InvalidSchema> {
        match self.members.get("enum") {
            None => Ok(None),
            Some(list @ Value::Array(values)) if !values.is_empty() => {
                Ok(Some((list.clone(), values.iter().map(canonical::text).collect())))
            }
            Some(_) => Err(self.fail("enum", "a list of values belongs here")),
        }
    }
}

fn document(text: &str, name: &str) -> Result<Value, InvalidSchema> {
    let place = (name.to_owned(), String::new());
    if text.len() > limits::SCHEMA_BYTES_MAX {
        let problem = format!("it is larger than {} bytes", limits::SCHEMA_BYTES_MAX);
        return Err(fail(&place, problem));
    }
    serde_json::from_str(text).map_err(|error| fail(&place, format!("this is not JSON: {error}")))
}

fn pattern(text: &str, place: &Place) -> Result<Pattern, InvalidSchema> {
    if text.len() > limits::PATTERN_BYTES_MAX {
        let problem = format!("a pattern is longer than {} bytes", limits::PATTERN_BYTES_MAX);
        return Err(fail(place, problem));
    }
    // ECMA 262 escapes a slash, which is none to escape here.
    let plain = text.replace("\\/", "/");
    // A repeat count makes a short pattern large, so its size is found by trying.
    let mut bytes = 256;
    loop {
        match RegexBuilder::new(&plain).size_limit(bytes).build() {
            Ok(regex) => return Ok(Pattern { text: text.to_owned(), regex, bytes }),
            Err(_) if bytes < COMPILED_BYTES_MAX => bytes *= 2,
            Err(error) => {
                return Err(fail(place, format!("the pattern {text:?} is refused: {error}")));
            }
        }
    }
}

fn texts(values: &[Value]) -> Option<BTreeSet<String>> {
    values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

fn deeper(place: &Place, steps: &[&str]) -> Place {
    let mut pointer = place.1.clone();
    for step in steps {
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    (place.0.clone(), pointer)
}

/// The fragment of an address without its percent-encoding.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
    loop {
        rest = match rest {
            [] => return String::from_utf8_lossy(&bytes).into_owned(),
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or_default());
                after
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

fn fail(place: &Place, problem: impl Into<String>) -> InvalidSchema {
    InvalidSchema { pointer: format!("{}#{}", place.0, place.1), problem: problem.into() }
}
