//! The versions of Node.js that tests drive.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of Node.js.
pub(crate) struct Node {
    pub(crate) major: u8,
    pub(crate) program: PathBuf,
}

impl Node {
    /// The folder of the program, in which functions find it.
    pub(crate) fn folder(&self) -> PathBuf {
        self.program.parent().unwrap().to_owned()
    }
}

/// The one of `PATH`, and those that `cargo xtask test` installs.
pub(crate) fn all() -> Vec<Node> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-tools");
    let installed = [18, 22, 24].map(|major| {
        let program = tools.join(format!("node-{major}/node_modules/node/bin/node"));
        assert!(program.exists(), "{} is missing: run `cargo xtask test`", program.display());
        program
    });
    let programs = std::iter::once(PathBuf::from("node")).chain(installed);
    programs
        .map(|program| {
            let asked = "`${process.versions.node.split('.')[0]} ${process.execPath}`";
            let told = Command::new(program).args(["-p", asked]).output().unwrap();
            let told = String::from_utf8(told.stdout).unwrap();
            let (major, program) = told.trim().split_once(' ').unwrap();
            Node { major: major.parse().unwrap(), program: program.into() }
        })
        .collect()
}
