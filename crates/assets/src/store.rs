//! Buckets and objects on the disk: one file for what is said about each, and one for each content.
//!
//! Names of files are sums and numbers of our own: nothing that a caller says becomes a path.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stillwire_keep::StateFile;
use stillwire_model::StackName;
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::receive::hex;
use crate::state::{BucketId, BucketRecord, Object, Pin, StackRecord, State};

/// The version of the form of all files.
const VERSION: u32 = 1;

/// Where everything is kept.
#[derive(Debug)]
pub(crate) struct Store {
    buckets: PathBuf,
    objects: PathBuf,
    contents: PathBuf,
    stacks: PathBuf,
    incoming: PathBuf,
}

impl Store {
    /// Opens the store in a folder of its own.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let store = Self {
            buckets: folder.join("buckets"),
            objects: folder.join("objects"),
            contents: folder.join("contents"),
            stacks: folder.join("stacks"),
            incoming: folder.join("incoming"),
        };
        // What came in part when the last run ended.
        match fs::remove_dir_all(&store.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for folder in
            [&store.buckets, &store.objects, &store.contents, &store.stacks, &store.incoming]
        {
            fs::create_dir_all(folder)?;
        }
        Ok(store)
    }

    /// What is kept. Contents of no object and no stack are removed.
    pub(crate) fn read(&self) -> io::Result<State> {
        let mut state = State::default();
        for record in read_all::<BucketRecord>(&self.buckets)? {
            state.put_bucket(record);
        }
        for object in read_all::<Object>(&self.objects)? {
            state.put_object(object);
        }
        for StackRecord { account, region, name, pins } in read_all::<StackRecord>(&self.stacks)? {
            let [account, region, name] = [account, region, name].map(Into::into);
            state.pins.insert(StackName { account, region, name }, pins);
        }
        let used: BTreeSet<&str> = state.files().collect();
        for entry in fs::read_dir(&self.contents)?.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| !used.contains(name))
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(file = %entry.path().display(), %error, "the content of no object stays");
            }
        }
        Ok(state)
    }

    /// Where contents are until they are whole.
    pub(crate) fn incoming(&self) -> &Path {
        &self.incoming
    }

    /// The file of a content.
    pub(crate) fn content(&self, file: &str) -> PathBuf {
        self.contents.join(file)
    }

    /// Keeps a content; gives the name of its file.
    pub(crate) fn keep_content(&self, file: NamedTempFile) -> io::Result<String> {
        let name = Uuid::new_v4().simple().to_string();
        file.persist(self.contents.join(&name)).map_err(|error| error.error)?;
        fs::File::open(&self.contents)?.sync_all()?;
        Ok(name)
    }

    /// When this returns, the bucket is on the disk as it is said.
    pub(crate) fn keep_bucket(&self, record: &BucketRecord) -> io::Result<()> {
        let id = BucketId { account: record.account.clone(), name: record.name.clone() };
        keep(bucket_file(&self.buckets, &id), record)
    }

    /// When this returns, the object is on the disk as it is said.
    pub(crate) fn keep_object(&self, object: &Object) -> io::Result<()> {
        let id = BucketId { account: object.account.clone(), name: object.bucket.clone() };
        keep(object_file(&self.objects, &id, &object.key), object)
    }

    /// When this returns, it is on the disk what a stack is made of.
    pub(crate) fn keep_stack(&self, stack: &StackName, pins: &[Pin]) -> io::Result<()> {
        let StackName { account, region, name } = stack;
        let file = self.stacks.join(format!("{}.json", sum(&[account, region, name])));
        if pins.is_empty() {
            return remove(&file);
        }
        let [account, region, name] = [account, region, name].map(ToString::to_string);
        keep(file, &StackRecord { account, region, name, pins: pins.to_vec() })
    }

    pub(crate) fn remove_bucket(&self, id: &BucketId) -> io::Result<()> {
        remove(&bucket_file(&self.buckets, id))
    }

    /// Its content stays until the next start: something may run that was made of it.
    pub(crate) fn remove_object(&self, id: &BucketId, key: &str) -> io::Result<()> {
        remove(&object_file(&self.objects, id, key))
    }
}

fn bucket_file(folder: &Path, id: &BucketId) -> PathBuf {
    folder.join(format!("{}.json", sum(&[&id.account, &id.name])))
}

fn object_file(folder: &Path, id: &BucketId, key: &str) -> PathBuf {
    folder.join(format!("{}.json", sum(&[&id.account, &id.name, key])))
}

/// A sum that differs where any of these does.
fn sum(names: &[&str]) -> String {
    let mut sum = Context::new(&SHA256);
    for name in names {
        sum.update(&name.len().to_be_bytes());
        sum.update(name.as_bytes());
    }
    hex(sum.finish().as_ref())
}

fn keep<T: Serialize>(file: PathBuf, state: &T) -> io::Result<()> {
    StateFile::new(Some(file), VERSION).write(state)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::File::open(file.parent().unwrap_or(file))?.sync_all(),
    }
}

fn read_all<T: DeserializeOwned + Default>(folder: &Path) -> io::Result<Vec<T>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // What was being written when the last run ended has another ending.
        if path.extension().is_some_and(|end| end == "json") {
            all.push(StateFile::new(Some(path), VERSION).read()?);
        }
    }
    Ok(all)
}
