//! Installs what tests drive: SDKs, other WebSocket clients, and the CDK of each example.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, exists, run, workspace};

/// What must be on the machine, and how to get it on Debian.
const NEEDED: [(&str, &str); 3] = [
    ("python3", "apt-get install python3 python3-venv python3-pip"),
    ("node", "apt-get install nodejs npm"),
    ("npm", "apt-get install npm"),
];

/// The example apps, whose CDK is installed each in an environment of its own.
const EXAMPLES: [&str; 2] = ["cdk-chat", "cdk-chat-seed"];

/// The minor versions of Python for which the official runtime client is published.
const RUNTIME_CLIENTS: std::ops::RangeInclusive<u8> = 9..=14;

/// The major versions of Node.js that tests drive besides the one of `PATH` (`crates/functions/tests/common/nodes.rs`).
const NODES: [u8; 3] = [18, 22, 24];

/// What the requirements of serverless-offline, and of its folder, are called.
const SERVERLESS_OFFLINE: &str = "serverless-offline";

/// Installs everything that is not there yet.
pub(crate) fn install() -> Result<(), Failure> {
    let missing: Vec<_> = NEEDED.iter().filter(|(program, _)| !exists(program)).collect();
    if !missing.is_empty() {
        let lines: Vec<_> =
            missing.iter().map(|(program, how)| format!("  {program}: {how}")).collect();
        return Err(Failure::new(format!("the tests need\n{}", lines.join("\n"))));
    }
    let requirements = workspace().join("xtask/requirements");
    python("python", &requirements.join("python.txt"))?;
    node("node", &requirements.join("node.txt"))?;
    for major in NODES {
        let name = format!("node-{major}");
        node(&name, &requirements.join(format!("{name}.txt")))?;
    }
    // The deploy tools, each apart: they pin what they are made of.
    node("deploy-cdk", &requirements.join("deploy-cdk.txt"))?;
    runtime_clients(&requirements.join("runtime-client.txt"))?;
    // What it would compile has tools of its own, which are not asked for: its tests have another in place of that.
    node_with(
        &["--ignore-scripts"],
        "runtime-client-node",
        &requirements.join("runtime-client-node.txt"),
    )?;
    python("awscli", &requirements.join("awscli.txt"))?;
    python("sam", &requirements.join("sam.txt"))?;
    for example in EXAMPLES {
        let file = workspace().join("examples").join(example).join("requirements.txt");
        python(&format!("cdk-{example}"), &file)?;
    }
    Ok(())
}

/// The Autobahn suite, for a Python of its time.
pub(crate) fn autobahn(python: &str) -> Result<PathBuf, Failure> {
    let requirements = workspace().join("xtask/requirements/autobahn.txt");
    once("autobahn", &requirements, |folder| {
        run(Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
            .arg(folder)
            .arg("-r")
            .arg(&requirements))
    })?;
    Ok(workspace().join("target/test-tools/autobahn"))
}

/// The official runtime client, for each Python that is here: what it does differs from version to version.
fn runtime_clients(requirements: &Path) -> Result<(), Failure> {
    for minor in RUNTIME_CLIENTS {
        if let Some(program) = python_of_version(minor) {
            python_by(&program, &format!("runtime-client-3.{minor}"), requirements)?;
        }
    }
    Ok(())
}

/// A Python of this minor version that can make environments: of `PATH`, or of pyenv, which has those that are not chosen too.
fn python_of_version(minor: u8) -> Option<PathBuf> {
    let name = format!("python3.{minor}");
    let versions = std::env::home_dir()?.join(".pyenv/versions");
    let of_pyenv = fs::read_dir(versions).into_iter().flatten().flatten();
    let of_pyenv = of_pyenv.map(|version| version.path().join("bin").join(&name));
    [PathBuf::from(&name)].into_iter().chain(of_pyenv).find(|program| {
        let asked = Command::new(program).args(["-c", "import venv, ensurepip"]).output();
        asked.is_ok_and(|output| output.status.success())
    })
}

/// A Python environment with these requirements.
fn python(name: &str, requirements: &Path) -> Result<(), Failure> {
    python_by(Path::new("python3"), name, requirements)
}

fn python_by(program: &Path, name: &str, requirements: &Path) -> Result<(), Failure> {
    once(name, requirements, |folder| {
        let made = run(Command::new(program).args(["-m", "venv"]).arg(folder));
        made.map_err(|failure| Failure::new(format!("{failure}\n  {}", NEEDED[0].1)))?;
        let pip = folder.join("bin/pip");
        run(Command::new(pip)
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements))
    })
}

/// Another emulator, which a benchmark measures beside ours.
pub(crate) fn serverless_offline() -> Result<(), Failure> {
    let file = format!("xtask/requirements/{SERVERLESS_OFFLINE}.txt");
    node(SERVERLESS_OFFLINE, &workspace().join(file))
}

/// Other emulators of tables, which a benchmark measures beside ours.
pub(crate) fn table_servers() -> Result<(), Failure> {
    let requirements = workspace().join("xtask/requirements");
    python("moto", &requirements.join("moto.txt"))?;
    node("dynalite", &requirements.join("dynalite.txt"))
}

/// A folder of Node packages.
fn node(name: &str, requirements: &Path) -> Result<(), Failure> {
    node_with(&[], name, requirements)
}

fn node_with(options: &[&str], name: &str, requirements: &Path) -> Result<(), Failure> {
    let packages = fs::read_to_string(requirements)?;
    once(name, requirements, |folder| {
        fs::create_dir_all(folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
        run(npm.args(options).args(packages.split_whitespace()))
    })
}

/// Makes a folder unless it was made from the same requirements before.
fn once(
    name: &str,
    requirements: &Path,
    make: impl FnOnce(&PathBuf) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let folder = workspace().join("target/test-tools").join(name);
    let stamp = folder.join(".made-from");
    let text = fs::read_to_string(requirements)?;
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == text) {
        return Ok(());
    }
    println!(
        "installing {} into {} …",
        text.split_whitespace().collect::<Vec<_>>().join(" "),
        folder.display()
    );
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.parent().unwrap_or(&folder))?;
    make(&folder)?;
    Ok(fs::write(stamp, text)?)
}
