//! The real SDKs: a process each, started when it is first wanted, asked line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stillwire_testkit::tools;

use crate::Result;
use crate::steps::Sdk;

/// How long an answer may take: longer than the SDKs themselves wait.
const TIMEOUT: Duration = Duration::from_secs(40);

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
    answers: Receiver<std::io::Result<String>>,
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
        let mut place = helper.lock().unwrap_or_else(PoisonError::into_inner);
        let mut helper = match place.take() {
            Some(helper) => helper,
            None => Helper::start(command)?,
        };
        // One that did not answer is not asked again: its next answer would be to this question.
        let answer = helper.ask(question).map_err(|error| format!("{sdk:?}: {error}"))?;
        *place = Some(helper);
        Ok(answer)
    }
}

impl Helper {
    fn start(mut command: Command) -> Result<Self> {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.map_err(|error| format!("{command:?}: {error}"))?;
        let output = process.stdout.take().ok_or("its output is piped")?;
        // Read elsewhere, so that whoever waits can stop waiting; one question is answered at a time.
        let (sender, answers) = sync_channel(1);
        std::thread::spawn(move || {
            BufReader::new(output).lines().try_for_each(|line| sender.send(line))
        });
        Ok(Self { process, answers })
    }

    fn ask(&mut self, question: &Value) -> std::result::Result<Value, Box<dyn std::error::Error>> {
        writeln!(self.process.stdin.as_mut().ok_or("its input is piped")?, "{question}")?;
        Ok(serde_json::from_str(&self.answers.recv_timeout(TIMEOUT)??)?)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Each ends with its input; this is for one that hangs.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
