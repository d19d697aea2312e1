//! What resources are made of: their members, and what may stand in them.
//!
//! Source: service model `apigatewayv2` 2018-11-29, and the limits in the texts of its shapes.

use serde_json::{Map, Value};

use crate::error::Invalid;

/// The members of a resource by their names on the wire.
pub(crate) type Resource = Map<String, Value>;

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) required: bool,
}

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Form {
    /// Text of so many characters.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    Flag,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// Any number.
    Number,
    /// A list of texts.
    Texts,
    /// A JSON schema: its text, which templates may also write as an object.
    Schema,
    /// Texts by names of the author's choice.
    TextMap,
    Record(&'static [Member]),
    RecordMap(&'static [Member]),
    RecordList(&'static [Member]),
}

pub(crate) const fn member(name: &'static str, form: Form) -> Member {
    Member { name, form, required: false }
}

pub(crate) const fn required(name: &'static str, form: Form) -> Member {
    Member { name, form, required: true }
}

/// Whether a request makes a resource or changes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Update,
}

/// Reads the members that are known out of a request's body. Others are ignored, as the service does.
pub(crate) fn read(
    body: &Resource,
    members: &[Member],
    purpose: Purpose,
) -> Result<Resource, Invalid> {
    let mut invalid = Invalid::default();
    let read = read_record(body, members, purpose, "", &mut invalid);
    invalid.check()?;
    Ok(read)
}

fn read_record(
    given: &Resource,
    members: &[Member],
    purpose: Purpose,
    path: &str,
    invalid: &mut Invalid,
) -> Resource {
    let mut read = Resource::new();
    for Member { name, form, required } in members {
        let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
        match given.get(*name) {
            None | Some(Value::Null) if *required && purpose == Purpose::Create => {
                invalid.add(&path, &Value::Null, "Member must not be null");
            }
            None | Some(Value::Null) => {}
            // To a change, the empty text says that a member is to be removed.
            Some(value) if *required && value.as_str() == Some("") => {
                let constraint = "Member must have length greater than or equal to 1";
                invalid.add(&path, value, constraint);
            }
            Some(value) => {
                if let Some(value) = read_value(value, form, purpose, &path, invalid) {
                    read.insert((*name).to_owned(), value);
                }
            }
        }
    }
    read
}

fn read_value(
    value: &Value,
    form: &Form,
    purpose: Purpose,
    path: &str,
    invalid: &mut Invalid,
) -> Option<Value> {
    let mut refuse = |what: &str| {
        invalid.add(path, value, what);
        None
    };
    match (form, value) {
        (Form::Text(max), Value::String(text)) if text.chars().count() > *max => {
            refuse(&format!("Member must have length less than or equal to {max}"))
        }
        (Form::Word(words), Value::String(word)) if !words.contains(&word.as_str()) => {
            refuse(&format!("Member must satisfy enum value set: [{}]", words.join(", ")))
        }
        (Form::Text(_) | Form::Schema | Form::Word(_), Value::String(_))
        | (Form::Flag, Value::Bool(_))
        | (Form::Number, Value::Number(_)) => Some(value.clone()),
        (Form::Integer(min, max), Value::Number(number)) => match number.as_i64() {
            Some(number) if number < *min => {
                refuse(&format!("Member must have value greater than or equal to {min}"))
            }
            Some(number) if number > *max => {
                refuse(&format!("Member must have value less than or equal to {max}"))
            }
            Some(number) => Some(number.into()),
            None => refuse("Member must be a whole number"),
        },
        (Form::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => {
            Some(value.clone())
        }
        (Form::TextMap, Value::Object(map)) if map.values().all(Value::is_string) => {
            Some(value.clone())
        }
        (Form::Record(members), Value::Object(map)) => {
            Some(read_record(map, members, purpose, path, invalid).into())
        }
        (Form::RecordMap(members), Value::Object(map)) => {
            let mut read = Resource::new();
            for (name, value) in map {
                let path = format!("{path}.{name}");
                let value = read_value(value, &Form::Record(members), purpose, &path, invalid)?;
                read.insert(name.clone(), value);
            }
            Some(read.into())
        }
        (Form::RecordList(members), Value::Array(items)) => {
            let mut read = Vec::new();
            for (index, value) in items.iter().enumerate() {
                let path = format!("{path}.{}.member", index + 1);
                read.push(read_value(value, &Form::Record(members), purpose, &path, invalid)?);
            }
            Some(read.into())
        }
        (form, _) => refuse(&format!("Member must be {}", form.describe())),
    }
}

impl Form {
    fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Word(_) | Self::Schema => "a string",
            Self::Flag => "a boolean",
            Self::Integer(..) | Self::Number => "a number",
            Self::Texts => "a list of strings",
            Self::TextMap => "a map of strings",
            Self::Record(_) => "a structure",
            Self::RecordMap(_) => "a map of structures",
            Self::RecordList(_) => "a list of structures",
        }
    }
}

/// Changes a resource as a PATCH does: maps and structures take over single members, and what is set to the empty
/// text is removed.
///
/// Source: observed in Terraform's AWS provider, which removes request parameters and stage variables so.
pub(crate) fn patch(resource: &mut Resource, change: Resource) {
    for (name, value) in change {
        match (resource.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => patch(old, new),
            (_, Value::String(text)) if text.is_empty() => _ = resource.shift_remove(&name),
            (_, value) => _ = resource.insert(name, value),
        }
    }
}

/// The properties as CloudFormation names them: `routeKey` is `RouteKey`.
pub(crate) fn to_properties(resource: &Resource, members: &[Member]) -> Resource {
    let convert = |Member { name, form, .. }: &Member| {
        let value = resource.get(*name)?;
        let value = match (form, value) {
            (Form::Record(members), Value::Object(map)) => to_properties(map, members).into(),
            (Form::RecordMap(members), Value::Object(map)) => {
                let convert = |(name, value): (&String, &Value)| {
                    Some((name.clone(), to_properties(value.as_object()?, members).into()))
                };
                Value::Object(map.iter().filter_map(convert).collect())
            }
            (Form::RecordList(members), Value::Array(items)) => {
                let maps = items.iter().filter_map(Value::as_object);
                maps.map(|map| Value::from(to_properties(map, members))).collect()
            }
            (_, value) => value.clone(),
        };
        Some((pascal(name), value))
    };
    members.iter().filter_map(convert).collect()
}

/// The members out of properties, which may write numbers and flags as texts. What does not fit is left out: it was
/// read, and reported, as a template.
pub(crate) fn from_properties(properties: &Resource, members: &[Member]) -> Resource {
    let convert = |Member { name, form, .. }: &Member| {
        let value = from_property(properties.get(&pascal(name))?, form)?;
        Some(((*name).to_owned(), value))
    };
    members.iter().filter_map(convert).collect()
}

fn from_property(value: &Value, form: &Form) -> Option<Value> {
    let text = match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match form {
        Form::Text(_) | Form::Word(_) => text.map(Value::String),
        Form::Schema => Some(text.unwrap_or_else(|| value.to_string()).into()),
        Form::Flag => Some((text? == "true").into()),
        Form::Integer(..) => text?.parse::<i64>().ok().map(Value::from),
        Form::Number => text?.parse::<f64>().ok().map(Value::from),
        Form::Texts => match value {
            Value::Array(items) => {
                items.iter().map(|item| from_property(item, &Form::Text(0))).collect()
            }
            _ => text.map(|text| vec![text].into()),
        },
        Form::TextMap => {
            let convert = |(name, value): (&String, &Value)| {
                Some((name.clone(), from_property(value, &Form::Text(0))?))
            };
            Some(Value::Object(value.as_object()?.iter().filter_map(convert).collect()))
        }
        Form::Record(members) => Some(from_properties(value.as_object()?, members).into()),
        Form::RecordMap(members) => {
            let convert = |(name, value): (&String, &Value)| {
                Some((name.clone(), from_properties(value.as_object()?, members).into()))
            };
            Some(Value::Object(value.as_object()?.iter().filter_map(convert).collect()))
        }
        Form::RecordList(members) => {
            let maps = value.as_array()?.iter().filter_map(Value::as_object);
            Some(maps.map(|map| Value::from(from_properties(map, members))).collect())
        }
    }
}

/// A member's name as templates write it.
pub(crate) fn pascal(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MEMBERS: &[Member] = &[
        required("name", Form::Text(3)),
        member("kind", Form::Word(&["A", "B"])),
        member("count", Form::Integer(1, 5)),
        member("map", Form::TextMap),
        member("record", Form::Record(&[member("rate", Form::Number), member("on", Form::Flag)])),
        member("texts", Form::Texts),
    ];

    fn object(value: Value) -> Resource {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_known_is_read_and_the_rest_is_ignored() {
        let body = json!({ "name": "abc", "kind": "A", "count": 5, "map": {"x": "y"}, "other": 1,
            "record": {"rate": 1.5, "on": true, "more": 1}, "texts": ["a"] });
        let read = read(&object(body), MEMBERS, Purpose::Create).unwrap();
        let expected = json!({ "name": "abc", "kind": "A", "count": 5, "map": {"x": "y"},
            "record": {"rate": 1.5, "on": true}, "texts": ["a"] });
        assert_eq!(Value::from(read), expected);
    }

    /// A change removed it: an API lost its name, a model its schema.
    #[test]
    fn what_is_required_is_not_empty() {
        for purpose in [Purpose::Create, Purpose::Update] {
            assert!(read(&object(json!({ "name": "" })), MEMBERS, purpose).is_err());
        }
    }

    #[test]
    fn all_mistakes_are_told_in_the_words_of_the_service() {
        let body = json!({ "kind": "C", "count": 6, "map": {"x": 1} });
        let error = read(&object(body), MEMBERS, Purpose::Create).unwrap_err().to_string();
        assert!(error.starts_with("4 validation errors detected: "), "{error}");
        for part in [
            "Value null at 'name' failed to satisfy constraint: Member must not be null",
            "Value 'C' at 'kind' failed to satisfy constraint: Member must satisfy enum value set: [A, B]",
            "Value '6' at 'count' failed to satisfy constraint: Member must have value less than or equal to 5",
            "at 'map' failed to satisfy constraint: Member must be a map of strings",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_patch_merges_maps_and_removes_what_is_set_to_nothing() {
        let mut resource = object(json!({ "name": "a", "map": {"x": "1", "y": "2"}, "count": 1 }));
        patch(&mut resource, object(json!({ "map": {"x": "", "z": "3"}, "name": "" })));
        assert_eq!(Value::from(resource), json!({ "map": {"y": "2", "z": "3"}, "count": 1 }));
    }

    #[test]
    fn properties_of_templates_become_members_and_back() {
        let properties = object(json!({ "Name": "a", "Count": "4", "Map": {"x": 1},
            "Record": {"Rate": "2.5", "On": "true"}, "Texts": "one" }));
        let members = from_properties(&properties, MEMBERS);
        let expected = json!({ "name": "a", "count": 4, "map": {"x": "1"},
            "record": {"rate": 2.5, "on": true}, "texts": ["one"] });
        assert_eq!(Value::from(members.clone()), expected);
        let back = to_properties(&members, MEMBERS);
        assert_eq!(back["Record"], json!({ "Rate": 2.5, "On": true }));
        assert_eq!(back["Texts"], json!(["one"]));
    }
}
