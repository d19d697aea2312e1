//! An app as it is sent to be deployed: its templates, and what has to be uploaded with them.
//!
//! Templates of an assembly are sent as they are: its asset manifests say what is uploaded where. In other templates, paths of
//! this machine become objects of a bucket first.
//!
//! Source: AWS CDK Developer Guide, "Cloud assemblies"; AWS CLI Command Reference, `cloudformation package`.

mod assembly;
mod local;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::input::Input;
use crate::problem::{Location, Problem, Problems};
use crate::select::matches;

pub use local::files_of;

/// A stack, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name (`dev-Chat`).
    pub name: String,
    /// How people name it (`dev/Chat`).
    pub display_name: String,
    /// The account and region it is for, where the app says them.
    pub place: Option<(String, String)>,
    /// Its template.
    pub template: String,
    /// Values of parameters that the tool's own file gives.
    pub parameters: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What is to be uploaded before. Names of buckets and keys may hold `${AWS::AccountId}`, `${AWS::Region}` and
    /// `${AWS::Partition}`, as do those in the template.
    pub uploads: Vec<Upload>,
    /// The names of the stacks that are deployed before it.
    after: Vec<String>,
}

/// Something to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The content.
    pub content: UploadContent,
}

/// The content of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadContent {
    /// A file, as it is.
    File(PathBuf),
    /// A folder, as an archive.
    Folder(PathBuf),
    /// A text.
    Text(String),
}

/// What an app consists of, as it is sent; in the order in which it is deployed.
///
/// # Errors
/// All problems that were found; that nothing is chosen is one.
pub fn package(
    input: &Input,
    stage: Option<&str>,
    stacks: &[String],
) -> Result<Vec<Package>, Problems> {
    let all = match input {
        Input::Assembly(assembly) => assembly::packages(&assembly.dir)?,
        Input::CdkApp(app) => match &app.assembly {
            Some(dir) => assembly::packages(dir)?,
            None => {
                return Err(other(
                    &app.dir,
                    "this CDK app has no assembly yet",
                    "synthesize it first",
                ));
            }
        },
        Input::Template(file) => vec![local::package(file)?],
        Input::Serverless(file) => {
            let hint = "run `serverless package`, and deploy `.serverless/cloudformation-template-update-stack.json`";
            return Err(other(file, "a service is not deployed as it is written", hint));
        }
        Input::Terraform(file) => {
            let hint =
                "`terraform apply` deploys it here itself, with the environment of `stillwire env`";
            return Err(other(file, "a plan of Terraform's is not sent", hint));
        }
    };
    let names: Vec<String> = all.iter().map(|package| package.display_name.clone()).collect();
    let is_of_stage = |package: &Package| {
        let first = package.display_name.split_once('/').map(|(first, _)| first);
        stage.is_none_or(|stage| first == Some(stage))
    };
    let is_chosen = |package: &Package| {
        let named = |pattern: &String| {
            matches(pattern, &package.name) || matches(pattern, &package.display_name)
        };
        stacks.is_empty() || stacks.iter().any(named)
    };
    let mut chosen: Vec<Package> =
        all.iter().filter(|one| is_of_stage(one) && is_chosen(one)).cloned().collect();
    if chosen.is_empty() {
        let place = match input {
            Input::Assembly(assembly) => &assembly.dir,
            Input::CdkApp(app) => &app.dir,
            Input::Template(file) | Input::Serverless(file) | Input::Terraform(file) => file,
        };
        let hint = format!("there are {}", names.join(", "));
        return Err(other(place, "no stack is what was asked for", &hint));
    }
    // A stack does not stand without those it depends on.
    loop {
        let needed = all.iter().find(|one| {
            !chosen.contains(one) && chosen.iter().any(|chosen| chosen.after.contains(&one.name))
        });
        match needed {
            Some(needed) => chosen.push(needed.clone()),
            None => break,
        }
    }
    Ok(in_order(chosen))
}

/// Each behind those it depends on. Of those that wait for each other, in the order of the app.
fn in_order(mut left: Vec<Package>) -> Vec<Package> {
    let mut ordered: Vec<Package> = Vec::new();
    while !left.is_empty() {
        let waits = |one: &Package| left.iter().any(|other| one.after.contains(&other.name));
        let next = left.iter().position(|one| !waits(one)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

fn other(file: &Path, message: &str, hint: &str) -> Problems {
    Problem::new(Location::file(file), message).hint(hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, after: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            display_name: name.to_owned(),
            place: None,
            template: String::new(),
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
            uploads: Vec::new(),
            after: after.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    #[test]
    fn stacks_follow_what_they_depend_on() {
        let names = |all: Vec<Package>| all.into_iter().map(|one| one.name).collect::<Vec<_>>();
        let all = vec![named("c", &["a", "b"]), named("a", &[]), named("b", &["a"])];
        assert_eq!(names(in_order(all)), ["a", "b", "c"]);
        let circle = vec![named("a", &["b"]), named("b", &["a"])];
        assert_eq!(names(in_order(circle)), ["a", "b"]);
    }
}
