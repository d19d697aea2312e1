//! Synthesis: runs a CDK app and gives its cloud assembly.
//!
//! The CDK's command line tool is not needed: an app is a program that is told by a few variables where to write.
//! It writes into a folder of our own, which is read only after the program ended well; a half-written assembly is
//! never seen.
//!
//! Source: variables observed from aws-cdk CLI 2.1148.1 with aws-cdk-lib 2.275.0 and 2.114.1.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use crate::assets::read_json;
use crate::input::CdkApp;
use crate::json::Node;

/// How long an app may take.
///
/// Choice: installing the dependencies of several bundled functions can take minutes.
const TIME_MAX: Duration = Duration::from_mins(10);

/// How long output is still read after the app ended, in case something it started holds the pipe open.
const LINGER: Duration = Duration::from_secs(2);

/// How much of the output an error keeps, in bytes.
const TAIL_BYTES: usize = 64 * 1024;

/// A line longer than this is passed on in pieces.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Prepares the search path and the defaults of the account, then runs the command as a shell would.
const SCRIPT: &str = r#"
if [ -n "$1" ]; then PATH="$1:$PATH"; fi
CDK_DEFAULT_REGION="${CDK_DEFAULT_REGION:-${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}}}"
CDK_DEFAULT_ACCOUNT="${CDK_DEFAULT_ACCOUNT:-000000000000}"
export PATH CDK_DEFAULT_REGION CDK_DEFAULT_ACCOUNT
eval "$2"
"#;

/// How to synthesize.
#[derive(Debug, Clone)]
pub struct SynthOptions {
    /// This program's executable: it stands in for Docker when the app bundles functions.
    pub program: PathBuf,
    /// The folder for the assembly. Its parent gets a small script.
    pub out_dir: PathBuf,
}

/// Why there is no assembly.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// `cdk.json` names no command.
    #[error(
        "{0} names no command to run (`app`)\n  hint: add \"app\": \"python3 app.py\" or the like"
    )]
    NoCommand(PathBuf),
    /// The CDK's library, Node.js or the command itself is not installed.
    #[error("the CDK app cannot start: {reason}\n  hint: {hint}")]
    CdkMissing {
        /// What is missing.
        reason: String,
        /// How to install it.
        hint: String,
        /// The end of the app's output.
        output: String,
    },
    /// The app ended with an error of its own.
    #[error("the CDK app failed ({status})\n{output}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// The app did not end.
    #[error("the CDK app did not end within {} minutes\n{output}", TIME_MAX.as_secs() / 60)]
    TimedOut {
        /// The end of its output.
        output: String,
    },
    /// The app asks for values of a real account.
    #[error("the app asks for values that only AWS can tell: {}\n  hint: run `cdk synth` once with access to the account: it keeps them in cdk.context.json", .0.join(", "))]
    MissingContext(Vec<String>),
    /// The app ended well, and what it wrote is not an assembly.
    #[error("the CDK app ended without an assembly\n{0}\n  hint: does it call `app.synth()`?")]
    NoAssembly(String),
    /// A file beside `cdk.json` cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The folder cannot be written, or the shell cannot be started.
    #[error("the synthesis cannot be started")]
    Start(#[source] io::Error),
}

/// Runs the app's command and gives the folder of its assembly.
///
/// Every line the app writes goes to `progress`.
///
/// # Errors
/// See [`SynthError`]; the assembly that was there before is gone then.
///
/// # Cancel safety
/// Dropping the future kills the app and everything it started.
pub async fn synthesize(
    app: &CdkApp,
    options: &SynthOptions,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<PathBuf, SynthError> {
    let command = app.command.as_deref();
    let command = command.ok_or_else(|| SynthError::NoCommand(app.dir.join("cdk.json")))?;
    let out_dir = std::path::absolute(&options.out_dir).map_err(SynthError::Start)?;
    let context = context(&app.dir)?;
    let docker = prepare(&out_dir, &options.program).await.map_err(SynthError::Start)?;
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", SCRIPT, "sh"])
        .arg(virtual_environment(&app.dir).unwrap_or_default())
        .arg(command)
        .current_dir(&app.dir)
        .env("CDK_OUTDIR", &out_dir)
        .env("CDK_CONTEXT_JSON", context.to_string())
        .env("CDK_CLI_ASM_VERSION", "55.0.0")
        .env("CDK_CLI_VERSION", "2.1148.1")
        .env("CDK_ERROR_FILE", out_dir.join("error.txt"))
        .env("CDK_PERF_COUNTERS_FILE", out_dir.join("performance-counters.json"))
        .env("CDK_DOCKER", &docker)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that the whole family can be ended at once.
        .process_group(0)
        .kill_on_drop(true);
    let child = shell.spawn().map_err(SynthError::Start)?;
    let group = Group(child.id());
    let mut output = Output { tail: Vec::new(), progress };
    let status = follow(child, &mut output).await.map_err(SynthError::Start)?;
    drop(group);
    let tail = output.text();
    match status {
        None => Err(SynthError::TimedOut { output: tail }),
        Some(status) if status.success() => finished(&out_dir).map(|()| out_dir),
        Some(status) => Err(match what_is_missing(&tail, status) {
            Some((reason, hint)) => SynthError::CdkMissing { reason, hint, output: tail },
            None => SynthError::Failed { status, output: tail },
        }),
    }
}

/// Reads the output until the app ended; `None` when it did not in time.
async fn follow(mut child: Child, output: &mut Output<'_>) -> io::Result<Option<ExitStatus>> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut out_line, mut err_line) = (Line::new(), Line::new());
    let mut deadline = Instant::now() + TIME_MAX;
    let mut status = None;
    while status.is_none() || out.is_some() || err.is_some() {
        tokio::select! {
            // All branches only observe; none loses anything when another one wins.
            count = out_line.fill(&mut out), if out.is_some() => {
                if !out_line.pass_on(count, output) { out = None }
            }
            count = err_line.fill(&mut err), if err.is_some() => {
                if !err_line.pass_on(count, output) { err = None }
            }
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                deadline = Instant::now() + LINGER;
            }
            () = sleep_until(deadline) => break,
        }
    }
    out_line.finish(output);
    err_line.finish(output);
    Ok(status)
}

/// One stream's unfinished line, and what was just read.
struct Line {
    bytes: Vec<u8>,
    buffer: Vec<u8>,
}

impl Line {
    fn new() -> Self {
        Self { bytes: Vec::new(), buffer: vec![0; 4096] }
    }

    /// Reads some bytes; 0 at the end, which a stream that fails is as well.
    async fn fill(&mut self, stream: &mut Option<impl AsyncRead + Unpin>) -> usize {
        match stream {
            Some(stream) => stream.read(&mut self.buffer).await.unwrap_or(0),
            None => 0,
        }
    }

    /// Passes on the lines among the bytes that were read; `false` at the end.
    fn pass_on(&mut self, count: usize, output: &mut Output<'_>) -> bool {
        let read = self.buffer.get(..count).unwrap_or_default().to_vec();
        for byte in read {
            if byte == b'\n' || self.bytes.len() == LINE_BYTES_MAX {
                self.finish(output);
            }
            if byte != b'\n' {
                self.bytes.push(byte);
            }
        }
        count > 0
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        if !self.bytes.is_empty() {
            output.line(&String::from_utf8_lossy(&self.bytes));
            self.bytes.clear();
        }
    }
}

/// Where lines go: to the person who waits, and the last of them into an error.
struct Output<'a> {
    tail: Vec<u8>,
    progress: &'a (dyn Fn(&str) + Send + Sync),
}

impl Output<'_> {
    fn line(&mut self, line: &str) {
        (self.progress)(line);
        self.tail.extend_from_slice(line.as_bytes());
        self.tail.push(b'\n');
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.tail).trim_end().to_owned()
    }
}

/// A process group that does not outlive its owner.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let pid =
            self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Nobody left to kill is the usual case.
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).ok();
        }
    }
}

/// Makes the folder, without an earlier manifest, and the script that stands in for Docker.
async fn prepare(out_dir: &Path, program: &Path) -> io::Result<PathBuf> {
    tokio::fs::create_dir_all(out_dir).await?;
    match tokio::fs::remove_file(out_dir.join("manifest.json")).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let parent = out_dir.parent().unwrap_or(out_dir);
    let docker = parent.join("stillwire-docker");
    let fresh = parent.join("stillwire-docker.new");
    let program = std::path::absolute(program)?;
    let script = format!("#!/bin/sh\nexec {} bundle \"$@\"\n", quoted(&program));
    tokio::fs::write(&fresh, script).await?;
    tokio::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).await?;
    // Renamed into place: a script that is being written cannot be run.
    tokio::fs::rename(&fresh, &docker).await?;
    Ok(docker)
}

/// A path as one word of a shell.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// The programs of the app's own Python environment, if it has one.
fn virtual_environment(dir: &Path) -> Option<PathBuf> {
    let folders = [".venv/bin", "venv/bin"].map(|name| dir.join(name));
    let found = folders.into_iter().find(|folder| folder.is_dir())?;
    std::path::absolute(found).ok()
}

/// The context the app sees. What the app's own files say wins over what a look-up once found.
///
/// Source: AWS CDK Developer Guide, "Context values and the AWS CDK", order of precedence.
fn context(dir: &Path) -> Result<Value, SynthError> {
    let mut context = Map::new();
    let read = |name: &str| -> Result<Option<Node>, SynthError> {
        let file = dir.join(name);
        if !file.is_file() {
            return Ok(None);
        }
        read_json(&file).map(Some).map_err(|problem| SynthError::Unreadable(problem.to_string()))
    };
    let found = [
        read("cdk.context.json")?,
        read("cdk.json")?.and_then(|node| node.get("context").cloned()),
    ];
    for node in found.into_iter().flatten() {
        if let Value::Object(members) = node.to_json() {
            context.extend(members);
        }
    }
    let fixed = json!({
        "aws:cdk:enable-path-metadata": true,
        "aws:cdk:enable-asset-metadata": true,
        // The CDK's usage statistics have no place in a local run.
        "aws:cdk:version-reporting": false,
        "aws:cdk:bundling-stacks": ["**"],
        // Functions run from their sources; nothing is copied.
        "aws:cdk:disable-asset-staging": true,
        "@aws-cdk/core:failSynthOnValidationErrors": false,
    });
    if let Value::Object(members) = fixed {
        context.extend(members);
    }
    Ok(Value::Object(context))
}

/// Checks that what was written is an assembly that needs nothing more.
fn finished(out_dir: &Path) -> Result<(), SynthError> {
    let manifest = out_dir.join("manifest.json");
    let root =
        read_json(&manifest).map_err(|problem| SynthError::NoAssembly(problem.to_string()))?;
    let missing = root.get("missing").and_then(Node::as_list).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().filter_map(|one| one.get("key").and_then(Node::as_text));
    Err(SynthError::MissingContext(names.map(str::to_owned).collect()))
}

/// Whether an app failed because something is not installed: what, and how to get it.
fn what_is_missing(output: &str, status: ExitStatus) -> Option<(String, String)> {
    const PIP: &str = "install the app's requirements: python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
    const NODE: &str = "install Node.js 20 or newer: the CDK needs it, also from Python";
    for module in quoted_after(output, "No module named ") {
        let package = module.split('.').next().unwrap_or_default();
        if ["aws_cdk", "constructs", "jsii"].contains(&package) || package.starts_with("aws_cdk") {
            return Some((format!("the Python module {module} is not installed"), PIP.to_owned()));
        }
    }
    for word in ["Cannot find module ", "Cannot find package "] {
        for module in quoted_after(output, word) {
            // A path is a file of the app itself.
            if !module.starts_with(['.', '/']) {
                let hint = "install the app's packages: npm install".to_owned();
                return Some((format!("the Node.js package {module} is not installed"), hint));
            }
        }
    }
    if output.contains("No such file or directory: 'node'") || output.contains("node: not found") {
        return Some(("Node.js is not installed".to_owned(), NODE.to_owned()));
    }
    // Source: POSIX shell, exit status 127, "command not found".
    if status.code() == Some(127) {
        let line = output.lines().rev().find(|line| line.contains("not found"));
        let reason = line.unwrap_or("its command was not found").trim().to_owned();
        return Some((reason, "install it, or correct `app` in cdk.json".to_owned()));
    }
    None
}

/// The quoted words that follow `word`.
fn quoted_after<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.split(word)
        .skip(1)
        .filter_map(|rest| {
            let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
            rest.strip_prefix(quote)?.split(quote).next()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
    }

    impl Fixture {
        fn new(command: &str) -> (Self, CdkApp) {
            let dir = tempfile::tempdir().unwrap();
            let app = CdkApp {
                dir: dir.path().to_owned(),
                command: Some(command.to_owned()),
                assembly: None,
            };
            (Self { dir }, app)
        }

        async fn run(&self, app: &CdkApp) -> (Result<PathBuf, SynthError>, Vec<String>) {
            let lines = Mutex::new(Vec::new());
            let options = SynthOptions {
                program: PathBuf::from("/usr/bin/stillwire"),
                out_dir: self.dir.path().join("private/assembly"),
            };
            let progress = |line: &str| lines.lock().unwrap().push(line.to_owned());
            let result = synthesize(app, &options, &progress).await;
            (result, lines.into_inner().unwrap())
        }
    }

    #[tokio::test]
    async fn the_app_is_told_where_to_write_and_what_to_use_for_docker() {
        let (fixture, app) = Fixture::new(
            "env | sort > seen; echo hello; echo '{}' > \"$CDK_OUTDIR/manifest.json\"",
        );
        fs::write(app.dir.join("cdk.json"), r#"{"context": {"a": "mine", "b": 1}}"#).unwrap();
        fs::write(app.dir.join("cdk.context.json"), r#"{"a": "looked up", "c": true}"#).unwrap();
        fs::create_dir_all(app.dir.join(".venv/bin")).unwrap();
        let (result, lines) = fixture.run(&app).await;
        assert_eq!(result.unwrap(), app.dir.join("private/assembly"));
        assert_eq!(lines, ["hello"]);
        let seen = fs::read_to_string(app.dir.join("seen")).unwrap();
        let value = |name: &str| {
            let prefix = format!("{name}=");
            seen.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
        };
        assert!(value("PATH").starts_with(&format!("{}/.venv/bin:", app.dir.display())));
        let context: Value = serde_json::from_str(&value("CDK_CONTEXT_JSON")).unwrap();
        assert_eq!(
            (&context["a"], &context["b"], &context["c"]),
            (&json!("mine"), &json!(1), &json!(true))
        );
        assert_eq!(context["aws:cdk:disable-asset-staging"], true);
        assert_eq!(context["aws:cdk:bundling-stacks"], json!(["**"]));
        let docker = fs::read_to_string(value("CDK_DOCKER")).unwrap();
        assert_eq!(docker, "#!/bin/sh\nexec '/usr/bin/stillwire' bundle \"$@\"\n");
    }

    #[tokio::test]
    async fn an_app_that_fails_gives_the_end_of_its_output() {
        let (fixture, app) = Fixture::new("echo 'NameError: oops' >&2; exit 3");
        match fixture.run(&app).await.0 {
            Err(SynthError::Failed { status, output }) => {
                assert_eq!((status.code(), output.as_str()), (Some(3), "NameError: oops"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_not_installed_is_told_apart_from_the_apps_own_errors() {
        for (command, expected) in [
            ("echo \"ModuleNotFoundError: No module named 'aws_cdk'\"; exit 1", Some("aws_cdk")),
            ("echo \"ModuleNotFoundError: No module named 'my_stack'\"; exit 1", None),
            ("echo \"Error: Cannot find module 'aws-cdk-lib'\"; exit 1", Some("aws-cdk-lib")),
            ("echo \"Error: Cannot find module './stack'\"; exit 1", None),
            ("stillwire-no-such-command", Some("not found")),
        ] {
            let (fixture, app) = Fixture::new(command);
            match (fixture.run(&app).await.0, expected) {
                (Err(SynthError::CdkMissing { reason, .. }), Some(text)) => {
                    assert!(reason.contains(text), "{reason}");
                }
                (Err(SynthError::Failed { .. }), None) => {}
                (other, _) => panic!("{command}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_app_that_writes_nothing_or_needs_an_account_gives_no_assembly() {
        let (fixture, app) = Fixture::new("true");
        assert!(matches!(fixture.run(&app).await.0, Err(SynthError::NoAssembly(_))));
        let (fixture, app) = Fixture::new(
            "echo '{\"missing\": [{\"key\": \"vpc\"}]}' > \"$CDK_OUTDIR/manifest.json\"",
        );
        match fixture.run(&app).await.0 {
            Err(SynthError::MissingContext(names)) => assert_eq!(names, ["vpc"]),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn dropping_the_synthesis_ends_everything_it_started() {
        let (fixture, app) = Fixture::new("sleep 60 & echo $! > pid; wait");
        let pid_file = app.dir.join("pid");
        let ready = async {
            loop {
                match fs::read_to_string(&pid_file) {
                    Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let pid = tokio::select! {
            _ = fixture.run(&app) => panic!("it does not end by itself"),
            pid = ready => pid,
        };
        // The grandchild is gone, or a zombie that nobody has reaped yet.
        let gone = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        for _ in 0..1000 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("process {pid} still runs");
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
