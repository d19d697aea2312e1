//! Synthesis: runs a CDK app and gives its cloud assembly.
//!
//! The CDK's command line tool is not needed: an app is a program that is told by a few variables where to write.
//! It writes into a folder of our own, which is read only after the program ended well; a half-written assembly is
//! never seen.
//!
//! Source: variables observed from aws-cdk CLI 2.1148.1 with aws-cdk-lib 2.275.0 and 2.114.1.

mod environment;
mod follow;
mod missing;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::{Map, Value, json};
use tokio::process::Command;

use self::environment::{Environment, lacks_packages};
use self::follow::{Group, Output, TIME_MAX, follow};
use self::missing::what_is_missing;
use crate::assets::read_json;
use crate::input::CdkApp;
use crate::node::Node;

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
    /// Where an environment is made for an app that has none; without it, such an app is [`SynthError::CdkMissing`].
    pub environments: Option<PathBuf>,
}

/// Who is told how it goes.
pub type Progress<'a> = &'a (dyn Fn(Told<'_>) + Send + Sync);

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// A step that may take a while begins.
    Step(&'a str),
    /// A line of the output of the app, or of what installs things for it.
    Line(&'a str),
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
    /// What the app needs cannot be installed.
    #[error(
        "what the CDK app needs cannot be installed\n{0}\n  hint: install it in the app's folder (a .venv, or `npm install`)"
    )]
    Environment(String),
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
/// Every step and every line the app writes goes to `progress`.
///
/// # Errors
/// See [`SynthError`]; the assembly that was there before is gone then.
///
/// # Cancel safety
/// Dropping the future kills the app and everything it started.
pub async fn synthesize(
    app: &CdkApp,
    options: &SynthOptions,
    progress: Progress<'_>,
) -> Result<PathBuf, SynthError> {
    let command = app.command.as_deref();
    let command = command.ok_or_else(|| SynthError::NoCommand(app.dir.join("cdk.json")))?;
    let out_dir = std::path::absolute(&options.out_dir).map_err(SynthError::Start)?;
    let context = context(&app.dir)?;
    let docker = prepare(&out_dir, &options.program).await.map_err(SynthError::Start)?;
    let run = Run { app, command, out_dir: &out_dir, context: &context, docker: &docker };
    let first = if lacks_packages(&app.dir) {
        Err(SynthError::CdkMissing {
            reason: "the packages of its package.json are not installed".to_owned(),
            hint: "install them: npm install".to_owned(),
            output: String::new(),
        })
    } else {
        run.with(&Environment::own(&app.dir), progress).await
    };
    match (first, &options.environments) {
        (Err(missing @ SynthError::CdkMissing { .. }), Some(cache)) => {
            match Environment::make(&app.dir, cache, &mut Output::new(progress)).await? {
                Some(made) => run.with(&made, progress).await,
                None => Err(missing),
            }
        }
        (first, _) => first,
    }
}

/// What runs an app.
struct Run<'a> {
    app: &'a CdkApp,
    command: &'a str,
    out_dir: &'a Path,
    context: &'a Value,
    docker: &'a Path,
}

impl Run<'_> {
    async fn with(
        &self,
        environment: &Environment,
        progress: Progress<'_>,
    ) -> Result<PathBuf, SynthError> {
        let Self { app, command, out_dir, context, docker } = self;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", SCRIPT, "sh"])
            .arg(environment.programs())
            .arg(command)
            .current_dir(&app.dir)
            .env("CDK_OUTDIR", out_dir)
            .env("CDK_CONTEXT_JSON", context.to_string())
            .env("CDK_CLI_ASM_VERSION", "55.0.0")
            .env("CDK_CLI_VERSION", "2.1148.1")
            .env("CDK_ERROR_FILE", out_dir.join("error.txt"))
            .env("CDK_PERF_COUNTERS_FILE", out_dir.join("performance-counters.json"))
            .env("CDK_DOCKER", docker)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that the whole family can be ended at once.
            .process_group(0)
            .kill_on_drop(true);
        let child = shell.spawn().map_err(SynthError::Start)?;
        let group = Group::of(&child);
        let mut output = Output::new(progress);
        let status = follow(child, &mut output).await.map_err(SynthError::Start)?;
        drop(group);
        let tail = output.text();
        match status {
            None => Err(SynthError::TimedOut { output: tail }),
            Some(status) if status.success() => finished(out_dir).map(|()| out_dir.to_path_buf()),
            Some(status) => Err(match what_is_missing(&tail, status) {
                Some((reason, hint)) => SynthError::CdkMissing { reason, hint, output: tail },
                None => SynthError::Failed { status, output: tail },
            }),
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

#[cfg(test)]
mod tests;
