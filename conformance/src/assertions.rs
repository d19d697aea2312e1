//! What the service does, in numbered sentences: `assertions/*.toml`, one file for each family.

use std::path::Path;

use serde::Deserialize;

use crate::Result;

/// The families, in the order in which the page tells them. Each has a file of assertions and a file of cases.
pub(crate) const FAMILIES: [&str; 11] = [
    "routing",
    "handshake",
    "messages",
    "two-way",
    "integrations",
    "authorizers",
    "models",
    "disconnect",
    "management",
    "stages",
    "local",
];

/// The assertions of a family.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) title: String,
    pub(crate) assertions: Vec<Assertion>,
}

/// One sentence about the service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Assertion {
    /// `A-01`, and so on.
    pub(crate) id: String,
    pub(crate) level: Level,
    /// What holds.
    pub(crate) says: String,
    /// Where that is known from.
    pub(crate) source: String,
    /// Why Stillwire does not do it, or not all of it, where that is so.
    #[serde(default)]
    pub(crate) missing: Option<String>,
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Documented, or observed.
    Must,
    /// Believed: from the same behaviour of REST APIs, or from what users tell.
    Should,
    /// Unknown, or more than the service promises: what Stillwire has chosen.
    Choice,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    assertion: Vec<Assertion>,
}

/// Reads all of them.
pub(crate) fn read(folder: &Path) -> Result<Vec<Family>> {
    let read = |name: &&'static str| {
        let file = folder.join(format!("assertions/{name}.toml"));
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let file: File =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Family { title: file.title, assertions: file.assertion })
    };
    FAMILIES.iter().map(read).collect()
}

impl Level {
    /// As the page tells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Choice => "choice",
        }
    }
}
