//! What proves the assertions: `cases/*.toml`, one file for each family.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::Result;
use crate::assertions::FAMILIES;
use crate::expect::Names;
use crate::steps::Step;

/// A case: what is done, step by step, and what is expected of each.
#[derive(Debug)]
pub(crate) struct Case {
    /// The family, which is the file's name.
    pub(crate) family: &'static str,
    /// A sentence about behaviour.
    pub(crate) name: String,
    /// The ids of the assertions.
    pub(crate) proves: Vec<String>,
    /// The app that it needs, a folder of `apps`.
    pub(crate) app: String,
    /// The stage that connections go to unless a step says another.
    pub(crate) stage: String,
    /// Whether the program is the case's own: it is stopped, or its app is changed.
    pub(crate) alone: bool,
    /// The steps, once for each row of `each`.
    pub(crate) plays: Vec<Vec<Step>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    proves: Vec<String>,
    app: String,
    #[serde(default = "usual_stage")]
    stage: String,
    #[serde(default)]
    alone: bool,
    /// Rows of values for names in the steps.
    #[serde(default)]
    each: Vec<Names>,
    steps: Vec<Value>,
}

fn usual_stage() -> String {
    "prod".to_owned()
}

/// Reads all of them.
pub(crate) fn read(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        let file = folder.join(format!("cases/{family}.toml"));
        let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(&file).map_err(|error| problem(&error))?;
        let read: File = toml::from_str(&text).map_err(|error| problem(&error))?;
        for written in read.case {
            let name = written.name.clone();
            let case = written.read(family).map_err(|error| problem(&format!("{name:?}, {error}")));
            cases.push(case?);
        }
    }
    Ok(cases)
}

impl Written {
    fn read(self, family: &'static str) -> Result<Case> {
        let rows = if self.each.is_empty() { vec![Names::default()] } else { self.each };
        let play = |row: &Names| {
            let step = |(at, step): (usize, &Value)| {
                let read = Step::read(row.fill_known(step));
                read.map_err(|error| format!("step {}: {error}", at + 1))
            };
            self.steps.iter().enumerate().map(step).collect::<Result<Vec<Step>>>()
        };
        Ok(Case {
            family,
            name: self.name,
            proves: self.proves,
            app: self.app,
            stage: self.stage,
            alone: self.alone,
            plays: rows.iter().map(play).collect::<Result<_>>()?,
        })
    }
}
