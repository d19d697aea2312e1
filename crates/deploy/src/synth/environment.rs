//! What an app is made with: its own Python or Node.js environment, else one that is made for it in a cache.
//!
//! An environment that the app has is never touched. One that is made is kept by what it was made from, so that it is made once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_lc_rs::digest;
use tokio::process::Command;

use super::SynthError;
use super::follow::{Group, Output, follow};
use crate::source::hex;

/// Says that an environment is whole.
const MARK: &str = ".made";

/// Where the packages of Node.js are.
const PACKAGES: &str = "node_modules";

/// Files in which package managers note what they installed.
///
/// Source: aws-cdk-lib, `NodejsFunction`, `depsLockFilePath`.
const LOCKS: [&str; 5] =
    ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lockb", "bun.lock"];

/// The CDK's library, by which a Node.js app is known to have its packages.
const LIBRARY: &str = "aws-cdk-lib";

/// What an app is made with.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Programs that come first.
    programs: Option<PathBuf>,
    /// Where the app finds packages as long as these are there.
    _links: Vec<Link>,
}

impl Environment {
    /// The app's own, if it has one.
    pub(super) fn own(dir: &Path) -> Self {
        let folders = [".venv/bin", "venv/bin"].map(|name| dir.join(name));
        let found = folders.into_iter().find(|folder| folder.is_dir());
        let programs = found.and_then(|found| std::path::absolute(found).ok());
        Self { programs, _links: Vec::new() }
    }

    /// The folder of programs that come first; empty for none.
    pub(super) fn programs(&self) -> PathBuf {
        self.programs.clone().unwrap_or_default()
    }

    /// Makes one for what the app says it needs, in a folder of `cache`; `None` where it says nothing.
    pub(super) async fn make(
        dir: &Path,
        cache: &Path,
        output: &mut Output<'_>,
    ) -> Result<Option<Self>, SynthError> {
        let (kind, files) = if dir.join("package.json").is_file() {
            ("node", ["package.json", "package-lock.json"])
        } else if dir.join("requirements.txt").is_file() {
            ("python", ["requirements.txt", "constraints.txt"])
        } else {
            return Ok(None);
        };
        let files = files.map(|name| dir.join(name));
        let name = format!("{kind}-{}", sum(&files).map_err(SynthError::Start)?);
        let place = std::path::absolute(cache.join(name)).map_err(SynthError::Start)?;
        fs::create_dir_all(&place).map_err(SynthError::Start)?;
        // Two that want the same one make it once.
        let _turn = lock(&place).await.map_err(SynthError::Start)?;
        if !place.join(MARK).exists() {
            output.step(&format!("installing what {} names …", shown(&files)));
            let installed = match kind {
                "node" => install_node(&files, &place, output).await,
                _ => install_python(dir, &place, output).await,
            };
            installed?;
            fs::write(place.join(MARK), "").map_err(SynthError::Start)?;
        }
        if kind == "python" {
            return Ok(Some(Self { programs: Some(place.join("bin")), _links: Vec::new() }));
        }
        let mut links = vec![Link::new(&place, dir, PACKAGES).map_err(SynthError::Start)?];
        // The CDK takes the folder of the lock for that of the project.
        if !LOCKS.iter().any(|name| dir.join(name).is_file()) {
            links.push(Link::new(&place, dir, LOCKS[0]).map_err(SynthError::Start)?);
        }
        Ok(Some(Self { programs: Some(place.join(PACKAGES).join(".bin")), _links: links }))
    }
}

/// Whether the app is known to lack its packages before it runs: `npx` would look for them in the world.
pub(super) fn lacks_packages(dir: &Path) -> bool {
    let names_library = fs::read_to_string(dir.join("package.json"))
        .is_ok_and(|text| text.contains(&format!("\"{LIBRARY}\"")));
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    // Those of a workspace are above the app.
    let mut above = full.ancestors().map(|folder| folder.join(PACKAGES).join(LIBRARY));
    names_library && !above.any(|folder| folder.exists())
}

async fn install_python(
    dir: &Path,
    place: &Path,
    output: &mut Output<'_>,
) -> Result<(), SynthError> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(place);
    run(venv, dir, output).await?;
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--requirement", "requirements.txt"]);
    run(pip, dir, output).await
}

async fn install_node(
    files: &[PathBuf],
    place: &Path,
    output: &mut Output<'_>,
) -> Result<(), SynthError> {
    for file in files.iter().filter(|file| file.is_file()) {
        fs::copy(file, place.join(file.file_name().unwrap_or_default()))
            .map_err(SynthError::Start)?;
    }
    let has_lock = place.join("package-lock.json").is_file();
    let mut npm = Command::new("npm");
    npm.arg(if has_lock { "ci" } else { "install" });
    npm.args(["--no-audit", "--no-fund", "--loglevel=error", "--include=dev"]);
    run(npm, place, output).await
}

/// Runs one step; what it says is told when it fails.
async fn run(mut command: Command, dir: &Path, output: &mut Output<'_>) -> Result<(), SynthError> {
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            return Err(SynthError::Environment(format!("{program} cannot be run: {error}")));
        }
    };
    let _group = Group::of(&child);
    match follow(child, output).await.map_err(SynthError::Start)? {
        Some(status) if status.success() => Ok(()),
        Some(_) => Err(SynthError::Environment(output.text())),
        None => Err(SynthError::TimedOut { output: output.text() }),
    }
}

/// A link in the folder of an app that has none of it to what was made, for the time of a synthesis.
#[derive(Debug)]
struct Link(PathBuf);

impl Link {
    fn new(made: &Path, app: &Path, name: &str) -> io::Result<Self> {
        let at = app.join(name);
        // One that a synthesis left that was killed.
        if at.is_symlink() {
            fs::remove_file(&at)?;
        }
        std::os::unix::fs::symlink(made.join(name), &at)?;
        Ok(Self(at))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.0.is_symlink() {
            fs::remove_file(&self.0).ok(); // one that stays is replaced by the next
        }
    }
}

/// Waits for the right to change an environment, as long as the result lives.
async fn lock(place: &Path) -> io::Result<File> {
    let file = File::create(place.with_extension("lock"))?;
    // It may take as long as another one installs.
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(io::Error::other)?
}

/// What files hold, in a few characters.
fn sum(files: &[PathBuf]) -> io::Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    for file in files.iter().filter(|file| file.is_file()) {
        context.update(&fs::read(file)?);
        context.update(&[0]);
    }
    let mut sum = hex(context.finish().as_ref());
    sum.truncate(16);
    Ok(sum)
}

fn shown(files: &[PathBuf]) -> String {
    let there = files.iter().filter(|file| file.is_file());
    there.map(|file| file.display().to_string()).collect::<Vec<_>>().join(" and ")
}
