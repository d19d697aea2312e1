//! Contents that come in parts, as most tools send what is larger than 5 or 8 MB.
//!
//! Source: Amazon S3 API Reference, `CreateMultipartUpload` and its companions. An upload that was not completed when the
//! program ends is gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stillwire_awswire::{Xml, iso_millis};
use stillwire_model::ServiceCaller;
use tempfile::NamedTempFile;
use tokio::time::Instant;
use uuid::Uuid;

use crate::answer::Answer;
use crate::buckets::NAMESPACE;
use crate::documents::{self, CompletedPart};
use crate::error::{Answered, Refused};
use crate::limits;
use crate::objects::{self, check_write, kept_headers};
use crate::receive::{Received, hex};
use crate::request::{Headers, Queried};
use crate::room::Room;
use crate::state::{BucketId, Object};

/// The uploads that are under way, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<BTreeMap<String, Upload>>);

#[derive(Debug)]
struct Upload {
    bucket: BucketId,
    key: String,
    headers: BTreeMap<String, String>,
    begun: u64,
    touched: Instant,
    parts: BTreeMap<u32, Part>,
}

#[derive(Debug)]
struct Part {
    file: NamedTempFile,
    size: u64,
    md5: [u8; 16],
    modified: u64,
}

impl Uploads {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Upload>> {
        // It is changed in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that all parts have.
    fn bytes(&self) -> u64 {
        self.all().values().flat_map(|upload| upload.parts.values()).map(|part| part.size).sum()
    }
}

/// The upload of this id, if it is for this object.
fn find<'a>(
    all: &'a mut BTreeMap<String, Upload>,
    upload: &str,
    (bucket, key): (&BucketId, &str),
) -> Answered<&'a mut Upload> {
    all.get_mut(upload)
        .filter(|upload| upload.bucket == *bucket && upload.key == key)
        .ok_or_else(Refused::no_upload)
}

pub(crate) fn create(room: &Room, id: &BucketId, key: &str, headers: &Headers) -> Answered<Answer> {
    let mut all = room.uploads.all();
    if all.len() >= limits::UPLOADS_MAX {
        all.retain(|_, upload| upload.touched.elapsed() < limits::UPLOAD_REST_MAX);
    }
    if all.len() >= limits::UPLOADS_MAX {
        let message = "Please reduce your request rate: too many uploads are under way.";
        return Err(Refused::new(503, "SlowDown", message));
    }
    let upload = Upload {
        bucket: id.clone(),
        key: key.to_owned(),
        headers: kept_headers(headers)?,
        begun: room.now(),
        touched: Instant::now(),
        parts: BTreeMap::new(),
    };
    let name = Uuid::new_v4().simple().to_string();
    all.insert(name.clone(), upload);
    let mut answer =
        Answer::xml(Xml::document("InitiateMultipartUploadResult", NAMESPACE, |xml| {
            xml.text("Bucket", &id.name).text("Key", key).text("UploadId", &name);
        }));
    for header in ["x-amz-checksum-algorithm", "x-amz-checksum-type"] {
        if let Some(value) = headers.get(header) {
            answer = answer.with(header, value);
        }
    }
    Ok(answer)
}

/// The number of a part and the id of its upload.
pub(crate) fn part_of(queried: &Queried) -> Answered<Option<(u32, String)>> {
    let (Some(number), Some(upload)) = (queried.get("partNumber"), queried.get("uploadId")) else {
        return Ok(None);
    };
    match number.parse() {
        Ok(number) if (1..=limits::PARTS_MAX).contains(&number) => {
            Ok(Some((number, upload.to_owned())))
        }
        _ => {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            Err(Refused::invalid(message))
        }
    }
}

pub(crate) fn put_part(
    room: &Room,
    place: (&BucketId, &str),
    (number, upload): (u32, &str),
    received: Received,
) -> Answered<Answer> {
    let Received { file, size, md5, checksum: (algorithm, sum) } = received;
    room.state().check_room(0, 0, room.uploads.bytes() + size)?;
    let mut all = room.uploads.all();
    let upload = find(&mut all, upload, place)?;
    upload.touched = Instant::now();
    upload.parts.insert(number, Part { file, size, md5, modified: room.now() });
    let answer = Answer::empty(200).with("etag", format!("\"{}\"", hex(&md5)));
    Ok(answer.with(algorithm.header(), sum))
}

/// A part that is a piece of another object.
pub(crate) fn copy_part(
    room: &Room,
    caller: &ServiceCaller,
    place: (&BucketId, &str),
    part: Option<&(u32, String)>,
    (source, headers): (&str, &Headers),
) -> Answered<Answer> {
    let (number, upload) =
        part.ok_or_else(|| Refused::invalid("a part has a partNumber and an uploadId"))?;
    let (bucket, key) = objects::copied(source)?;
    let original = {
        let mut state = room.state();
        let from = room.meant(&mut state, caller, &bucket)?;
        state.object(&from, &key)?.clone()
    };
    let range = match headers.get("x-amz-copy-source-range") {
        Some(text) => objects::part(text, original.size)?,
        None => None,
    };
    let (first, last) = range.unwrap_or_else(|| (0, original.size.saturating_sub(1)));
    let size = if original.size == 0 { 0 } else { last - first + 1 };
    let disk = |error| Refused::disk(&error);
    let mut file = NamedTempFile::new_in(room.store.incoming()).map_err(disk)?;
    let mut from = File::open(room.store.content(&original.file)).map_err(disk)?;
    from.seek(SeekFrom::Start(first)).map_err(disk)?;
    let mut md5 = md5::Context::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut left = from.take(size);
    loop {
        let read = left.read(&mut buffer).map_err(disk)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
        md5.consume(piece);
        file.write_all(piece).map_err(disk)?;
    }
    let md5 = md5.compute().0;
    room.state().check_room(0, 0, room.uploads.bytes() + size)?;
    let mut all = room.uploads.all();
    let upload = find(&mut all, upload, place)?;
    upload.touched = Instant::now();
    let modified = room.now();
    upload.parts.insert(*number, Part { file, size, md5, modified });
    Ok(Answer::xml(Xml::document("CopyPartResult", NAMESPACE, |xml| {
        xml.text("ETag", format!("\"{}\"", hex(&md5)));
        xml.text("LastModified", iso_millis(modified));
    })))
}

pub(crate) fn abort(room: &Room, place: (&BucketId, &str), upload: &str) -> Answered<Answer> {
    let mut all = room.uploads.all();
    find(&mut all, upload, place)?;
    all.remove(upload);
    Ok(Answer::empty(204))
}

pub(crate) fn complete(
    room: &Room,
    (id, key): (&BucketId, &str),
    upload: &str,
    (headers, body): (&Headers, &str),
) -> Answered<Answer> {
    let wanted = documents::parts(body)?;
    let upload = {
        let mut all = room.uploads.all();
        check_parts(find(&mut all, upload, (id, key))?, &wanted)?;
        // Nobody else completes it meanwhile. What fails from here on is the disk.
        all.remove(upload).ok_or_else(Refused::no_upload)?
    };
    let disk = |error| Refused::disk(&error);
    let (file, size) = join(room, &upload, &wanted).map_err(disk)?;
    let mut md5 = md5::Context::new();
    for part in wanted.iter().filter_map(|part| upload.parts.get(&part.number)) {
        md5.consume(part.md5);
    }
    if size > limits::OBJECT_BYTES_MAX {
        return Err(Refused::too_large(limits::OBJECT_BYTES_MAX));
    }
    let mut state = room.state();
    check_write(state.object(id, key).ok(), headers)?;
    state.bucket(id)?;
    state.check_room(0, 1, size)?;
    let object = Object {
        account: id.account.clone(),
        bucket: id.name.clone(),
        key: key.to_owned(),
        file: room.store.keep_content(file).map_err(disk)?,
        size,
        etag: format!("{}-{}", hex(&md5.compute().0), wanted.len()),
        modified: room.now(),
        headers: upload.headers,
        ..Object::default()
    };
    room.store.keep_object(&object).map_err(disk)?;
    let answer = Answer::xml(Xml::document("CompleteMultipartUploadResult", NAMESPACE, |xml| {
        xml.text("Location", format!("/{}/{key}", id.name));
        xml.text("Bucket", &id.name).text("Key", key);
        xml.text("ETag", format!("\"{}\"", object.etag));
    }));
    state.put_object(object);
    Ok(answer)
}

fn check_parts(upload: &Upload, wanted: &[CompletedPart]) -> Answered<()> {
    if wanted.is_empty() {
        return Err(Refused::malformed_xml());
    }
    if wanted.windows(2).any(|pair| matches!(pair, [one, next] if one.number >= next.number)) {
        let message =
            "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(Refused::new(400, "InvalidPartOrder", message));
    }
    let is_there = |part: &CompletedPart| {
        upload.parts.get(&part.number).is_some_and(|there| hex(&there.md5) == part.etag)
    };
    if wanted.iter().all(is_there) {
        return Ok(());
    }
    let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
         specified entity tag may not match the part's entity tag.";
    Err(Refused::new(400, "InvalidPart", message))
}

/// Puts the parts one behind the other.
fn join(
    room: &Room,
    upload: &Upload,
    wanted: &[CompletedPart],
) -> io::Result<(NamedTempFile, u64)> {
    let mut whole = NamedTempFile::new_in(room.store.incoming())?;
    let mut size = 0;
    for part in wanted.iter().filter_map(|part| upload.parts.get(&part.number)) {
        size += io::copy(&mut File::open(part.file.path())?, &mut whole)?;
    }
    whole.as_file().sync_all()?;
    Ok((whole, size))
}

pub(crate) fn list_parts(room: &Room, place: (&BucketId, &str), upload: &str) -> Answered<Answer> {
    let mut all = room.uploads.all();
    let parts = &find(&mut all, upload, place)?.parts;
    Ok(Answer::xml(Xml::document("ListPartsResult", NAMESPACE, |xml| {
        xml.text("Bucket", &place.0.name).text("Key", place.1).text("UploadId", upload);
        xml.flag("IsTruncated", false);
        for (number, part) in parts {
            xml.node("Part", |xml| {
                xml.text("PartNumber", number.to_string());
                xml.text("LastModified", iso_millis(part.modified));
                xml.text("ETag", format!("\"{}\"", hex(&part.md5)));
                xml.text("Size", part.size.to_string());
            });
        }
    })))
}

pub(crate) fn list(room: &Room, id: &BucketId) -> Answered<Answer> {
    room.state().bucket(id)?;
    let all = room.uploads.all();
    Ok(Answer::xml(Xml::document("ListMultipartUploadsResult", NAMESPACE, |xml| {
        xml.text("Bucket", &id.name).flag("IsTruncated", false);
        for (name, upload) in all.iter().filter(|(_, upload)| upload.bucket == *id) {
            xml.node("Upload", |xml| {
                xml.text("Key", &upload.key).text("UploadId", name);
                xml.text("Initiated", iso_millis(upload.begun)).text("StorageClass", "STANDARD");
            });
        }
    })))
}
