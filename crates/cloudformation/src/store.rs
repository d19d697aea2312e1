//! Stacks on the disk: a file for each.

use std::io;
use std::path::{Path, PathBuf};

use stillwire_keep::StateFile;
use stillwire_model::StackRequest;

use crate::state::{Stack, State};
use crate::toolkit;

/// The version of the form of the files.
const VERSION: u32 = 1;

/// Where stacks are kept; nowhere, where nothing is to survive.
#[derive(Debug)]
pub(crate) struct Store(Option<PathBuf>);

/// What earlier runs have deployed and kept.
#[derive(Debug)]
pub struct Kept {
    pub(crate) state: State,
    pub(crate) store: Store,
}

impl Kept {
    /// Reads what is kept in a folder, which is for it alone; without one, nothing was kept and nothing will be.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or a file in it is another version's; the text names it.
    pub fn read(folder: Option<PathBuf>) -> io::Result<Self> {
        let mut state = State::default();
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder)?;
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                // What was being written when the last run ended has another ending.
                if path.extension().is_none_or(|end| end != "json") {
                    continue;
                }
                let stack: Option<Stack> = StateFile::new(Some(path), VERSION).read()?;
                if let Some(stack) = stack {
                    state.put(as_left(stack));
                }
            }
        }
        Ok(Self { state, store: Store(folder) })
    }

    /// What is to run again, in the order in which it was deployed first: nothing imports from what comes after it, unless it
    /// was updated to do so.
    pub fn deployed(&self) -> Vec<StackRequest> {
        let runs = |stack: &&Stack| !stack.is_gone() && stack.parent.is_none();
        let mut stacks: Vec<&Stack> = self.state.all().filter(runs).collect();
        stacks.sort_by_key(|stack| stack.created);
        stacks.into_iter().filter_map(Stack::deployed_request).collect()
    }
}

/// An operation that the end of the program cut off has changed nothing.
fn as_left(mut stack: Stack) -> Stack {
    let status = stack.status.cut_off();
    if status != stack.status {
        let reason = "Stillwire ended before the operation did; deploy again";
        stack.turn((status, Some(reason.to_owned())), None, stack.updated.unwrap_or(stack.created));
    }
    stack
}

impl Store {
    /// When this returns, the stack is on the disk.
    pub(crate) fn keep(&self, stack: &Stack) -> io::Result<()> {
        if toolkit::is_toolkit(&stack.name) {
            return Ok(());
        }
        match &self.0 {
            Some(folder) => StateFile::new(Some(file(folder, &stack.id)), VERSION).write(stack),
            None => Ok(()),
        }
    }

    pub(crate) fn forget(&self, id: &str) {
        let Some(folder) = &self.0 else { return };
        let file = file(folder, id);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %file.display(), %error, "a stack that is gone stays on the disk");
            }
            _ => {}
        }
    }
}

/// Name and UUID are the end of an ARN; nothing else becomes part of a path.
fn file(folder: &Path, id: &str) -> PathBuf {
    let end = id.split_once(":stack/").map_or(id, |(_, end)| end);
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    folder.join(format!("{}.json", end.chars().map(plain).collect::<String>()))
}
