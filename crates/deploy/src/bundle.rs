//! Stands in for Docker while a CDK app bundles its functions.
//!
//! The CDK runs `docker build` and `docker run -v SOURCE:/asset-input -v ASSET:/asset-output IMAGE bash -c …`. No
//! container is needed for that: the command runs on this machine, with the paths of the container replaced by
//! those they stand for. `rsync`, which many machines lack, is done by a small emulation of it.
//!
//! Source: argument lists observed from `aws-lambda-python-alpha` 2.114.1 and `NodejsFunction` 2.275.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::synth::quoted;
use crate::{bundle_record, rsync};

/// Options of `docker run` that take a value and mean nothing without a container.
const IGNORED_WITH_VALUE: [&str; 7] =
    ["-u", "--user", "--network", "--platform", "--security-opt", "--volumes-from", "--name"];

/// The same without a value.
const IGNORED: [&str; 5] = ["--rm", "-i", "-t", "-it", "--init"];

/// Puts our tools first on the search path, and stand-ins for tools that may be missing last.
const SCRIPT: &str = r#"PATH="$1:$PATH:$2"; export PATH; shift 2; exec "$@""#;

/// Why an asset was not bundled.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Something this stand-in does not do.
    #[error("`docker {0}` is not something that bundling here knows")]
    Unknown(String),
    /// An option that is not known.
    #[error("`docker run {0}` is not known here")]
    UnknownOption(String),
    /// An option without its value.
    #[error("`docker run {0}` lacks its value")]
    Incomplete(String),
    /// There is no command to run.
    #[error("`docker run` names no command: what the image would do by itself cannot be done here")]
    NoCommand,
    /// The emulation of rsync failed.
    #[error(transparent)]
    Rsync(#[from] rsync::RsyncError),
    /// A file cannot be written, or the command cannot be started.
    #[error("bundling cannot start its command")]
    Start(#[source] io::Error),
}

/// Does what `docker ARGS…` is asked for; gives the exit status.
///
/// # Errors
/// When the arguments are not known. That the command fails is not an error: it is the status.
pub fn run(args: Vec<OsString>) -> Result<i32, BundleError> {
    let args: Vec<String> =
        args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("build" | "inspect" | "image" | "cp" | "rm" | "version" | "info", _)) => Ok(0),
        Some(("create", _)) => {
            // `docker create` prints the container's id, which `cp` and `rm` get back.
            writeln!(io::stdout(), "stillwire").map_err(BundleError::Start)?;
            Ok(0)
        }
        Some(("run", rest)) => execute(&Run::parse(rest)?),
        Some(("--rsync", rest)) => Ok(rsync::run(rest).map(|()| 0)?),
        Some((other, _)) => Err(BundleError::Unknown(other.to_owned())),
        None => Err(BundleError::Unknown(String::new())),
    }
}

/// A `docker run`, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    /// Host folder and the path it has in the container.
    mounts: Vec<(String, String)>,
    environment: Vec<(String, Option<String>)>,
    folder: Option<String>,
    command: Vec<String>,
}

impl Run {
    fn parse(args: &[String]) -> Result<Self, BundleError> {
        let mut run = Self::default();
        let mut entry_point = None;
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            if !name.starts_with('-') {
                break; // the image; what follows is the command
            }
            if IGNORED.contains(&name) {
                continue;
            }
            let mut value = || {
                let next = inline.clone().or_else(|| rest.next().cloned());
                next.ok_or_else(|| BundleError::Incomplete(name.to_owned()))
            };
            match name {
                "-v" | "--volume" => run.mounts.extend(mount(&value()?)),
                "-e" | "--env" => {
                    let text = value()?;
                    run.environment.push(match text.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (text, None),
                    });
                }
                "-w" | "--workdir" => run.folder = Some(value()?),
                "--entrypoint" => entry_point = Some(value()?),
                name if IGNORED_WITH_VALUE.contains(&name) => {
                    value()?;
                }
                _ => return Err(BundleError::UnknownOption(name.to_owned())),
            }
        }
        run.command =
            entry_point.into_iter().filter(|text| !text.is_empty()).chain(rest.cloned()).collect();
        if run.command.is_empty() {
            return Err(BundleError::NoCommand);
        }
        Ok(run)
    }

    fn host_of(&self, container: &str) -> Option<&Path> {
        self.mounts.iter().find(|(_, target)| target == container).map(|(host, _)| Path::new(host))
    }
}

/// Reads `HOST:CONTAINER[:options]`; the host's path may hold colons.
fn mount(text: &str) -> Option<(String, String)> {
    let (host, rest) = text.rsplit_once(":/")?;
    let target = rest.split(':').next().unwrap_or(rest);
    Some((host.to_owned(), format!("/{target}")))
}

fn execute(run: &Run) -> Result<i32, BundleError> {
    let output = run.host_of("/asset-output").map(Path::to_owned);
    let place =
        output.as_deref().and_then(Path::parent).map_or_else(std::env::temp_dir, Path::to_owned);
    let (tools, stand_ins) = tools(&place).map_err(BundleError::Start)?;
    let links = Links::make(&run.mounts).map_err(BundleError::Start)?;
    let translate = |text: &str| links.translate(text);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "sh"]).arg(tools).arg(stand_ins);
    command.args(run.command.iter().map(|word| translate(word)));
    if let Some(folder) = &run.folder {
        command.current_dir(translate(folder));
    }
    for (name, value) in &run.environment {
        if let Some(value) = value {
            command.env(name, translate(value));
        }
    }
    let status = command.status().map_err(BundleError::Start)?;
    if status.success()
        && let (Some(input), Some(output)) = (run.host_of("/asset-input"), &output)
    {
        bundle_record::append(output, input).map_err(BundleError::Start)?;
    }
    Ok(status.code().unwrap_or(1))
}

/// Writes the tools that go before and after the machine's own.
fn tools(place: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let program = std::env::current_exe()?;
    let (tools, stand_ins) = (place.join(".tools"), place.join(".stand-ins"));
    let rsync = format!("#!/bin/sh\nexec {} bundle --rsync \"$@\"\n", quoted(&program));
    script(&tools, "rsync", &rsync)?;
    script(&stand_ins, "python", "#!/bin/sh\nexec python3 \"$@\"\n")?;
    script(&stand_ins, "pip", "#!/bin/sh\nexec python3 -m pip \"$@\"\n")?;
    Ok((tools, stand_ins))
}

fn script(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let (fresh, place) = (folder.join(format!("{name}.{}", std::process::id())), folder.join(name));
    fs::write(&fresh, text)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    fs::rename(fresh, place)
}

/// What the container's paths stand for.
///
/// A path that a shell would take apart (spaces, quotes) cannot be put into a command text of which only the
/// author knows the quoting; a link with a plain name stands in for it.
#[derive(Debug)]
struct Links {
    /// From container path to host path, longest first.
    paths: Vec<(String, String)>,
    made: Vec<PathBuf>,
}

impl Links {
    fn make(mounts: &[(String, String)]) -> io::Result<Self> {
        let mut links = Self { paths: Vec::new(), made: Vec::new() };
        for (index, (host, target)) in mounts.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._+@%=:,-".contains(c);
            let path = if host.chars().all(plain) {
                host.clone()
            } else {
                let link =
                    std::env::temp_dir().join(format!("stillwire-{}-{index}", std::process::id()));
                std::os::unix::fs::symlink(host, &link)?;
                links.made.push(link.clone());
                link.display().to_string()
            };
            links.paths.push((target.clone(), path));
        }
        links.paths.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(links)
    }

    /// Replaces every path of the container, as a whole word, by the path it stands for.
    fn translate(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let before = out.chars().next_back();
            let starts = before.is_none_or(|c| !c.is_alphanumeric() && !"/._-".contains(c));
            let found = self.paths.iter().filter(|_| starts).find_map(|(target, host)| {
                let after = rest.strip_prefix(target.as_str())?;
                let ends =
                    after.chars().next().is_none_or(|c| !c.is_alphanumeric() && !"._-".contains(c));
                ends.then_some((host, after))
            });
            if let Some((host, after)) = found {
                out.push_str(host);
                rest = after;
            } else {
                out.push(next);
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
            }
        }
        out
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for link in &self.made {
            // A link that is gone already needs no removal.
            fs::remove_file(link).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_cdks_own_command_line_is_understood() {
        let run = Run::parse(&args(&[
            "--rm",
            "-u",
            "0:0",
            "-v",
            "/app/functions:/asset-input:delegated",
            "-v",
            "/out/asset.1:/asset-output:delegated",
            "--env",
            "A=b=c",
            "-w",
            "/asset-input",
            "cdk-1234",
            "bash",
            "-c",
            "rsync -rLv /asset-input/ /asset-output && cd /asset-output",
        ]))
        .unwrap();
        assert_eq!(run.host_of("/asset-input"), Some(Path::new("/app/functions")));
        assert_eq!(run.environment, [("A".to_owned(), Some("b=c".to_owned()))]);
        let links = Links::make(&run.mounts).unwrap();
        assert_eq!(
            links.translate(&run.command[2]),
            "rsync -rLv /app/functions/ /out/asset.1 && cd /out/asset.1"
        );
        assert_eq!(
            links.translate("\"/asset-input/a\" /x/asset-input /asset-inputs"),
            "\"/app/functions/a\" /x/asset-input /asset-inputs"
        );
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = |words: &[&str]| Run::parse(&args(words)).unwrap_err().to_string();
        assert_eq!(
            error(&["--privileged", "image", "ls"]),
            "`docker run --privileged` is not known here"
        );
        assert_eq!(error(&["-v"]), "`docker run -v` lacks its value");
        assert!(error(&["--rm", "image"]).contains("names no command"));
        assert!(matches!(run(vec!["push".into()]), Err(BundleError::Unknown(_))));
        assert!(matches!(run(vec!["build".into(), ".".into()]), Ok(0)));
    }

    #[test]
    fn a_run_happens_on_this_machine_and_is_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("my app"); // a space, as in many homes
        let output = dir.path().join("out/asset.1");
        fs::create_dir_all(&app).unwrap();
        fs::create_dir_all(&output).unwrap();
        fs::write(app.join("main.py"), "x").unwrap();
        let run = Run {
            mounts: vec![
                (app.display().to_string(), "/asset-input".to_owned()),
                (output.display().to_string(), "/asset-output".to_owned()),
            ],
            environment: vec![("WORD".to_owned(), Some("hello".to_owned()))],
            folder: Some("/asset-input".to_owned()),
            command: args(&[
                "sh",
                "-c",
                "cp main.py /asset-output && echo $WORD > /asset-output/w",
            ]),
        };
        assert_eq!(execute(&run).unwrap(), 0);
        assert_eq!(fs::read_to_string(output.join("main.py")).unwrap(), "x");
        assert_eq!(fs::read_to_string(output.join("w")).unwrap(), "hello\n");
        let record = bundle_record::read(&dir.path().join("out"));
        assert_eq!(record.get("asset.1"), Some(&app));
        let failing = Run { command: args(&["sh", "-c", "exit 7"]), ..run };
        assert_eq!(execute(&failing).unwrap(), 7);
    }
}
