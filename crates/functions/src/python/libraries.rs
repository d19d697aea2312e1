//! Packages a function needs and its folder lacks: installed once into a cached folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::interpreter::Interpreter;
use crate::cache::{self, fingerprint};
use crate::code::Roots;
use crate::supervisor::Processes;

/// The version of boto3 that is installed, so that two machines run the same.
///
/// Choice: the managed runtimes carry some version of the last months.
const BOTO3: &str = "1.44.5";
/// The same for Python 3.9, the last one.
const BOTO3_PYTHON_3_9: &str = "1.42.97";

/// What to install, and where it will be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// In words.
    pub(crate) what: String,
    /// The folder below the cache.
    pub(crate) folder: PathBuf,
    /// pip's arguments.
    args: Vec<String>,
}

impl Wanted {
    /// boto3, which every managed Python runtime has.
    pub(crate) fn boto3(interpreter: &Interpreter) -> Self {
        let version = match interpreter.minor {
            ..9 => None, // pip knows the last one that runs there
            9 => Some(BOTO3_PYTHON_3_9),
            10.. => Some(BOTO3),
        };
        let named = |package: &str| version.map(|version| format!("{package}=={version}"));
        let what = named("boto3").unwrap_or_else(|| "boto3".to_owned());
        Self {
            folder: PathBuf::from(format!("python-3.{}", interpreter.minor))
                .join(what.replace("==", "-")),
            args: [what.clone()].into_iter().chain(named("botocore")).collect(),
            what,
        }
    }

    /// The debugger, for functions that are debugged.
    pub(crate) fn debugpy(interpreter: &Interpreter) -> Self {
        Self {
            what: "debugpy".to_owned(),
            folder: PathBuf::from(format!("python-3.{}", interpreter.minor)).join("debugpy"),
            args: vec!["debugpy".to_owned()],
        }
    }

    /// The packages of a `requirements.txt`, unless the function's folder or its boto3 has them all.
    pub(crate) fn requirements(interpreter: &Interpreter, roots: &Roots) -> Option<Self> {
        let file =
            roots.folders().map(|root| root.join("requirements.txt")).find(|f| f.is_file())?;
        let text = fs::read_to_string(&file).ok()?;
        let names = requirement_names(&text);
        let bundled = bundled_names(roots);
        let satisfied = |(name, bare): &(String, bool)| {
            bundled.contains(name) || *bare && matches!(name.as_str(), "boto3" | "botocore")
        };
        if names.iter().all(satisfied) {
            return None;
        }
        let folder = format!("requirements-{:016x}", fingerprint(text.as_bytes()));
        Some(Self {
            what: format!("the packages of {}", file.display()),
            folder: PathBuf::from(format!("python-3.{}", interpreter.minor)).join(folder),
            args: vec!["-r".to_owned(), file.to_string_lossy().into_owned()],
        })
    }
}

/// The names in a requirements file, and whether each stands without a version. Options count as a name.
fn requirement_names(text: &str) -> Vec<(String, bool)> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let end = line.find(|c| !in_name(c)).unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            (normal(name), rest.is_empty())
        })
        .collect()
}

/// The distributions and modules that lie in the function's folders.
fn bundled_names(roots: &Roots) -> BTreeSet<String> {
    let entries =
        roots.folders().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    entries
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_owned();
            match name.strip_suffix(".dist-info") {
                Some(info) => Some(normal(info.rsplit_once('-').map_or(info, |(name, _)| name))),
                None if entry.path().join("__init__.py").is_file() => Some(normal(&name)),
                None => None,
            }
        })
        .collect()
}

/// Source: Python Packaging User Guide, "Name normalization".
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Fills the folder unless it is there.
///
/// # Errors
/// What went wrong, and what to do.
pub(crate) async fn install(
    processes: &Processes,
    interpreter: &Interpreter,
    wanted: &Wanted,
    cache_dir: &Path,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<PathBuf, String> {
    let folder = cache_dir.join(&wanted.folder);
    if folder.is_dir() {
        return Ok(folder);
    }
    let what = format!("{} for python3.{}", wanted.what, interpreter.minor);
    let remedy = "check the network, or put the packages into the function's folder";
    let failed = |problem: String| format!("cannot install {what}: {problem}; {remedy}");
    tell(format!("installing {what} into {} (once)", folder.display()));
    let fill = async |target: &Path| {
        let parent = target.parent().unwrap_or(target);
        let pip = if interpreter.has_pip {
            interpreter.program.clone()
        } else {
            let venv = parent.join("venv");
            let args = vec!["-m".to_owned(), "venv".to_owned(), text(&venv)];
            run(processes, &interpreter.program, args, parent, tell).await?;
            venv.join("bin/python")
        };
        let fixed = [
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--no-warn-script-location",
            "--progress-bar=off",
            "--target",
        ];
        let mut args: Vec<String> = fixed.iter().map(|arg| (*arg).to_owned()).collect();
        args.push(text(target));
        args.extend(wanted.args.iter().cloned());
        run(processes, &pip, args, parent, tell).await
    };
    cache::filled(&folder, fill).await.map_err(failed)?;
    tell(format!("installed {what}"));
    Ok(folder)
}

async fn run(
    processes: &Processes,
    program: &Path,
    args: Vec<String>,
    cwd: &Path,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), String> {
    let mut progress = |line: &str| {
        let steps = ["Collecting ", "Building wheel", "Installing collected packages"];
        if steps.iter().any(|step| line.starts_with(step)) {
            tell(format!("pip: {line}"));
        }
    };
    cache::run_installer(processes, (program, args), cwd, &mut progress).await
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_by_name() {
        let names = requirement_names("# c\nboto3\nRequests>=2 # x\nfoo_bar[extra]==1\n\n");
        let expected = [("boto3", true), ("requests", false), ("foo-bar", false)];
        assert_eq!(names, expected.map(|(name, bare)| (name.to_owned(), bare)));
    }

    #[test]
    fn a_bare_boto3_or_a_bundled_package_needs_no_installation() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { root: folder.path().to_owned(), source: None, layers: None };
        let python =
            Interpreter { program: "python3".into(), minor: 11, has_boto3: false, has_pip: true };
        let with = |text: &str| {
            fs::write(folder.path().join("requirements.txt"), text).unwrap();
            Wanted::requirements(&python, &roots)
        };
        fs::create_dir(folder.path().join("foo_bar-1.0.dist-info")).unwrap();
        assert_eq!(with("boto3\nfoo-bar==1.0\n"), None);
        assert!(with("boto3==1.28\n").is_some());
        assert_ne!(with("a\n").unwrap().folder, with("b\n").unwrap().folder);
    }
}
