//! The fast lane: requests that nobody could misread go to the engine directly.
//!
//! The engine's HTTP front words every error as DynamoDB does, but reads a request several times and costs a
//! trip through a socket. Most requests are plain and right. A request takes the lane only if it has exactly the
//! members and types of its operation; what the engine then refuses goes to the front all the same, for the wording: a
//! refused request has changed nothing.

use std::collections::HashMap;
use std::fmt;

use dynoxide::actions::{delete_item, get_item, put_item, query, scan, update_item};
use dynoxide::{Database, DynoxideError};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::tokens;

/// What the engine made of a request.
pub(crate) type Answer = Result<String, DynoxideError>;

/// Runs a request, if it may take the lane and the engine takes it. Only the engine's own work is done in a turn.
pub(crate) fn run<T>(
    database: &Database,
    turn: impl FnOnce() -> T,
    operation: &str,
    body: &[u8],
) -> Option<Answer> {
    match operation {
        "GetItem" => {
            go::<Get, get_item::GetItemRequest, _, _>(body, turn, |it| database.get_item(it))
        }
        "PutItem" => {
            go::<Put, put_item::PutItemRequest, _, _>(body, turn, |it| database.put_item(it))
        }
        "DeleteItem" => go::<Delete, delete_item::DeleteItemRequest, _, _>(body, turn, |it| {
            database.delete_item(it)
        }),
        "UpdateItem" => go::<Update, update_item::UpdateItemRequest, _, _>(body, turn, |it| {
            database.update_item(it)
        }),
        "Query" => go::<Query, query::QueryRequest, _, _>(body, turn, |it| database.query(it)),
        "Scan" => go::<Scan, scan::ScanRequest, _, _>(body, turn, |it| database.scan(it)),
        _ => None,
    }
}

fn go<Shape, Request, Response, T>(
    body: &[u8],
    turn: impl FnOnce() -> T,
    call: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Option<Answer>
where
    Shape: DeserializeOwned,
    Request: DeserializeOwned,
    Response: Serialize,
{
    serde_json::from_slice::<Shape>(body).ok()?;
    let request = serde_json::from_slice(body).ok()?;
    let answered = {
        let _turn = turn();
        call(request)
    };
    match answered {
        Ok(response) => serde_json::to_string(&response).ok().map(Ok),
        Err(error) if is_final(&error) => Some(Err(error)),
        Err(_) => None,
    }
}

/// Whether an error is what it is however it is worded. Asking again for these would do work twice, or hide a fault.
fn is_final(error: &DynoxideError) -> bool {
    matches!(
        error,
        DynoxideError::ConditionalCheckFailedException(..) | DynoxideError::InternalServerError(_)
    )
}

macro_rules! shape {
    ($name:ident { $($must:ident: $of:ty),* } $($may:ident: $maybe:ty),* $(,)?) => {
        /// The members that an operation may have in the lane.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(non_snake_case, dead_code, reason = "the service's names, which are only looked for")]
        struct $name {
            $($must: $of,)*
            $(#[serde(default, deserialize_with = "given")] $may: Option<$maybe>,)*
        }
    };
}

shape!(Get { TableName: Name, Key: Item }
    ConsistentRead: bool, ProjectionExpression: Text, ExpressionAttributeNames: Names);
shape!(Put { TableName: Name, Item: Item }
    ConditionExpression: Text, ExpressionAttributeNames: Names, ExpressionAttributeValues: Values,
    ReturnValues: Text, ReturnValuesOnConditionCheckFailure: Text);
shape!(Delete { TableName: Name, Key: Item }
    ConditionExpression: Text, ExpressionAttributeNames: Names, ExpressionAttributeValues: Values,
    ReturnValues: Text, ReturnValuesOnConditionCheckFailure: Text);
shape!(Update { TableName: Name, Key: Item, UpdateExpression: Text }
    ConditionExpression: Text, ExpressionAttributeNames: Names, ExpressionAttributeValues: Values,
    ReturnValues: WholeItems, ReturnValuesOnConditionCheckFailure: Text);
shape!(Query { TableName: Name, KeyConditionExpression: Text }
    IndexName: Name, FilterExpression: Text, ProjectionExpression: Text,
    ExpressionAttributeNames: Names, ExpressionAttributeValues: Values, ConsistentRead: bool,
    ScanIndexForward: bool, Limit: u32, ExclusiveStartKey: Item);
shape!(Scan { TableName: Name }
    IndexName: Name, FilterExpression: Text, ProjectionExpression: Text,
    ExpressionAttributeNames: Names, ExpressionAttributeValues: Values, ConsistentRead: bool,
    Limit: u32, ExclusiveStartKey: Item);

/// A member that is there has a value: `null` is the front's to judge.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Any text but an empty one.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let taken = check_text(deserializer, |text| !text.is_empty())?;
        if taken { Ok(Self) } else { Err(D::Error::custom("empty")) }
    }
}

/// A table's or an index's name: no ARN, and not that of the table of tokens.
pub(crate) struct Name(pub(crate) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let name = String::deserialize(deserializer)?;
        let taken =
            (3..=255).contains(&name.len()) && name.bytes().all(known) && name != tokens::TABLE;
        if taken { Ok(Self(name)) } else { Err(D::Error::custom("no name")) }
    }
}

/// What an update returns where it is not a part of attributes.
struct WholeItems;

impl<'de> Deserialize<'de> for WholeItems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let taken =
            check_text(deserializer, |text| matches!(text, "NONE" | "ALL_OLD" | "ALL_NEW"))?;
        if taken { Ok(Self) } else { Err(D::Error::custom("a part")) }
    }
}

/// Reads a text and tells what `check` says of it.
fn check_text<'de, D: Deserializer<'de>>(
    deserializer: D,
    check: impl FnOnce(&str) -> bool,
) -> Result<bool, D::Error> {
    deserializer.deserialize_str(Checked(check))
}

struct Checked<F>(F);

impl<F: FnOnce(&str) -> bool> Visitor<'_> for Checked<F> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok((self.0)(text))
    }
}

/// `ExpressionAttributeNames` with at least one.
struct Names;

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = HashMap::<String, Text>::deserialize(deserializer)?;
        if names.is_empty() { Err(D::Error::custom("empty")) } else { Ok(Self) }
    }
}

/// `ExpressionAttributeValues` with at least one.
struct Values;

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = deserializer.deserialize_map(Attributes)?;
        if found == 0 { Err(D::Error::custom("empty")) } else { Ok(Self) }
    }
}

/// Attributes, each of exactly one type.
struct Item;

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Attributes)?;
        Ok(Self)
    }
}

/// Counts attributes. A name that stands there twice is the engine's to judge, and its two ways agree.
struct Attributes;

impl<'de> Visitor<'de> for Attributes {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut found = 0;
        while map.next_entry::<IgnoredAny, Attribute>()?.is_some() {
            found += 1;
        }
        Ok(found)
    }
}

/// An attribute's value: `{"S":"…"}`. `serde_json` bounds the depth.
struct Attribute;

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Typed)?;
        Ok(Self)
    }
}

struct Typed;

impl<'de> Visitor<'de> for Typed {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let kind: Kind = map.next_key()?.ok_or_else(|| A::Error::custom("no value"))?;
        match kind {
            Kind::S | Kind::N | Kind::B => {
                map.next_value::<Any>()?;
            }
            Kind::Bool => {
                map.next_value::<bool>()?;
            }
            Kind::Null => {
                if !map.next_value::<bool>()? {
                    return Err(A::Error::custom("NULL is true"));
                }
            }
            Kind::SS | Kind::NS | Kind::BS => {
                if map.next_value::<Vec<Any>>()?.is_empty() {
                    return Err(A::Error::custom("an empty set"));
                }
            }
            Kind::L => {
                map.next_value::<Vec<Attribute>>()?;
            }
            Kind::M => {
                map.next_value::<Item>()?;
            }
        }
        match map.next_key::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a second value")),
        }
    }
}

#[derive(Deserialize)]
enum Kind {
    S,
    N,
    B,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    SS,
    NS,
    BS,
    L,
    M,
}

/// Any text.
struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        check_text(deserializer, |_| true)?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes<Shape: DeserializeOwned>(text: &str) -> bool {
        serde_json::from_str::<Shape>(text).is_ok()
    }

    #[test]
    fn plain_requests_take_the_lane() {
        assert!(takes::<Get>(
            r#"{"TableName":"Chat","Key":{"id":{"S":"a"}},"ConsistentRead":true}"#
        ));
        let every = r#"{"TableName":"Chat","Item":{"id":{"S":""},"n":{"N":"1"},"b":{"B":"AA=="},
            "t":{"BOOL":false},"z":{"NULL":true},"ss":{"SS":["a"]},"l":{"L":[{"M":{"x":{"NS":["1"]}}}]}}}"#;
        assert!(takes::<Put>(every));
    }

    #[test]
    fn what_could_be_misread_does_not() {
        for text in [
            r#"{"TableName":"Chat","Key":{"id":{"S":"a"}},"ConsistentRead":"true"}"#,
            r#"{"TableName":"Chat","Key":{"id":{"S":"a"}},"ConsistentRead":null}"#,
            r#"{"TableName":"Chat","Key":{"id":{"S":"a","N":"1"}}}"#,
            r#"{"TableName":"Chat","Key":{"id":{}}}"#,
            r#"{"TableName":"Chat","Key":{"id":{"S":1}}}"#,
            r#"{"TableName":"Chat","Key":{"id":{"X":"1"}}}"#,
            r#"{"TableName":"Chat","Key":{"id":{"S":"a"}},"Unknown":1}"#,
            r#"{"TableName":"arn:aws:dynamodb:a:1:table/Chat","Key":{"id":{"S":"a"}}}"#,
            r#"{"TableName":"Chat","TableName":"Chat","Key":{"id":{"S":"a"}}}"#,
            r#"{"TableName":"Chat","Key":{"id":{"S":"a"}},"ExpressionAttributeNames":{}}"#,
            "[]",
        ] {
            assert!(!takes::<Get>(text), "{text}");
        }
        assert!(!takes::<Put>(r#"{"TableName":"Chat","Item":{"id":{"SS":[]}}}"#));
        assert!(!takes::<Put>(r#"{"TableName":"Chat","Item":{"id":{"NULL":false}}}"#));
    }
}
