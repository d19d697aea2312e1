//! Which apps run on this machine, so that other commands find them.
//!
//! Each `stillwire dev` keeps a file in the user's state folder, locked as long as it lives: one that can be locked is of
//! a run that is gone.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::report::hinted;
use crate::settings::Settings;

/// Runs that are looked at.
const RUNS_MAX: usize = 1000;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The note that an app runs. Dropping it takes the note away.
#[derive(Debug)]
pub(crate) struct Note {
    app: PathBuf,
    data_dir: PathBuf,
    path: PathBuf,
    lock: File,
}

/// An app that runs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Running {
    /// Where the app is.
    pub(crate) app: PathBuf,
    /// Where its state is kept.
    pub(crate) data_dir: PathBuf,
    /// The local AWS endpoint.
    pub(crate) aws_endpoint: String,
    /// The functions it was started with.
    pub(crate) functions: Vec<Named>,
    /// The tables it declares.
    #[serde(default)]
    pub(crate) tables: Vec<Named>,
}

/// A function that runs, or a table, by its names.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    /// The stack it belongs to.
    pub(crate) stack: String,
    /// Its logical id.
    pub(crate) logical_id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its ARN.
    pub(crate) arn: String,
}

fn folder(settings: &Settings) -> PathBuf {
    settings.state_dir.join("running")
}

impl Note {
    /// Notes that an app runs, with its addresses as the ready file has them.
    pub(crate) fn leave(
        settings: &Settings,
        app: &Path,
        data_dir: &Path,
        addresses: Value,
    ) -> Result<Self> {
        let app = fs::canonicalize(app).unwrap_or_else(|_| app.to_owned());
        let data_dir = data_dir.to_owned();
        let path = folder(settings).join(format!("{}.json", std::process::id()));
        let lock = put(&path, &content(&app, &data_dir, addresses))?;
        Ok(Self { app, data_dir, path, lock })
    }

    /// Notes other addresses.
    pub(crate) fn update(&mut self, addresses: Value) -> Result<()> {
        self.lock = put(&self.path, &content(&self.app, &self.data_dir, addresses))?;
        Ok(())
    }
}

fn content(app: &Path, data_dir: &Path, mut addresses: Value) -> Value {
    if let Value::Object(members) = &mut addresses {
        members.insert("app".to_owned(), json!(app));
        members.insert("data_dir".to_owned(), json!(data_dir));
    }
    addresses
}

/// Puts a note in its place, whole and locked: nobody can see it by its name before it is both.
fn put(path: &Path, content: &Value) -> Result<File> {
    let put = || -> std::io::Result<File> {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = NamedTempFile::new_in(folder)?;
        flock(file.as_file(), FlockOperation::NonBlockingLockExclusive)?;
        writeln!(file, "{content}")?;
        file.persist(path).map_err(|error| error.error)
    };
    put().with_context(|| format!("cannot write {}", path.display()))
}

impl Drop for Note {
    fn drop(&mut self) {
        // One that stays is not locked, and so counts for nothing.
        fs::remove_file(&self.path).ok();
    }
}

/// The app that is meant: the one at `app`; without that, the one whose folder this is in; else the only one.
pub(crate) fn find(settings: &Settings, app: Option<&Path>) -> Result<Running> {
    let all = all(settings);
    let place = match app {
        Some(app) => fs::canonicalize(app).with_context(|| format!("{}", app.display()))?,
        None => std::env::current_dir().unwrap_or_default(),
    };
    let here = all.iter().filter(|running| place.starts_with(&running.app));
    let nearest = here.max_by_key(|running| running.app.as_os_str().len());
    if let Some(running) = nearest {
        return Ok(running.clone());
    }
    match (all.as_slice(), app) {
        ([only], None) => Ok(only.clone()),
        ([], _) => Err(hinted(
            "no app is running",
            "start one with `stillwire dev`, or name an address with --endpoint",
        )),
        (_, Some(app)) => Err(hinted(
            format!("the app at {} is not running", app.display()),
            format!("these are: {}", list(&all)),
        )),
        (_, None) => Err(hinted(
            "several apps are running, and none of them is in this folder",
            format!("name one with --app: {}", list(&all)),
        )),
    }
}

fn list(all: &[Running]) -> String {
    let apps: Vec<String> = all.iter().map(|running| running.app.display().to_string()).collect();
    apps.join(", ")
}

/// All that run.
fn all(settings: &Settings) -> Vec<Running> {
    let entries = fs::read_dir(folder(settings)).into_iter().flatten().flatten();
    let notes = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "json"));
    notes.take(RUNS_MAX).filter_map(|entry| read(&entry.path())).collect()
}

fn read(path: &Path) -> Option<Running> {
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        fs::remove_file(path).ok(); // its run is gone
        return None;
    }
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

impl Running {
    /// The function that is meant, if there is one.
    pub(crate) fn function(&self, text: &str) -> Result<Option<&Named>> {
        meant(&self.functions, "functions", text)
    }

    /// The table that is meant, if the app declares one.
    pub(crate) fn table(&self, text: &str) -> Result<Option<&Named>> {
        meant(&self.tables, "tables", text)
    }
}

/// What is meant: by name, ARN or logical id, with the stack before it where several have it.
fn meant<'a>(all: &'a [Named], what: &str, text: &str) -> Result<Option<&'a Named>> {
    if let Some(exact) = all.iter().find(|named| named.name == text || named.arn == text) {
        return Ok(Some(exact));
    }
    let (stack, id) = match text.rsplit_once('/') {
        Some((stack, id)) => (Some(stack), id),
        None => (None, text),
    };
    let is_meant = |named: &&Named| {
        stack.is_none_or(|stack| stack == named.stack)
            && (named.logical_id == id || without_hash(&named.logical_id) == id)
    };
    let meant: Vec<&Named> = all.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => {
            let name = |named: &&Named| format!("{}/{}", named.stack, named.logical_id);
            let names: Vec<String> = several.iter().map(name).collect();
            Err(hinted(
                format!("several {what} are called {text}"),
                format!("name one of them: {}", names.join(", ")),
            ))
        }
    }
}

/// A logical id without the eight digits that the CDK puts after it.
fn without_hash(id: &str) -> &str {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    match id.split_at_checked(id.len().saturating_sub(8)) {
        Some((name, hash)) if !name.is_empty() && hash.bytes().all(is_digit) => name,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(stack: &str, id: &str) -> Named {
        let name = format!("{stack}-{id}-X");
        let arn = format!("arn:aws:lambda:us-east-1:1:function:{name}");
        Named { stack: stack.to_owned(), logical_id: id.to_owned(), name, arn }
    }

    #[test]
    fn a_function_is_meant_by_any_of_its_names() {
        let functions =
            vec![named("dev", "Chat0A1B2C3D"), named("prod", "Chat0A1B2C3D"), named("dev", "Gate")];
        let (app, data_dir) = (PathBuf::new(), PathBuf::new());
        let running =
            Running { app, data_dir, aws_endpoint: String::new(), functions, tables: Vec::new() };
        let found = |text: &str| {
            running.function(text).map(|found| found.map(|found| found.name.clone())).ok()
        };
        let dev = Some(Some("dev-Chat0A1B2C3D-X".to_owned()));
        assert_eq!(found("dev-Chat0A1B2C3D-X"), dev);
        assert_eq!(found("dev/Chat0A1B2C3D"), dev);
        assert_eq!(found("dev/Chat"), dev);
        assert_eq!(found("Gate"), Some(Some("dev-Gate-X".to_owned())));
        assert_eq!(found("Chat"), None, "several");
        assert_eq!(found("nobody"), Some(None));
    }

    #[test]
    fn a_note_counts_while_its_run_lives() {
        let folder = tempfile::tempdir().unwrap();
        let state = [("STILLWIRE_STATE_DIR", folder.path().to_str().unwrap())];
        let settings = Settings::of(&state);
        let addresses = json!({ "aws_endpoint": "http://localhost:1", "functions": [] });
        let note = Note::leave(&settings, folder.path(), folder.path(), addresses).unwrap();
        let running = find(&settings, Some(folder.path())).unwrap();
        assert_eq!(running.aws_endpoint, "http://localhost:1");
        // As a run leaves it that was killed.
        let text = fs::read_to_string(&note.path).unwrap();
        let left = note.path.with_file_name("1.json");
        fs::write(&left, text).unwrap();
        drop(note);
        assert!(find(&settings, Some(folder.path())).is_err());
        assert!(!left.exists());
    }
}
