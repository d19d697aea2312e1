//! Lists of objects, a page at a time.
//!
//! Source: Amazon S3 API Reference, `ListObjectsV2`, `ListObjects`, `ListObjectVersions`.

use std::ops::Bound;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use stillwire_awswire::{Xml, iso_millis};

use crate::answer::Answer;
use crate::buckets::NAMESPACE;
use crate::error::{Answered, Refused};
use crate::limits::PAGE_MAX;
use crate::request::Queried;
use crate::room::Room;
use crate::state::{Bucket, BucketId, Object};

/// What keys are encoded in where a caller asks for it.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'&')
    .add(b'+')
    .add(b'#')
    .add(b'?');

/// How keys are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    V1,
    V2,
    Versions,
}

/// One page.
#[derive(Debug, Default)]
struct Page<'a> {
    objects: Vec<&'a Object>,
    prefixes: Vec<String>,
    /// The last key, or last prefix, where there is more after it.
    next: Option<String>,
}

pub(crate) fn list(room: &Room, id: &BucketId, queried: &Queried, form: Form) -> Answered<Answer> {
    let state = room.state();
    let bucket = state.bucket(id)?;
    let text = |name: &str| queried.get(name).unwrap_or_default();
    let max = match queried.get("max-keys").filter(|text| !text.is_empty()) {
        None => PAGE_MAX,
        Some(text) => {
            let max = text.parse::<usize>();
            max.map_err(|_| Refused::invalid("max-keys is not a number"))?.min(PAGE_MAX)
        }
    };
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let after = match form {
        Form::V1 => text("marker").to_owned(),
        Form::Versions => text("key-marker").to_owned(),
        Form::V2 => match queried.get("continuation-token") {
            Some(token) => key_of(token)?,
            None => text("start-after").to_owned(),
        },
    };
    let page = page(bucket, prefix, delimiter, (&after, max));
    let is_encoded = text("encoding-type") == "url";
    let shown = |key: &str| {
        if is_encoded { utf8_percent_encode(key, ENCODED).to_string() } else { key.to_owned() }
    };
    let root = if form == Form::Versions { "ListVersionsResult" } else { "ListBucketResult" };
    Ok(Answer::xml(Xml::document(root, NAMESPACE, |xml| {
        xml.text("Name", &id.name).text("Prefix", shown(prefix)).text("MaxKeys", max.to_string());
        xml.maybe("Delimiter", Some(delimiter).filter(|text| !text.is_empty()).map(&shown));
        xml.maybe("EncodingType", is_encoded.then_some("url"));
        xml.flag("IsTruncated", page.next.is_some());
        match form {
            Form::V1 => {
                xml.text("Marker", shown(&after));
                xml.maybe("NextMarker", page.next.as_deref().map(&shown));
            }
            Form::V2 => {
                xml.text("KeyCount", (page.objects.len() + page.prefixes.len()).to_string());
                xml.maybe("ContinuationToken", queried.get("continuation-token"));
                xml.maybe("StartAfter", queried.get("start-after").map(&shown));
                xml.maybe("NextContinuationToken", page.next.as_deref().map(token_of));
            }
            Form::Versions => {
                xml.text("KeyMarker", shown(&after));
                xml.maybe("NextKeyMarker", page.next.as_deref().map(&shown));
            }
        }
        for object in &page.objects {
            let name = if form == Form::Versions { "Version" } else { "Contents" };
            xml.node(name, |xml| {
                xml.text("Key", shown(&object.key));
                if form == Form::Versions {
                    xml.text("VersionId", "null").flag("IsLatest", true);
                }
                xml.text("LastModified", iso_millis(object.modified));
                xml.text("ETag", format!("\"{}\"", object.etag));
                xml.text("Size", object.size.to_string()).text("StorageClass", "STANDARD");
            });
        }
        for prefix in &page.prefixes {
            xml.node("CommonPrefixes", |xml| _ = xml.text("Prefix", shown(prefix)));
        }
    })))
}

fn page<'a>(
    bucket: &'a Bucket,
    prefix: &str,
    delimiter: &str,
    (after, max): (&str, usize),
) -> Page<'a> {
    let mut page = Page::default();
    let mut last = None;
    // The same keys however they are asked for: after what was seen, and not before the first with the prefix.
    let from = if after < prefix {
        Bound::Included(prefix.to_owned())
    } else {
        Bound::Excluded(after.to_owned())
    };
    let keys = bucket.objects.range((from, Bound::Unbounded));
    for (key, object) in keys {
        let Some(rest) = key.strip_prefix(prefix) else { break };
        let cut = Some(delimiter).filter(|text| !text.is_empty()).and_then(|text| rest.find(text));
        let common = cut.and_then(|cut| key.get(..prefix.len() + cut + delimiter.len()));
        if let Some(common) = common {
            // One that was on the page before is not told again.
            if page.prefixes.last().is_some_and(|last| last == common) || after.starts_with(common)
            {
                continue;
            }
        }
        if page.objects.len() + page.prefixes.len() == max {
            page.next = last;
            break;
        }
        if let Some(common) = common {
            last = Some(common.to_owned());
            page.prefixes.push(common.to_owned());
        } else {
            last = Some(key.clone());
            page.objects.push(object);
        }
    }
    page
}

fn token_of(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

fn key_of(token: &str) -> Answered<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Refused::invalid("The continuation token provided is incorrect"))
}
