//! The real SDKs: a process each, started when it is first wanted, asked line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use stillwire_testkit::tools;

use crate::Result;
use crate::steps::Sdk;

/// The SDKs.
#[derive(Debug)]
pub(crate) struct Sdks {
    folder: PathBuf,
    boto3: Mutex<Option<Helper>>,
    js: Mutex<Option<Helper>>,
}

#[derive(Debug)]
struct Helper {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Sdks {
    /// With their scripts in the suite's folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("helpers");
        Self { folder, boto3: Mutex::new(None), js: Mutex::new(None) }
    }

    /// Asks one of them; `ca` is what the process trusts.
    pub(crate) fn ask(&self, sdk: Sdk, question: &Value, ca: &str) -> Result<Value> {
        let (helper, command) = match sdk {
            Sdk::Boto3 => (&self.boto3, tools::python_with(&self.folder.join("sdk.py"))),
            Sdk::Js => {
                let mut command = tools::node_with(&self.folder.join("sdk.js"));
                command.env("NODE_EXTRA_CA_CERTS", ca).env("NODE_NO_WARNINGS", "1");
                (&self.js, command)
            }
        };
        let mut helper = helper.lock().unwrap_or_else(PoisonError::into_inner);
        if helper.is_none() {
            *helper = Some(Helper::start(command)?);
        }
        let helper = helper.as_mut().ok_or("it has just been started")?;
        helper.ask(question).map_err(|error| format!("{sdk:?}: {error}"))
    }
}

impl Helper {
    fn start(mut command: Command) -> Result<Self> {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.map_err(|error| format!("{command:?}: {error}"))?;
        let answers = process.stdout.take().ok_or("its output is piped")?;
        Ok(Self { process, answers: BufReader::new(answers) })
    }

    fn ask(&mut self, question: &Value) -> std::result::Result<Value, Box<dyn std::error::Error>> {
        writeln!(self.process.stdin.as_mut().ok_or("its input is piped")?, "{question}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Each ends with its input; this is for one that hangs.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
