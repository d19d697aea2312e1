//! Objects: put, got, copied, tagged and removed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use stillwire_awswire::{Xml, iso_millis};
use stillwire_model::ServiceCaller;

use crate::answer::{Answer, Body};
use crate::buckets::NAMESPACE;
use crate::documents;
use crate::error::{Answered, Refused};
use crate::limits;
use crate::receive::{Received, hex};
use crate::request::Headers;
use crate::room::Room;
use crate::sides;
use crate::state::{BucketId, Object};

/// Headers that come back with an object as they were sent with it.
const KEPT: [&str; 5] =
    ["cache-control", "content-disposition", "content-language", "content-type", "expires"];

/// The headers that are kept with an object.
pub(crate) fn kept_headers(headers: &Headers) -> Answered<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in headers.iter() {
        let is_own = name.strip_prefix("x-amz-meta-");
        if let Some(own) = is_own {
            bytes += own.len() + value.len();
        }
        if is_own.is_some() || KEPT.contains(&name) {
            kept.insert(name.to_owned(), value.to_owned());
        }
    }
    if bytes > limits::METADATA_BYTES_MAX {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(Refused::new(400, "MetadataTooLarge", message));
    }
    let encoding = headers.get("content-encoding").unwrap_or_default();
    let encodings = encoding.split(',').map(str::trim).filter(|one| !one.is_empty());
    let encodings: Vec<&str> =
        encodings.filter(|one| !one.eq_ignore_ascii_case("aws-chunked")).collect();
    if !encodings.is_empty() {
        kept.insert("content-encoding".to_owned(), encodings.join(","));
    }
    kept.entry("content-type".to_owned()).or_insert_with(|| "binary/octet-stream".to_owned());
    Ok(kept)
}

/// Puts an object in place whose content has come.
pub(crate) fn put(
    room: &Room,
    (id, key): (&BucketId, &str),
    headers: &Headers,
    received: Received,
) -> Answered<Answer> {
    let Received { file, size, md5, checksum: (algorithm, sum) } = received;
    let tags = headers.get("x-amz-tagging").map(|text| {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect::<BTreeMap<_, _>>()
    });
    let mut state = room.state();
    check_write(state.object(id, key).ok(), headers)?;
    state.bucket(id)?;
    state.check_room(0, 1, size)?;
    let disk = |error| Refused::disk(&error);
    let object = Object {
        account: id.account.clone(),
        bucket: id.name.clone(),
        key: key.to_owned(),
        file: room.store.keep_content(file).map_err(disk)?,
        size,
        etag: hex(&md5),
        modified: room.now(),
        headers: kept_headers(headers)?,
        checksum: Some((algorithm.header(), sum.clone())),
        tags: tags.unwrap_or_default(),
    };
    room.store.keep_object(&object).map_err(disk)?;
    let answer = Answer::empty(200).with("etag", format!("\"{}\"", object.etag));
    state.put_object(object);
    Ok(answer.with(algorithm.header(), sum).with("x-amz-checksum-type", "FULL_OBJECT"))
}

/// Whether what is there may be written over. Source: Amazon S3 User Guide, "Conditional writes".
pub(crate) fn check_write(there: Option<&Object>, headers: &Headers) -> Answered<()> {
    if headers.get("if-none-match").is_some() && there.is_some() {
        return Err(Refused::precondition("If-None-Match"));
    }
    match (headers.get("if-match"), there) {
        (Some(_), None) => Err(Refused::no_key()),
        (Some(given), Some(there)) if !is_etag(given, &there.etag) => {
            Err(Refused::precondition("If-Match"))
        }
        _ => Ok(()),
    }
}

fn is_etag(given: &str, etag: &str) -> bool {
    given.split(',').map(|one| one.trim().trim_matches('"')).any(|one| one == "*" || one == etag)
}

pub(crate) fn get(room: &Room, id: &BucketId, key: &str, headers: &Headers) -> Answered<Answer> {
    let state = room.state();
    let object = state.object(id, key)?;
    let etag = format!("\"{}\"", object.etag);
    let since = |name: &str| headers.get(name).and_then(http_seconds);
    let modified = object.modified / 1000;
    if headers.get("if-match").is_some_and(|given| !is_etag(given, &object.etag)) {
        return Err(Refused::precondition("If-Match"));
    }
    if headers.get("if-match").is_none()
        && since("if-unmodified-since").is_some_and(|since| modified > since)
    {
        return Err(Refused::precondition("If-Unmodified-Since"));
    }
    let is_same = match headers.get("if-none-match") {
        Some(given) => is_etag(given, &object.etag),
        None => since("if-modified-since").is_some_and(|since| modified <= since),
    };
    if is_same {
        return Ok(Answer::empty(304).with("etag", etag));
    }
    let path = room.store.content(&object.file);
    let range = match headers.get("range") {
        Some(text) => part(text, object.size)?,
        None => None,
    };
    let (status, from, length) = match range {
        Some((first, last)) => (206, first, last - first + 1),
        None => (200, 0, object.size),
    };
    let mut answer = Answer::empty(status)
        .with("etag", etag)
        .with("accept-ranges", "bytes")
        .with("last-modified", http_date(object.modified))
        .holding(Body::Part(path, from, length));
    if let Some((first, last)) = range {
        answer = answer.with("content-range", format!("bytes {first}-{last}/{}", object.size));
    } else if let Some((header, sum)) = &object.checksum
        && headers.get("x-amz-checksum-mode").is_some()
    {
        answer = answer.with(header, sum).with("x-amz-checksum-type", "FULL_OBJECT");
    }
    if !object.tags.is_empty() {
        answer = answer.with("x-amz-tagging-count", object.tags.len().to_string());
    }
    for (name, value) in &object.headers {
        answer = answer.with(name, value);
    }
    Ok(answer)
}

/// The first and last byte of a range; `None` where the header is no range of bytes, which counts as none.
///
/// Source: RFC 9110, section 14.1.2.
pub(crate) fn part(text: &str, size: u64) -> Answered<Option<(u64, u64)>> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let (first, last) = (first.trim(), last.trim());
    let end = size.saturating_sub(1);
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(count)) if first.is_empty() && count > 0 => (size.saturating_sub(count), end),
        _ => return Ok(None),
    };
    if range.0 >= size {
        let message = "The requested range is not satisfiable";
        return Err(Refused::new(416, "InvalidRange", message));
    }
    Ok(Some(range))
}

pub(crate) fn copy(
    room: &Room,
    caller: &ServiceCaller,
    (id, key): (&BucketId, &str),
    (source, headers): (&str, &Headers),
) -> Answered<Answer> {
    let (from, from_key) = copied(source)?;
    let mut state = room.state();
    let from = room.meant(&mut state, caller, &from)?;
    let original = state.object(&from, &from_key)?.clone();
    state.check_room(0, 1, original.size)?;
    check_write(state.object(id, key).ok(), &Headers::default())?;
    let disk = |error| Refused::disk(&error);
    // Contents are never changed, so two objects could be one file; but each goes when its object does.
    let file = tempfile::NamedTempFile::new_in(room.store.incoming()).map_err(disk)?;
    std::fs::copy(room.store.content(&original.file), file.path()).map_err(disk)?;
    file.as_file().sync_all().map_err(disk)?;
    let replaces = headers.get("x-amz-metadata-directive") == Some("REPLACE");
    let object = Object {
        account: id.account.clone(),
        bucket: id.name.clone(),
        key: key.to_owned(),
        file: room.store.keep_content(file).map_err(disk)?,
        modified: room.now(),
        headers: if replaces { kept_headers(headers)? } else { original.headers.clone() },
        ..original
    };
    room.store.keep_object(&object).map_err(disk)?;
    let answer = Answer::xml(Xml::document("CopyObjectResult", NAMESPACE, |xml| {
        xml.text("LastModified", iso_millis(object.modified));
        xml.text("ETag", format!("\"{}\"", object.etag));
        if let Some((algorithm, sum)) = object.algorithm() {
            xml.text(algorithm.member(), sum);
        }
    }));
    state.put_object(object);
    Ok(answer)
}

/// Bucket and key of `x-amz-copy-source`.
pub(crate) fn copied(source: &str) -> Answered<(String, String)> {
    let invalid = || Refused::invalid("Copy Source must mention the source bucket and key");
    let path = source.split("?versionId=").next().unwrap_or(source);
    let path = percent_decode_str(path).decode_utf8().map_err(|_| invalid())?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').ok_or_else(invalid)?;
    Ok((bucket.to_owned(), key.to_owned()))
}

/// Removing what is not there is done.
pub(crate) fn delete(room: &Room, id: &BucketId, key: &str) -> Answered<Answer> {
    remove(room, id, key)?;
    Ok(Answer::empty(204))
}

fn remove(room: &Room, id: &BucketId, key: &str) -> Answered<()> {
    let mut state = room.state();
    state.bucket(id)?;
    room.store.remove_object(id, key).map_err(|error| Refused::disk(&error))?;
    state.remove_object(id, key);
    Ok(())
}

pub(crate) fn delete_all(room: &Room, id: &BucketId, body: &str) -> Answered<Answer> {
    let deletion = documents::deletion(body)?;
    let outcomes: Vec<(&String, Answered<()>)> =
        deletion.keys.iter().map(|key| (key, remove(room, id, key))).collect();
    Ok(Answer::xml(Xml::document("DeleteResult", NAMESPACE, |xml| {
        for (key, outcome) in &outcomes {
            match outcome {
                Ok(()) if deletion.is_quiet => {}
                Ok(()) => _ = xml.node("Deleted", |xml| _ = xml.text("Key", key)),
                Err(refused) => {
                    xml.node("Error", |xml| {
                        xml.text("Key", key).text("Code", refused.code);
                        xml.text("Message", &refused.message);
                    });
                }
            }
        }
    })))
}

pub(crate) fn tags(room: &Room, id: &BucketId, key: &str) -> Answered<Answer> {
    let state = room.state();
    let tags = &state.object(id, key)?.tags;
    Ok(Answer::xml(Xml::document("Tagging", NAMESPACE, |xml| {
        xml.node("TagSet", |xml| {
            for (key, value) in tags {
                xml.node("Tag", |xml| _ = xml.text("Key", key).text("Value", value));
            }
        });
    })))
}

pub(crate) fn set_tags(
    room: &Room,
    id: &BucketId,
    key: &str,
    tags: BTreeMap<String, String>,
) -> Answered<Answer> {
    let status = if tags.is_empty() { 204 } else { 200 };
    let mut state = room.state();
    let object = Object { tags, ..state.object(id, key)?.clone() };
    room.store.keep_object(&object).map_err(|error| Refused::disk(&error))?;
    state.put_object(object);
    Ok(Answer::empty(status))
}

pub(crate) fn acl(room: &Room, id: &BucketId, key: &str) -> Answered<Answer> {
    room.state().object(id, key)?;
    let document =
        Xml::document("AccessControlPolicy", NAMESPACE, |xml| sides::acl(xml, &id.account));
    Ok(Answer::xml(document))
}

pub(crate) fn attributes(room: &Room, id: &BucketId, key: &str) -> Answered<Answer> {
    let state = room.state();
    let object = state.object(id, key)?;
    let document = Xml::document("GetObjectAttributesResponse", NAMESPACE, |xml| {
        xml.text("ETag", &object.etag);
        if let Some((algorithm, sum)) = object.algorithm() {
            xml.node("Checksum", |xml| _ = xml.text(algorithm.member(), sum));
        }
        xml.text("StorageClass", "STANDARD").text("ObjectSize", object.size.to_string());
    });
    Ok(Answer::xml(document).with("last-modified", http_date(object.modified)))
}

/// A time as HTTP headers have it. Source: RFC 9110, section 5.6.7.
fn http_date(epoch_millis: u64) -> String {
    let millis = i64::try_from(epoch_millis).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Seconds since the Unix epoch of a time in an HTTP header.
fn http_seconds(text: &str) -> Option<u64> {
    let text = text.strip_suffix("GMT")?;
    let time = Timestamp::strptime("%a, %d %b %Y %H:%M:%S %z", format!("{text}+0000")).ok()?;
    u64::try_from(time.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        assert_eq!(part("bytes=0-4", 10), Ok(Some((0, 4))));
        assert_eq!(part("bytes=5-", 10), Ok(Some((5, 9))));
        assert_eq!(part("bytes=-3", 10), Ok(Some((7, 9))));
        assert_eq!(part("bytes=-30", 10), Ok(Some((0, 9))));
        assert_eq!(part("bytes=0-99", 10), Ok(Some((0, 9))));
        for none in ["bytes=4-2", "bytes=x-", "bytes=-0", "lines=1-2", "bytes=1-2,4-5"] {
            assert_eq!(part(none, 10), Ok(None), "{none}");
        }
        assert_eq!(part("bytes=10-", 10).unwrap_err().status, 416);
        assert_eq!(part("bytes=0-", 0).unwrap_err().status, 416);
    }

    #[test]
    fn times_of_headers_are_read_as_they_are_written() {
        let text = http_date(1_738_660_353_120);
        assert_eq!(text, "Tue, 04 Feb 2025 09:12:33 GMT");
        assert_eq!(http_seconds(&text), Some(1_738_660_353));
        assert_eq!(http_seconds("yesterday"), None);
    }
}
