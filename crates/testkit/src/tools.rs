//! The other programs that tests drive. `cargo xtask test` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The project's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// Where the tools are.
pub fn folder() -> PathBuf {
    workspace().join("target/test-tools")
}

/// Runs a Python script of `crates/stillwire/tests/clients` with boto3 and `websockets` at hand.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let mut command = python_with(&client(script));
    command.args(arguments);
    run(command)
}

/// Python on a script, with boto3 and `websockets` at hand.
pub fn python_with(script: &Path) -> Command {
    let mut command = Command::new(installed("python/bin/python"));
    command.arg(script);
    command
}

/// Runs a Node script of `crates/stillwire/tests/clients` with `ws` at hand.
pub fn node(script: &str, arguments: &[&str]) -> String {
    let mut command = node_with(&client(script));
    command.args(arguments);
    run(command)
}

/// Node on a script, with `ws` and the AWS SDK at hand.
pub fn node_with(script: &Path) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", installed("node/node_modules")).arg(script);
    command
}

/// The folder of programs in which the CDK of an example is installed, to be put first on the search path.
pub fn cdk(example: &str) -> PathBuf {
    installed(&format!("cdk-{example}/bin"))
}

/// The CDK's own command, which deploys the apps of any language.
pub fn cdk_command() -> PathBuf {
    installed("deploy-cdk/node_modules/.bin/cdk")
}

/// The AWS CLI.
pub fn aws_command() -> PathBuf {
    installed("awscli/bin/aws")
}

/// The SAM CLI.
pub fn sam_command() -> PathBuf {
    installed("sam/bin/sam")
}

/// A script of `crates/stillwire/tests/clients`.
pub fn client(script: &str) -> PathBuf {
    workspace().join("crates/stillwire/tests/clients").join(script)
}

fn installed(path: &str) -> PathBuf {
    let path = folder().join(path);
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask test`, which installs it",
        path.display()
    );
    path
}

fn run(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the tool starts");
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} failed\n{stdout}\n{stderr}");
    stdout
}
