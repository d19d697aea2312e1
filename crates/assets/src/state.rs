//! What there is: buckets of accounts, and the objects in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stillwire_model::StackName;

use crate::checksum::Algorithm;
use crate::error::{Answered, Refused};
use crate::limits;

/// Everything, as it is in memory. Files hold the same.
#[derive(Debug, Default)]
pub(crate) struct State {
    buckets: BTreeMap<BucketId, Bucket>,
    /// What stacks are made of.
    pub(crate) pins: BTreeMap<StackName, Vec<Pin>>,
    objects: usize,
    bytes: u64,
}

/// A bucket's name, with the account that has it: two accounts may have buckets of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct BucketId {
    pub(crate) account: String,
    pub(crate) name: String,
}

/// What is kept of a stack: what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct StackRecord {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) pins: Vec<Pin>,
}

/// An object as it was when a stack was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The name of the file that holds the content.
    pub(crate) file: String,
}

/// A bucket with its objects, by their keys.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) record: BucketRecord,
    pub(crate) objects: BTreeMap<String, Object>,
}

/// What is kept of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) region: String,
    /// In milliseconds since the Unix epoch, as all times here.
    pub(crate) created: u64,
    /// What was said about its sides (`versioning`, `encryption`, …), as it was sent.
    pub(crate) documents: BTreeMap<String, String>,
}

/// An object, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) account: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The name of the file that holds its content.
    pub(crate) file: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified: u64,
    /// Headers that come back with it: `content-type`, `x-amz-meta-…`.
    pub(crate) headers: BTreeMap<String, String>,
    /// The header of its checksum, and the sum.
    pub(crate) checksum: Option<(String, String)>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Object {
    pub(crate) fn algorithm(&self) -> Option<(Algorithm, &str)> {
        let (header, sum) = self.checksum.as_ref()?;
        Some((Algorithm::of_header(header)?, sum))
    }
}

impl State {
    pub(crate) fn buckets_of(&self, account: &str) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter().filter(move |(id, _)| id.account == account).map(|(_, bucket)| bucket)
    }

    pub(crate) fn bucket(&self, id: &BucketId) -> Answered<&Bucket> {
        self.buckets.get(id).ok_or_else(|| Refused::no_bucket(&id.name))
    }

    pub(crate) fn has(&self, id: &BucketId) -> bool {
        self.buckets.contains_key(id)
    }

    pub(crate) fn object(&self, id: &BucketId, key: &str) -> Answered<&Object> {
        self.bucket(id)?.objects.get(key).ok_or_else(Refused::no_key)
    }

    /// Whether another bucket, and then another object of so many bytes, has room.
    pub(crate) fn check_room(&self, buckets: usize, objects: usize, bytes: u64) -> Answered<()> {
        if self.buckets.len() + buckets > limits::BUCKETS_MAX {
            let message = "You have attempted to create more buckets than allowed";
            return Err(Refused::new(400, "TooManyBuckets", message));
        }
        if self.objects + objects > limits::OBJECTS_MAX {
            return Err(Refused::full("there are too many objects"));
        }
        if self.bytes.saturating_add(bytes) > limits::STORE_BYTES_MAX {
            return Err(Refused::full("the objects together are too large"));
        }
        Ok(())
    }

    /// Adds a bucket, or says something else about one.
    pub(crate) fn put_bucket(&mut self, record: BucketRecord) {
        let id = BucketId { account: record.account.clone(), name: record.name.clone() };
        match self.buckets.get_mut(&id) {
            Some(bucket) => bucket.record = record,
            None => _ = self.buckets.insert(id, Bucket { record, objects: BTreeMap::new() }),
        }
    }

    pub(crate) fn remove_bucket(&mut self, id: &BucketId) {
        self.buckets.remove(id);
    }

    /// Adds an object in place of the one of its key; an object of no bucket is dropped.
    pub(crate) fn put_object(&mut self, object: Object) {
        let id = BucketId { account: object.account.clone(), name: object.bucket.clone() };
        let Some(bucket) = self.buckets.get_mut(&id) else { return };
        self.bytes += object.size;
        self.objects += 1;
        if let Some(before) = bucket.objects.insert(object.key.clone(), object) {
            self.forget(&before);
        }
    }

    pub(crate) fn remove_object(&mut self, id: &BucketId, key: &str) {
        let removed = self.buckets.get_mut(id).and_then(|bucket| bucket.objects.remove(key));
        if let Some(removed) = removed {
            self.forget(&removed);
        }
    }

    fn forget(&mut self, object: &Object) {
        self.bytes = self.bytes.saturating_sub(object.size);
        self.objects = self.objects.saturating_sub(1);
    }

    /// The files that objects are.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        let objects = self.buckets.values().flat_map(|bucket| bucket.objects.values());
        let pins = self.pins.values().flatten();
        objects.map(|object| object.file.as_str()).chain(pins.map(|pin| pin.file.as_str()))
    }
}
