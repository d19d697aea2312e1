//! The house rules that no compiler checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Failure, cargo, output, workspace};

/// Which crates of ours each crate may use: the arrows of ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 27] = [
    ("bench", &["websocket"]),
    ("conformance", &["testkit"]),
    ("drain", &[]),
    ("keep", &[]),
    ("model", &[]),
    ("websocket", &[]),
    ("awswire", &[]),
    ("outbound", &["awswire"]),
    ("velocity", &[]),
    ("schema", &[]),
    ("pattern", &[]),
    ("policy", &[]),
    ("listen", &["drain"]),
    (
        "gateway",
        &[
            "awswire",
            "drain",
            "listen",
            "model",
            "outbound",
            "policy",
            "schema",
            "velocity",
            "websocket",
        ],
    ),
    ("functions", &["drain", "model"]),
    ("tables", &["model"]),
    ("control", &["awswire", "keep", "model"]),
    ("lambda", &["awswire", "drain", "keep", "model", "outbound", "pattern"]),
    ("assets", &["awswire", "keep", "model"]),
    ("bootstrap", &["awswire", "keep", "model"]),
    ("cloudformation", &["awswire", "drain", "keep", "model"]),
    ("eventsources", &["awswire", "drain", "keep", "model", "outbound", "pattern"]),
    ("front", &["awswire", "drain", "listen", "model", "policy"]),
    ("deploy", &["model", "pattern", "schema", "velocity"]),
    ("testkit", &["websocket"]),
    ("xtask", &[]),
    (
        "stillwire",
        &[
            "assets",
            "awswire",
            "bootstrap",
            "cloudformation",
            "control",
            "deploy",
            "drain",
            "eventsources",
            "front",
            "functions",
            "gateway",
            "keep",
            "lambda",
            "listen",
            "model",
            "outbound",
            "policy",
            "tables",
            "testkit",
            "websocket",
        ],
    ),
];

/// Lines of program in one file before it surely has more than one subject.
const FILE_LINES_MAX: usize = 600;

pub(crate) fn run(_: &[String]) -> Result<(), Failure> {
    let mut problems = Vec::new();
    check_arrows(&mut problems)?;
    for file in files(&workspace(), "rs")? {
        check_source(&file, &mut problems)?;
    }
    for file in files(&workspace(), "md")? {
        check_links(&file, &mut problems)?;
    }
    check_limits(&mut problems)?;
    if problems.is_empty() {
        println!("tidy: every rule is kept");
        return Ok(());
    }
    Err(Failure::new(format!("not tidy:\n  {}", problems.join("\n  "))))
}

/// Rooms do not open into each other.
fn check_arrows(problems: &mut Vec<String>) -> Result<(), Failure> {
    let tree = output(cargo().args([
        "tree",
        "--workspace",
        "--depth",
        "1",
        "--prefix",
        "none",
        "--edges",
        "normal,dev",
        "--format",
        "{p}",
    ]))?;
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let local = |line: &str| {
        let name = line.split(' ').next()?;
        line.contains(" (/").then(|| name.strip_prefix("stillwire-").unwrap_or(name).to_owned())
    };
    // Each block begins with a member; the lines after it, up to an empty one, are what it uses.
    for block in tree.split("\n\n") {
        let mut lines = block.lines().filter(|line| !line.is_empty());
        let Some(member) = lines.next().and_then(local) else { continue };
        let Some(known) = allowed.get(member.as_str()) else {
            problems.push(format!("{member}: a crate that the list of arrows does not know"));
            continue;
        };
        for used in lines.filter_map(local).filter(|used| !known.contains(&used.as_str())) {
            problems.push(format!("{member} must not use {used}"));
        }
    }
    Ok(())
}

fn check_source(file: &Path, problems: &mut Vec<String>) -> Result<(), Failure> {
    let text = fs::read_to_string(file)?;
    let shown = shown(file);
    if !text.trim_start().starts_with("//!") {
        problems.push(format!("{shown}: no module comment"));
    }
    let program = text.split("#[cfg(test)]").next().unwrap_or_default();
    if program.lines().count() > FILE_LINES_MAX && !shown.contains("/tests/") {
        problems.push(format!("{shown}: longer than {FILE_LINES_MAX} lines: has it one subject?"));
    }
    if text.contains(concat!("#[", "ignore")) {
        problems.push(format!("{shown}: an ignored test; assert what is and say why"));
    }
    Ok(())
}

/// Links between documents lead somewhere.
fn check_links(file: &Path, problems: &mut Vec<String>) -> Result<(), Failure> {
    let text = fs::read_to_string(file)?;
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    for piece in text.split("](").skip(1) {
        let Some(target) = piece.split(')').next() else { continue };
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() || path.contains("://") {
            continue;
        }
        if !folder.join(path).exists() {
            problems.push(format!("{}: the link {target} leads nowhere", shown(file)));
        }
    }
    Ok(())
}

/// Every limit says where it comes from.
fn check_limits(problems: &mut Vec<String>) -> Result<(), Failure> {
    for owner in ["model", "schema", "velocity"] {
        let file = workspace().join("crates").join(owner).join("src/limits.rs");
        let text = fs::read_to_string(&file)?;
        let mut comment = String::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("///") {
                comment.push_str(words);
            } else if let Some(constant) = line.strip_prefix("pub const ") {
                let sourced = ["Source:", "Choice:"].iter().any(|word| comment.contains(word));
                if !sourced {
                    let name = constant.split(':').next().unwrap_or_default();
                    let file = shown(&file);
                    problems.push(format!("{file}: {name} does not say where it comes from"));
                }
                comment.clear();
            }
        }
    }
    Ok(())
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            let foreign = ["target", "node_modules", "cdk.out", "corpus"].contains(&name.as_ref());
            if !foreign && !name.starts_with('.') {
                found.extend(files(&path, extension)?);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn shown(file: &Path) -> String {
    file.strip_prefix(workspace()).unwrap_or(file).display().to_string()
}
