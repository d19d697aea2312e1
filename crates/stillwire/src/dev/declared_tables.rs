//! Which tables the app declared when it last ran: what its template gives up while nothing runs is given up at the next start.
//!
//! Only a stack that is still there gives tables up. Another app in the same folder, or one without that stack, does not.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use stillwire_keep::StateFile;
use stillwire_model::{App, DeletionPolicy, Table};

/// The file that says it.
#[derive(Debug)]
pub(crate) struct DeclaredTables(StateFile);

/// The tables of each stack, by their ARNs.
type Stacks = BTreeMap<Arc<str>, BTreeMap<String, Known>>;

/// What is to be known of a table that its template does not have any more.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    logical_id: Arc<str>,
    name: String,
    /// Whether its data go with it.
    deleted: bool,
}

impl DeclaredTables {
    /// In this file; nowhere, where nothing is to survive.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self(StateFile::new(file, 1))
    }

    /// The tables that the app's stacks declared before and declare no more.
    pub(crate) fn given_up(&self, app: &App) -> io::Result<Vec<Arc<Table>>> {
        let mut before: Stacks = self.0.read()?;
        let mut given_up = Vec::new();
        for stack in &app.stacks {
            for (arn, known) in before.remove(&stack.name).into_iter().flatten() {
                if app.tables().all(|table| table.arn != arn) {
                    given_up.push(Arc::new(known.table(&stack.name, arn)));
                }
            }
        }
        Ok(given_up)
    }

    /// Notes what the app's stacks declare now.
    pub(crate) fn note(&self, app: &App) -> io::Result<()> {
        let mut stacks: Stacks = self.0.read()?;
        for stack in &app.stacks {
            let tables = stack.tables.iter().map(|table| (table.arn.clone(), Known::of(table)));
            stacks.insert(Arc::clone(&stack.name), tables.collect());
        }
        stacks.retain(|_, tables| !tables.is_empty());
        self.0.write(stacks)
    }
}

impl Known {
    fn of(table: &Table) -> Self {
        Self {
            logical_id: Arc::clone(&table.logical_id),
            name: table.name.clone(),
            deleted: table.deletion_policy == DeletionPolicy::Delete,
        }
    }

    /// As much of the table as is known.
    fn table(self, stack: &Arc<str>, arn: String) -> Table {
        let Self { logical_id, name, deleted } = self;
        Table {
            stack: Arc::clone(stack),
            logical_id,
            name,
            arn,
            definition: Map::new(),
            time_to_live: None,
            stream_arn: String::new(),
            deletion_policy: if deleted { DeletionPolicy::Delete } else { DeletionPolicy::Retain },
        }
    }
}
