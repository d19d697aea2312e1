//! What makes a table another than it was: keys, indexes and tags, from declarations and descriptions alike.

use serde_json::{Map, Value};

/// The members of a declaration or description.
pub(super) type Members = Map<String, Value>;

/// An index, and what makes it another than one of the same name.
pub(super) struct Index {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) definition: Value,
}

pub(super) fn indexes(of: &Members, member: &str) -> Vec<Index> {
    let list = of.get(member).and_then(Value::as_array);
    list.into_iter().flatten().map(Index::new).collect()
}

impl Index {
    fn new(definition: &Value) -> Self {
        let name = definition.get("IndexName").and_then(Value::as_str).unwrap_or("?").to_owned();
        let keys: Vec<String> = list(definition, "KeySchema")
            .map(|key| format!("{} {}", text(key, "AttributeName"), text(key, "KeyType")))
            .collect();
        let projection = definition.get("Projection").cloned().unwrap_or_default();
        let mut included: Vec<&str> =
            list(&projection, "NonKeyAttributes").filter_map(Value::as_str).collect();
        included.sort_unstable();
        let kind = projection.get("ProjectionType").and_then(Value::as_str).unwrap_or("ALL");
        let text = format!("{name} ({}; {kind} {})", keys.join(", "), included.join(" "));
        Self { name, text: text.replace(" )", ")"), definition: definition.clone() }
    }
}

pub(super) fn index_texts(indexes: &[Index]) -> String {
    let mut texts: Vec<&str> = indexes.iter().map(|index| index.text.as_str()).collect();
    texts.sort_unstable();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

pub(super) fn tags(list: Option<&Value>) -> Vec<(String, String)> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let mut tags: Vec<_> =
        list.map(|tag| (text(tag, "Key").to_owned(), text(tag, "Value").to_owned())).collect();
    tags.sort();
    tags
}

/// The keys of a definition or description, as people read them: `pk (HASH, S), sk (RANGE, N)`.
pub(super) fn keys_of(definition: &Members) -> String {
    let members = |name: &str| {
        definition.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let kind_of = |attribute: &str| {
        let mut known = members("AttributeDefinitions").iter();
        let known = known.find(|known| text(known, "AttributeName") == attribute);
        known.map_or("?", |known| text(known, "AttributeType"))
    };
    let keys: Vec<String> = members("KeySchema")
        .iter()
        .map(|key| {
            let attribute = text(key, "AttributeName");
            format!("{attribute} ({}, {})", text(key, "KeyType"), kind_of(attribute))
        })
        .collect();
    keys.join(", ")
}

fn list<'a>(of: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    of.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(of: &'a Value, member: &str) -> &'a str {
    of.get(member).and_then(Value::as_str).unwrap_or("?")
}
