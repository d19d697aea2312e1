//! A Stillwire that is deployed to, and tools with a home of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{Client, Stillwire, tools};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// The account of the chat's stacks, which is an access key that leads there.
pub(crate) const ACCOUNT: &str = "999999999999";

pub(crate) const ADA: [(&str, &str); 1] = [("Authorization", "Bearer ada:sesame")];

/// How long a tool may take: the first that deploys waits for libraries of functions.
const TIMEOUT: Duration = Duration::from_mins(4);

/// A Stillwire and a home for tools.
pub(crate) struct House {
    stillwire: Option<Stillwire>,
    data: TempDir,
    home: TempDir,
}

/// What a tool has done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    /// What it wrote, to both outputs.
    pub(crate) text: String,
    pub(crate) stdout: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let stillwire = Some(Stillwire::serve(PROGRAM, data.path()));
        Self { stillwire, data, home: tempfile::tempdir().unwrap() }
    }

    /// The same, where the program runs an app of its own.
    pub(crate) fn beside(app: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_str().unwrap();
        let stillwire = Some(Stillwire::dev_with(PROGRAM, app, &["--data-dir", folder]));
        Self { stillwire, data, home: tempfile::tempdir().unwrap() }
    }

    /// Ends the program and starts it again on what it has kept.
    pub(crate) fn restart(&mut self) {
        let (log, ended_well) = self.stillwire.take().unwrap().stop();
        assert!(ended_well, "{log}");
        self.stillwire = Some(Stillwire::serve(PROGRAM, self.data.path()));
    }

    pub(crate) fn stillwire(&self) -> &Stillwire {
        self.stillwire.as_ref().unwrap()
    }

    /// The AWS endpoint, by its address: tools make path-style requests to S3 there.
    pub(crate) fn endpoint(&self) -> String {
        let endpoint = self.stillwire().ready()["aws_endpoint"].as_str().unwrap();
        endpoint.replace("localhost", "127.0.0.1")
    }

    /// The home of tools, for what they read and write.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A tool with nothing but an endpoint and a key in its environment, in a folder.
    pub(crate) fn tool(&self, program: impl AsRef<Path>, folder: &Path) -> Command {
        let mut command = Command::new(program.as_ref());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .current_dir(folder)
            .env("HOME", self.home.path())
            .env("CDK_HOME", self.home.path().join("cdk"))
            .env("CDK_DISABLE_CLI_TELEMETRY", "true")
            .env("SAM_CLI_TELEMETRY", "0")
            .env("CI", "true")
            .env("NO_COLOR", "1")
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_REGION", "us-east-1");
        command
    }

    pub(crate) fn cdk(&self, folder: &Path, arguments: &[&str]) -> Done {
        let mut command = self.tool(tools::cdk_command(), folder);
        // The app itself runs in the Python that has its CDK library.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = [tools::cdk("cdk-chat")].into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(paths).unwrap()).args(arguments);
        run(command)
    }

    pub(crate) fn aws(&self, folder: &Path, arguments: &[&str]) -> Done {
        let mut command = self.tool(tools::aws_command(), folder);
        command.args(arguments);
        run(command)
    }

    /// The answer of the AWS CLI as JSON.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        let done = self.aws(self.home(), arguments);
        assert_eq!(done.code, Some(0), "{}", done.text);
        if done.stdout.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&done.stdout).unwrap()
    }

    pub(crate) fn sam(&self, folder: &Path, arguments: &[&str]) -> Done {
        let mut command = self.tool(tools::sam_command(), folder);
        command.args(arguments);
        run(command)
    }

    /// A Python script of `tests/clients`; what it has seen.
    pub(crate) fn script(&self, name: &str, arguments: &[&str]) -> Value {
        let mut command = tools::python_with(&tools::client(name));
        command.arg(self.endpoint()).args(arguments);
        let done = run(command);
        assert_eq!(done.code, Some(0), "{}", done.text);
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// The address of the stage of this name, as it is now.
    pub(crate) fn url(&self, stage: &str) -> String {
        let ready = self.stillwire().ready_now();
        let apis = ready["apis"].as_array().unwrap();
        let api = apis.iter().find(|api| api["stage"] == stage).expect("a stage of this name");
        api["ws"].as_str().unwrap().to_owned()
    }

    pub(crate) fn chatter(&self, stage: &str) -> Client {
        Client::open(&self.url(stage), &ADA).expect("the chat lets Ada in")
    }
}

/// Says something, and gives what the chat tells everybody.
pub(crate) fn say(client: &mut Client, message: &str) -> Value {
    client.send(&json!({ "action": "chat", "message": message }).to_string());
    client.json()
}

/// Runs a tool to its end, which comes in time or is an error.
pub(crate) fn run(mut command: Command) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    command
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap());
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let deadline = Instant::now() + TIMEOUT;
    let read = |path: &PathBuf| {
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    };
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            process.kill().ok();
            panic!("{command:?} does not end:\n{}\n{}", read(&out), read(&err));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let stdout = read(&out);
    Done { code: status.code(), text: format!("{stdout}\n{}", read(&err)), stdout }
}

impl Done {
    /// It ended well.
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self
    }

    /// It wrote this.
    pub(crate) fn wrote(self, text: &str) -> Self {
        assert!(self.text.contains(text), "no {text:?} in:\n{}", self.text);
        self
    }
}
