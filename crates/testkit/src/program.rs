//! The program under test.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Refused, tools};

/// How long the program may take to be ready: the first start of a fresh machine installs libraries.
const READY_TIMEOUT: Duration = Duration::from_mins(3);

/// How long anything else may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running `stillwire dev`. Dropping it stops it, and so does the end of the test process: one that all tests
/// of a file share, in a static, is never dropped.
#[derive(Debug)]
pub struct Stillwire {
    process: Child,
    keeper: Child,
    ready: Value,
    log: PathBuf,
    folder: TempDir,
}

impl Stillwire {
    /// Starts the program at `program` on the app at `path`, on free ports and in memory.
    pub fn dev(program: &str, path: &Path) -> Self {
        Self::dev_with(program, path, &["--in-memory"])
    }

    /// The same with these arguments instead of `--in-memory`.
    pub fn dev_with(program: &str, path: &Path, arguments: &[&str]) -> Self {
        let mut command = Self::command(program);
        command.args(["dev", "--port", "0", "--verbose"]).arg(path).args(arguments);
        Self::start(command)
    }

    /// Starts the program on nothing, to be deployed to, on free ports and with its state in this folder.
    pub fn serve(program: &str, data: &Path) -> Self {
        let mut command = Self::command(program);
        command.args(["serve", "--port", "0", "--verbose", "--data-dir"]).arg(data);
        Self::start(command)
    }

    /// The program in the surroundings of tests: state and caches of their own.
    pub fn command(program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("STILLWIRE_STATE_DIR", tools::folder().join("state"))
            .env("STILLWIRE_CACHE_DIR", tools::folder().join("cache"))
            .env("NO_COLOR", "1");
        command
    }

    /// Starts a `dev` command and waits until it is ready.
    pub fn start(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (ready, log) = (folder.path().join("ready.json"), folder.path().join("log"));
        let output = std::fs::File::create(&log).expect("the log");
        command
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log"))
            .stderr(output);
        let mut process = command.spawn().expect("the program starts");
        let keeper = keeper(&process, folder.path());
        let deadline = Instant::now() + READY_TIMEOUT;
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break text;
            }
            let ended = process.try_wait().expect("the program's state");
            let seen = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "the program has ended: {ended:?}\n{}", seen());
            assert!(Instant::now() < deadline, "the program is not ready\n{}", seen());
            std::thread::sleep(Duration::from_millis(10));
        };
        // Whole at once: what is there is valid.
        let ready = serde_json::from_str(&text).expect("the ready file is JSON");
        Self { process, keeper, ready, log, folder }
    }

    /// Removes a folder when the test process ends, for what a shared program needs as long as it runs.
    pub fn keep_until_the_end(&mut self, folder: &Path) {
        let input = self.keeper.stdin.as_mut().expect("the keeper listens");
        writeln!(input, "{}", folder.display()).expect("the keeper listens");
    }

    /// The content of the ready file.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The content of the ready file as it is now: it changes with the app.
    pub fn ready_now(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join("ready.json"));
        serde_json::from_str(&text.expect("the ready file")).expect("the ready file is JSON")
    }

    /// The addresses of the API stage of this name.
    pub fn api(&self, stage: &str) -> &Value {
        let apis = self.ready["apis"].as_array().expect("apis");
        apis.iter().find(|api| api["stage"] == stage).expect("a stage of this name")
    }

    /// One of a stage's URLs: `ws`, `wss`, `http` or `https`.
    pub fn url(&self, stage: &str, scheme: &str) -> String {
        self.api(stage)[scheme].as_str().expect("a URL").to_owned()
    }

    /// One of the URLs of a custom domain's mapping: `ws`, `wss`, `http` or `https`.
    pub fn domain_url(&self, name: &str, key: &str, scheme: &str) -> String {
        let domains = self.ready["domains"].as_array().expect("domains");
        let is_it = |domain: &&Value| domain["name"] == name && domain["key"] == key;
        let domain = domains.iter().find(is_it).expect("a mapping of this key");
        domain[scheme].as_str().expect("a URL").to_owned()
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Opens a connection to the stage `test`.
    pub fn connect(&self) -> Client {
        self.try_connect("test", &[]).expect("the connection is accepted")
    }

    /// Tries to open a connection with these headers.
    pub fn try_connect(&self, stage: &str, headers: &[(&str, &str)]) -> Result<Client, Refused> {
        Client::open(&self.url(stage, "ws"), headers)
    }

    /// What the program has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log holds a text.
    pub fn wait_for_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Asks the program to end and waits for it; its log and whether it ended well.
    pub fn stop(mut self) -> (String, bool) {
        self.signal(Signal::TERM);
        let status = self.wait();
        (self.log(), status)
    }

    /// Waits for the program to end; whether it ended well.
    pub fn wait(&mut self) -> bool {
        let process = &mut self.process;
        eventually("the program's end", || process.try_wait().expect("its state")).success()
    }
}

impl Drop for Stillwire {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- the program's log ----\n{}", self.log());
        }
        if matches!(self.process.try_wait(), Ok(None)) {
            kill_process(Pid::from_child(&self.process), Signal::TERM).ok();
            let deadline = Instant::now() + TIMEOUT;
            while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.process.kill().ok();
            self.process.wait().ok();
        }
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// A process that notices the end of this one by the end of its input. Then it stops the program and removes
/// the folders whose names it was given.
fn keeper(program: &Child, folder: &Path) -> Child {
    let script = r#"pid=$1; shift
        while IFS= read -r folder; do set -- "$@" "$folder"; done
        kill -TERM "$pid" 2>/dev/null
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        rm -rf -- "$@""#;
    let mut keeper = Command::new("/bin/sh");
    keeper
        .args(["-c", script, "keeper", &program.id().to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    keeper.spawn().expect("the keeper starts")
}

/// Waits for a state.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A copy of an example app that a test may change.
pub fn example(name: &str) -> TempDir {
    let source = tools::workspace().join("examples").join(name);
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_folder(&source, copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the example's folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_name() == ".stillwire" || entry.file_name() == "__pycache__" {
            continue;
        }
        if entry.file_type().expect("its type").is_dir() {
            std::fs::create_dir_all(&target).expect("a folder");
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}
