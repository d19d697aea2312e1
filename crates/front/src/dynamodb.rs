//! DynamoDB and its streams: requests go to the store of the caller's account and region.
//!
//! Source: DynamoDB service model (JSON 1.0, target prefixes); SDKs verify `x-amz-crc32`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::Full;
use serde_json::{Value, json};
use stillwire_awswire::{Payload, SignatureError};
use stillwire_model::{Clock, FunctionKeys, TableStores};
use uuid::Uuid;

use crate::roles::{PartitionKeys, Roles};
use crate::signed::{self, Where};
use crate::table_access::named_tables;
use crate::{Caller, REQUEST_BYTES_MAX, Rooms, reply, reply_as};

/// What a request to tables must be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableAuth {
    /// Nothing: anybody who reaches the address may do everything.
    Off,
    /// A signature in the right form, by any key. It says which region is meant, and proves nothing.
    #[default]
    Presence,
    /// A signature by a key that is known.
    Verify,
}

/// The tables, and who may use them.
#[derive(Clone)]
pub struct Tables {
    /// The stores.
    pub stores: Arc<dyn TableStores>,
    /// What a request must be signed with.
    pub auth: TableAuth,
    /// Secrets by their access keys.
    pub secrets: BTreeMap<String, String>,
    /// The keys of our own functions, which are known besides.
    pub functions: Arc<dyn FunctionKeys>,
    /// What the roles of functions may do, where that is enforced.
    pub roles: Option<Roles>,
    /// The region of callers who name none.
    pub region: Arc<str>,
    /// What time it is, for the age of signatures.
    pub clock: Arc<dyn Clock>,
}

/// Without the secrets.
impl fmt::Debug for Tables {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tables").field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// The most tables that a request can be about. Source: DynamoDB quotas, actions of a transaction (100).
const NAMED_TABLES_MAX: usize = 100;

/// The JSON protocols that are answered in kind. Source: DynamoDB, observed.
const TYPES: [&str; 2] = ["application/x-amz-json-1.0", "application/json"];

pub(crate) fn is_for(caller: &Caller) -> bool {
    ["DynamoDB_20120810.", "DynamoDBStreams_20120810."]
        .iter()
        .any(|prefix| caller.target.starts_with(prefix))
        || caller.service() == Some("dynamodb")
}

/// The answer to whoever only asks whether somebody is there. Source: DynamoDB, observed.
pub(crate) fn health(region: &str) -> Response<Full<Bytes>> {
    reply(200, "text/plain", format!("healthy: dynamodb.{region}.amazonaws.com ").into())
}

pub(crate) async fn answer(
    rooms: &Rooms,
    tables: &Tables,
    caller: &Caller,
    account: &str,
    parts: &Parts,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let base = caller.content_type.split(';').next().unwrap_or_default().trim();
    let kind = TYPES.into_iter().find(|kind| kind.eq_ignore_ascii_case(base)).unwrap_or(TYPES[0]);
    let region = caller.scope.as_ref().map_or(&*tables.region, |scope| &scope.region);
    let accepted =
        refuse(rooms, tables, caller, parts, &body).and_then(|()| plain(&parts.headers, body));
    let permitted = match accepted {
        Ok(body) => permit(tables, caller, (region, account), &body).await.map(|()| body),
        refused => refused,
    };
    let (status, body) = match permitted {
        Err(refused) => refused,
        Ok(body) => {
            let answer = tables.stores.store(account, region).call(&caller.target, body).await;
            (answer.status, answer.body)
        }
    };
    let crc = crc32fast::hash(&body);
    let mut response = reply_as(&request_id(), status, kind, body);
    response.headers_mut().insert("x-amz-crc32", HeaderValue::from(crc));
    response
}

/// An id in DynamoDB's own form: 52 letters and digits. Source: observed.
///
/// It is the process's own number and a count, since the system's random source would be asked thrice for each request.
fn request_id() -> String {
    static OWN: LazyLock<String> =
        LazyLock::new(|| Uuid::new_v4().simple().to_string().to_ascii_uppercase());
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}{:020}", *OWN, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Refuses who may not ask. Source: DynamoDB, observed codes and texts.
fn refuse(
    rooms: &Rooms,
    tables: &Tables,
    caller: &Caller,
    parts: &Parts,
    body: &[u8],
) -> Result<(), (u16, Bytes)> {
    match tables.auth {
        TableAuth::Presence if !caller.signed => {
            let text = "Request is missing Authentication Token";
            Err(refusal("MissingAuthenticationTokenException", text))
        }
        TableAuth::Presence if caller.scope.is_none() => {
            let text = "Authorization header requires 'Credential' parameter.";
            Err(refusal("IncompleteSignatureException", text))
        }
        TableAuth::Off | TableAuth::Presence => Ok(()),
        TableAuth::Verify => {
            signed::check(rooms, "dynamodb", parts, Payload::Body(body), Where::Here).map_err(
                |error| {
                    let message = match &error {
                        SignatureError::Missing => {
                            "Request is missing Authentication Token".to_owned()
                        }
                        other => other.to_string(),
                    };
                    refusal(error.code(), &message)
                },
            )
        }
    }
}

/// Refuses a function whose role does not allow what it asks for, where roles are enforced.
async fn permit(
    tables: &Tables,
    caller: &Caller,
    place: (&str, &str),
    body: &[u8],
) -> Result<(), (u16, Bytes)> {
    let (Some(roles), Some(scope)) = (&tables.roles, &caller.scope) else { return Ok(()) };
    let Some(function) = tables.functions.function(&scope.access_key) else { return Ok(()) };
    let Some(permissions) = roles.of(&function) else { return Ok(()) };
    let operation = caller.target.split_once('.').map_or("", |(_, operation)| operation);
    let body = serde_json::from_slice::<Value>(body).ok();
    let keys = match &body {
        Some(body) if permissions.ask_for_items() => {
            partition_keys(tables, place, named_tables(body)).await
        }
        _ => PartitionKeys::default(),
    };
    permissions.check(&function, (operation, body.as_ref()), place, &keys).map_err(|refused| {
        let text = json!({ "__type": "com.amazon.coral.service#AccessDeniedException",
            "Message": refused.message() });
        (400, text.to_string().into())
    })
}

/// The partition keys of these tables and their indexes. Of a table that is not there, or is another's, nothing is told.
async fn partition_keys(
    tables: &Tables,
    (region, account): (&str, &str),
    names: BTreeSet<Cow<'_, str>>,
) -> PartitionKeys {
    let store = tables.stores.store(account, region);
    let mut keys = PartitionKeys::new();
    for name in names.into_iter().take(NAMED_TABLES_MAX) {
        let request = json!({ "TableName": name }).to_string();
        let reply = store.call("DynamoDB_20120810.DescribeTable", request.into()).await;
        let described: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(table) = described.get("Table") else { continue };
        let lists = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"];
        let indexes = lists.iter().filter_map(|list| table.get(list)?.as_array()).flatten();
        for of in indexes.chain([table]) {
            let arn = of.get("IndexArn").or_else(|| of.get("TableArn")).and_then(Value::as_str);
            let key = of.get("KeySchema").and_then(Value::as_array).into_iter().flatten();
            let mut key = key.filter(|key| key.get("KeyType").is_some_and(|kind| kind == "HASH"));
            let name = key.next().and_then(|key| key.get("AttributeName")?.as_str());
            if let (Some(arn), Some(name)) = (arn, name) {
                keys.insert(arn.to_owned(), name.to_owned());
            }
        }
    }
    keys
}

/// The body as text: SDKs may compress it. What it becomes is bounded as what comes plain is.
fn plain(headers: &HeaderMap, body: Bytes) -> Result<Bytes, (u16, Bytes)> {
    let is_gzip = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !is_gzip {
        return Ok(body);
    }
    let mut text = Vec::new();
    let most = u64::try_from(REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
    match GzDecoder::new(body.as_ref()).take(most + 1).read_to_end(&mut text) {
        Ok(bytes) if bytes > REQUEST_BYTES_MAX => Err((413, Bytes::new())),
        Ok(_) => Ok(text.into()),
        Err(_) => Err(refusal("SerializationException", "")),
    }
}

fn refusal(code: &str, message: &str) -> (u16, Bytes) {
    let text = json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message });
    (400, text.to_string().into())
}
