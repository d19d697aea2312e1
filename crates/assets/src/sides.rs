//! What is said about buckets besides their names: kept as it was sent, and answered so. Only versioning and location
//! are answered by us.

use stillwire_awswire::Xml;

use crate::answer::{Answer, Body};
use crate::buckets::NAMESPACE;
use crate::documents;
use crate::error::{Answered, Refused};
use crate::room::Room;
use crate::state::BucketId;

/// A side of buckets: its name in the query, and the error where nothing was said about it; without one, its empty
/// document.
struct Side {
    name: &'static str,
    none: Result<&'static str, (&'static str, &'static str)>,
}

const fn none(name: &'static str, code: &'static str, message: &'static str) -> Side {
    Side { name, none: Err((code, message)) }
}

const fn empty(name: &'static str, document: &'static str) -> Side {
    Side { name, none: Ok(document) }
}

/// Source: Amazon S3 API Reference, `GetBucket…`, and "List of error codes".
const SIDES: [Side; 18] = [
    none("policyStatus", "NoSuchBucketPolicy", "The bucket policy does not exist"),
    none("policy", "NoSuchBucketPolicy", "The bucket policy does not exist"),
    none(
        "encryption",
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    none("tagging", "NoSuchTagSet", "The TagSet does not exist"),
    none("lifecycle", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    none("cors", "NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    none(
        "website",
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    none(
        "replication",
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    none(
        "publicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    none(
        "ownershipControls",
        "OwnershipControlsNotFoundError",
        "The bucket ownership controls were not found",
    ),
    none(
        "object-lock",
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    none("metadataTable", "MetadataTableConfigurationNotFound", "There is no metadata table"),
    empty("versioning", "VersioningConfiguration"),
    empty("logging", "BucketLoggingStatus"),
    empty("notification", "NotificationConfiguration"),
    empty("accelerate", "AccelerateConfiguration"),
    empty("requestPayment", "RequestPaymentConfiguration"),
    empty("acl", "AccessControlPolicy"),
];

/// The names of all sides.
pub(crate) const NAMES: [&str; 18] = {
    let mut names = [""; 18];
    let mut place = 0;
    while place < SIDES.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            names[place] = SIDES[place].name;
        }
        place += 1;
    }
    names
};

pub(crate) fn get(room: &Room, id: &BucketId, name: &str) -> Answered<Answer> {
    let state = room.state();
    let record = &state.bucket(id)?.record;
    if let Some(document) = record.documents.get(name) {
        let content_type = if name == "policy" { "application/json" } else { "application/xml" };
        let body = Body::Text(document.clone());
        return Ok(Answer::empty(200).with("content-type", content_type).holding(body));
    }
    let side = SIDES.iter().find(|side| side.name == name);
    match side.map(|side| side.none) {
        Some(Ok(root)) => Ok(Answer::xml(Xml::document(root, NAMESPACE, |xml| match root {
            "RequestPaymentConfiguration" => _ = xml.text("Payer", "BucketOwner"),
            "AccessControlPolicy" => acl(xml, &id.account),
            _ => {}
        }))),
        Some(Err((code, message))) => Err(Refused::new(404, code, message)),
        None => Err(Refused::not_implemented(name)),
    }
}

/// The one access list there is: the account may do everything.
pub(crate) fn acl(xml: &mut Xml, account: &str) {
    xml.node("Owner", |xml| _ = xml.text("ID", account));
    xml.node("AccessControlList", |xml| {
        xml.node("Grant", |xml| {
            xml.node("Grantee", |xml| _ = xml.text("ID", account));
            xml.text("Permission", "FULL_CONTROL");
        });
    });
}

/// An empty constraint is us-east-1. Source: `GetBucketLocation`.
pub(crate) fn location(room: &Room, id: &BucketId) -> Answered<Answer> {
    let state = room.state();
    let region = state.bucket(id)?.record.region.clone();
    let region = if region == "us-east-1" { String::new() } else { region };
    let mut xml = Xml::new();
    xml.text("LocationConstraint", region);
    let text = xml.into_text();
    let named = text.replacen(
        "<LocationConstraint>",
        &format!("<LocationConstraint xmlns=\"{NAMESPACE}\">"),
        1,
    );
    Ok(Answer::xml(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{named}")))
}

pub(crate) fn put(room: &Room, id: &BucketId, name: &str, body: String) -> Answered<Answer> {
    if name == "policy" {
        if serde_json::from_str::<serde_json::Value>(&body).is_err() {
            let message = "Policies must be valid JSON and the first byte must be '{'";
            return Err(Refused::new(400, "MalformedPolicy", message));
        }
    } else if !body.is_empty() {
        documents::check(&body)?;
    }
    change(room, id, |documents| _ = documents.insert(name.to_owned(), body))?;
    Ok(Answer::empty(200))
}

pub(crate) fn delete(room: &Room, id: &BucketId, name: &str) -> Answered<Answer> {
    change(room, id, |documents| _ = documents.remove(name))?;
    Ok(Answer::empty(204))
}

fn change(
    room: &Room,
    id: &BucketId,
    change: impl FnOnce(&mut std::collections::BTreeMap<String, String>),
) -> Answered<()> {
    let mut state = room.state();
    let mut record = state.bucket(id)?.record.clone();
    change(&mut record.documents);
    room.store.keep_bucket(&record).map_err(|error| Refused::disk(&error))?;
    state.put_bucket(record);
    Ok(())
}
