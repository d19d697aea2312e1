//! What a path names: a CDK app, a cloud assembly or a template.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::assets::read_json;
use crate::node::Node;

/// Something that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A folder with `cdk.json`.
    CdkApp(CdkApp),
    /// A cloud assembly.
    Assembly(Assembly),
    /// One template, in JSON or YAML.
    Template(PathBuf),
    /// A service of the Serverless Framework, by its `serverless.yml`.
    Serverless(PathBuf),
    /// A plan or state of Terraform's, as `terraform show -json` writes it.
    Terraform(PathBuf),
}

/// A CDK app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdkApp {
    /// The folder of `cdk.json`.
    pub dir: PathBuf,
    /// The command that synthesizes it; `None` when `cdk.json` has none or `app` names an assembly.
    pub command: Option<String>,
    /// An assembly that is already there.
    pub assembly: Option<PathBuf>,
}

/// A cloud assembly: a folder with `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    /// The folder.
    pub dir: PathBuf,
    /// The folder of the app it was made from, where `cdk.json` is beside it.
    pub app_dir: Option<PathBuf>,
}

/// A path that names nothing that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is nothing.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// A folder without anything known in it.
    #[error(
        "{0} is no app that is known here: it has no cdk.json, manifest.json, serverless.yml or template.yaml\n  \
         hint: name the folder of one of them, or a template (*.json, *.yaml)"
    )]
    NothingKnown(PathBuf),
    /// A configuration of Terraform's without what it makes of it.
    #[error(
        "{0} is a configuration of Terraform's, of which the plan is read, and there is none\n  \
         hint: terraform plan -out tfplan && terraform show -json tfplan > plan.json"
    )]
    NoPlan(PathBuf),
    /// A file of another kind.
    #[error(
        "{0} is not a template: a name that ends in .json or .yaml is expected\n  \
         hint: name the folder of cdk.json, a cdk.out folder, or a template (*.json, *.yaml)"
    )]
    NotATemplate(PathBuf),
    /// A `cdk.json` that cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// The names of the Serverless Framework's configurations. Source: its CLI, "configuration file".
const SERVERLESS: [&str; 5] =
    ["serverless.yml", "serverless.yaml", "serverless.json", "serverless.js", "serverless.ts"];

impl Input {
    /// Finds out what `path` names. It looks at the path itself only, not into folders below it.
    pub fn find(path: &Path) -> Result<Self, FindError> {
        if path.is_dir() {
            return find_in_folder(path);
        }
        if !path.exists() {
            return Err(FindError::Missing(path.to_owned()));
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        if SERVERLESS.contains(&name) {
            return Ok(Self::Serverless(path.to_owned()));
        }
        if name == "cdk.json" || name == "manifest.json" {
            return find_in_folder(folder);
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tfstate") => Ok(Self::Terraform(path.to_owned())),
            Some("json") if is_terraform(path) => Ok(Self::Terraform(path.to_owned())),
            Some("tf") => find_terraform(folder),
            Some("json" | "template" | "yaml" | "yml") => Ok(Self::Template(path.to_owned())),
            _ => Err(FindError::NotATemplate(path.to_owned())),
        }
    }
}

fn find_in_folder(path: &Path) -> Result<Input, FindError> {
    if path.join("cdk.json").is_file() {
        return find_cdk_app(path).map(Input::CdkApp);
    }
    if is_assembly(path) {
        // The parent of `cdk.out` alone is an empty path, which is the current folder.
        let parent = path.canonicalize().ok().and_then(|full| full.parent().map(Path::to_owned));
        let app_dir = parent.filter(|parent| parent.join("cdk.json").is_file());
        return Ok(Input::Assembly(Assembly { dir: path.to_owned(), app_dir }));
    }
    for name in SERVERLESS {
        let file = path.join(name);
        if file.is_file() {
            return Ok(Input::Serverless(file));
        }
    }
    // Source: SAM CLI, `--template`: these names, in this order; `sam build` puts its own below the folder.
    for name in ["template.yaml", "template.yml", "template.json"] {
        let file = path.join(name);
        if file.is_file() {
            return Ok(Input::Template(file));
        }
    }
    if has_configuration(path) {
        return find_terraform(path);
    }
    Err(FindError::NothingKnown(path.to_owned()))
}

/// Whether a file is a plan or state, by how it begins.
fn is_terraform(file: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok() && crate::terraform::looks_like(&String::from_utf8_lossy(&head))
}

/// Whether a folder is a module of Terraform's.
fn has_configuration(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(10_000);
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| Path::new(&name).extension().is_some_and(|extension| extension == "tf"))
}

/// The plan beside a configuration, else its state.
fn find_terraform(folder: &Path) -> Result<Input, FindError> {
    let names = ["plan.json", "tfplan.json", "state.json", "terraform.tfstate"];
    let files = names.map(|name| folder.join(name));
    let mut files = files.into_iter().filter(|file| file.is_file());
    files
        .find(|file| file.extension().is_some_and(|end| end == "tfstate") || is_terraform(file))
        .map(Input::Terraform)
        .ok_or_else(|| FindError::NoPlan(folder.to_owned()))
}

fn find_cdk_app(dir: &Path) -> Result<CdkApp, FindError> {
    let root =
        read_json(&dir.join("cdk.json")).map_err(|p| FindError::Unreadable(p.to_string()))?;
    let text = |name| root.get(name).and_then(Node::as_text);
    let app = text("app");
    // Source: AWS CDK CLI, `--app`: "command-line for executing your app or a cloud assembly directory".
    if let Some(folder) = app.map(|app| dir.join(app)).filter(|folder| is_assembly(folder)) {
        return Ok(CdkApp { dir: dir.to_owned(), command: None, assembly: Some(folder) });
    }
    let output = dir.join(text("output").unwrap_or("cdk.out"));
    Ok(CdkApp {
        dir: dir.to_owned(),
        command: app.map(str::to_owned),
        assembly: is_assembly(&output).then_some(output),
    })
}

fn is_assembly(folder: &Path) -> bool {
    folder.join("manifest.json").is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_with_cdk_json_is_an_app_with_its_command_and_assembly() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cdk.json"), r#"{"app": "python3 app.py"}"#).unwrap();
        let find = || match Input::find(dir.path()).unwrap() {
            Input::CdkApp(app) => app,
            other => panic!("{other:?}"),
        };
        assert_eq!((find().command.as_deref(), find().assembly), (Some("python3 app.py"), None));
        let out = dir.path().join("cdk.out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("manifest.json"), "{}").unwrap();
        assert_eq!(find().assembly, Some(out.clone()));
        let Input::Assembly(assembly) = Input::find(&out).unwrap() else { panic!("an assembly") };
        assert_eq!(assembly.app_dir, Some(dir.path().canonicalize().unwrap()));
    }

    #[test]
    fn an_app_that_names_a_folder_is_that_assembly() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ready")).unwrap();
        fs::write(dir.path().join("ready/manifest.json"), "{}").unwrap();
        fs::write(dir.path().join("cdk.json"), r#"{"app": "ready"}"#).unwrap();
        let Input::CdkApp(app) = Input::find(dir.path()).unwrap() else { panic!("an app") };
        assert_eq!((app.command, app.assembly), (None, Some(dir.path().join("ready"))));
    }

    #[test]
    fn a_folder_of_sam_is_its_template() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["template.json", "template.yaml"] {
            fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(Input::find(dir.path()), Ok(Input::Template(dir.path().join(name))));
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let error = |name: &str| Input::find(&dir.path().join(name)).unwrap_err().to_string();
        fs::write(dir.path().join("t.txt"), "").unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        assert!(error("t.txt").contains("is not a template"));
        assert!(
            error("empty")
                .contains("no cdk.json, manifest.json, serverless.yml or template.yaml\n  hint:")
        );
        assert!(error("none").ends_with("does not exist"));
    }
}
