//! The asset manifest of a stack (`*.assets.json`): from a bucket and key to a file.

use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::node::{BYTES_MAX, Node};
use crate::problem::{Location, Problem};
use crate::template::Scope;

/// What deploy tools have uploaded.
pub trait Objects: fmt::Debug + Send + Sync {
    /// The file that holds the object of this key; with an empty bucket, in whichever bucket it is.
    fn find(&self, bucket: &str, key: &str) -> Option<PathBuf>;
}

/// The assets of one stack.
#[derive(Debug, Default)]
pub(crate) struct Assets {
    files: Vec<Asset>,
    uploads: Option<Arc<dyn Objects>>,
}

#[derive(Debug)]
struct Asset {
    path: PathBuf,
    destinations: Vec<(String, String)>,
}

impl Assets {
    /// Reads an asset manifest; paths in it are relative to its folder.
    pub(crate) fn read(file: &Path) -> Result<Self, Problem> {
        let root = read_json(file)?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        let entries = root.get("files").and_then(Node::as_map);
        let files = entries.into_iter().flat_map(|map| &map.0).filter_map(|member| {
            // An asset that a command makes (`executable`) has no path; a function using it is told so.
            let path = member.node.get("source")?.get("path")?.as_text()?;
            let destinations = member.node.get("destinations").and_then(Node::as_map);
            let destinations = destinations.into_iter().flat_map(|map| &map.0).filter_map(|to| {
                let text = |name| to.node.get(name).and_then(Node::as_text).map(str::to_owned);
                Some((text("bucketName").unwrap_or_default(), text("objectKey")?))
            });
            Some(Asset { path: tidy(&folder.join(path)), destinations: destinations.collect() })
        });
        Ok(Self { files: files.collect(), uploads: None })
    }

    /// The assets of a stack that was deployed by calls: no file of this machine is one but what was uploaded.
    pub(crate) fn uploaded(objects: Arc<dyn Objects>) -> Self {
        Self { files: Vec::new(), uploads: Some(objects) }
    }

    /// Whether the template came by a call: then paths in it mean nothing here.
    pub(crate) fn are_uploaded(&self) -> bool {
        self.uploads.is_some()
    }

    /// The file or folder that is uploaded to `key` in `bucket`; where no bucket fits, the key alone decides.
    pub(crate) fn find(&self, scope: &Scope, bucket: &str, key: &str) -> Option<PathBuf> {
        if let Some(uploads) = &self.uploads {
            return uploads.find(&fill(scope, bucket), &fill(scope, key));
        }
        let matching = |exact: bool| {
            self.files.iter().find(|asset| {
                asset.destinations.iter().any(|(to_bucket, to_key)| {
                    fill(scope, to_key) == key && (!exact || fill(scope, to_bucket) == bucket)
                })
            })
        };
        matching(true).or_else(|| matching(false)).map(|asset| asset.path.clone())
    }
}

/// Replaces the placeholders of asset manifests, which are plain text, not template functions.
fn fill(scope: &Scope, text: &str) -> String {
    text.replace("${AWS::AccountId}", &scope.account)
        .replace("${AWS::Region}", &scope.region)
        .replace("${AWS::Partition}", scope.partition())
}

/// Removes `.` and resolves `..` by the path's text, so that messages and comparisons are plain.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// Reads a file of text, bounded.
pub(crate) fn read_text(file: &Path) -> Result<String, Problem> {
    let problem = |message: String| Problem::new(Location::file(file), message);
    let size =
        fs::metadata(file).map_err(|error| problem(format!("it cannot be read: {error}")))?.len();
    if size > BYTES_MAX as u64 {
        return Err(problem("it is larger than 64 MB".to_owned()));
    }
    fs::read_to_string(file).map_err(|error| problem(format!("it cannot be read: {error}")))
}

/// Reads a JSON file of an assembly.
pub(crate) fn read_json(file: &Path) -> Result<Node, Problem> {
    let text = read_text(file)?;
    if text.trim().is_empty() {
        let problem = Problem::new(Location::file(file), "it is empty");
        return Err(problem.hint("a synthesis was interrupted here; run it again"));
    }
    Node::parse_json(&text).map_err(|error| {
        let at = Location::at(file, error.at);
        let problem = Problem::new(at, format!("this is not complete JSON: {}", error.problem));
        problem.hint("if a synthesis was interrupted here, run it again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_with_placeholders_matches_the_resolved_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.assets.json");
        let text = r#"{"files": {"h": {"source": {"path": "../asset.h", "packaging": "zip"}, "destinations": {
            "d": {"bucketName": "b-${AWS::AccountId}-${AWS::Region}", "objectKey": "h.zip"}}},
            "made": {"source": {"executable": ["make"]}, "destinations": {}}}}"#;
        fs::write(&file, text).unwrap();
        let assets = Assets::read(&file).unwrap();
        let scope = Scope::new("s", "000000000000", "us-east-1");
        let found = assets.find(&scope, "b-000000000000-us-east-1", "h.zip").unwrap();
        assert_eq!(found, folder.path().parent().unwrap().join("asset.h"));
        assert!(assets.find(&scope, "other", "h.zip").is_some());
        assert!(assets.find(&scope, "other", "x.zip").is_none());
    }

    #[test]
    fn an_empty_file_is_one_clear_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("manifest.json");
        for text in ["", " \n", "{\"version\": "] {
            fs::write(&file, text).unwrap();
            let problem = read_json(&file).unwrap_err().to_string();
            assert!(
                problem.contains("manifest.json:1:") && problem.contains("interrupted"),
                "{problem}"
            );
        }
    }

    #[test]
    fn paths_are_tidied_by_their_text() {
        assert_eq!(tidy(Path::new("a/b/../../c/./d")), Path::new("c/d"));
        assert_eq!(tidy(Path::new("../a")), Path::new("../a"));
    }
}
