//! The stacks of an assembly, with their assets.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Package, Upload, UploadContent};
use crate::assets::{read_json, read_text, tidy};
use crate::node::Node;
use crate::problem::{Location, Problem, Problems};

/// How deep assemblies may be nested; keeps a folder that contains itself from being read for ever.
const NESTING_MAX: usize = 16;

pub(super) fn packages(dir: &Path) -> Result<Vec<Package>, Problems> {
    let mut found = Vec::new();
    read(dir, 0, &mut found)?;
    Ok(found)
}

fn read(dir: &Path, depth: usize, found: &mut Vec<Package>) -> Result<(), Problems> {
    let file = dir.join("manifest.json");
    let root = read_json(&file)?;
    if depth == NESTING_MAX {
        return Err(Problem::new(Location::file(&file), "assemblies are nested too deeply").into());
    }
    let artifacts = root.get("artifacts").and_then(Node::as_map);
    for artifact in artifacts.into_iter().flat_map(|map| &map.0) {
        let node = &artifact.node;
        match node.get("type").and_then(Node::as_text) {
            Some("cdk:cloud-assembly") => {
                if let Some(name) = property(node, "directoryName") {
                    read(&tidy(&dir.join(name)), depth + 1, found)?;
                }
            }
            Some("aws:cloudformation:stack") => {
                found.push(stack(dir, (&file, &root), (&artifact.name, node))?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn property<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.get("properties")?.get(name)?.as_text()
}

fn stack(
    dir: &Path,
    (file, root): (&Path, &Node),
    (id, node): (&str, &Node),
) -> Result<Package, Problems> {
    let name = property(node, "stackName").unwrap_or(id);
    let template = property(node, "templateFile").ok_or_else(|| {
        Problem::new(Location::at(file, node.at), format!("the stack {id} has no templateFile"))
    })?;
    let of_other = |id: &str| root.get("artifacts")?.get(id);
    let needed: Vec<&str> = node
        .get("dependencies")
        .and_then(Node::as_list)
        .into_iter()
        .flatten()
        .filter_map(Node::as_text)
        .collect();
    let is_kind = |id: &str, kind: &str| {
        of_other(id).and_then(|other| other.get("type")?.as_text()) == Some(kind)
    };
    let manifest = needed.iter().filter(|id| is_kind(id, "cdk:asset-manifest"));
    let mut manifest = manifest.filter_map(|id| property(of_other(id)?, "file"));
    let manifest = manifest.next();
    let template = tidy(&dir.join(template));
    let uploads = match manifest {
        Some(manifest) => uploads(&dir.join(manifest), &template)?,
        None => Vec::new(),
    };
    // Source: cloud-assembly-schema, `aws://unknown-account/unknown-region` for environment-agnostic stacks.
    let environment = node.get("environment").and_then(Node::as_text).unwrap_or_default();
    let environment = environment.strip_prefix("aws://").unwrap_or_default();
    let place = environment.split_once('/').filter(|(account, region)| {
        !account.starts_with("unknown-") && !region.starts_with("unknown-")
    });
    let texts = |name: &str| {
        let map = node.get("properties").and_then(|all| all.get(name)?.as_map());
        let members = map.into_iter().flat_map(|map| &map.0);
        members
            .filter_map(|member| Some((member.name.clone(), member.node.scalar()?)))
            .collect::<BTreeMap<_, _>>()
    };
    let after = needed.iter().filter(|id| is_kind(id, "aws:cloudformation:stack"));
    let after = after.map(|id| {
        of_other(id).and_then(|other| property(other, "stackName")).unwrap_or(id).to_owned()
    });
    Ok(Package {
        name: name.to_owned(),
        display_name: node.get("displayName").and_then(Node::as_text).unwrap_or(name).to_owned(),
        place: place.map(|(account, region)| (account.to_owned(), region.to_owned())),
        template: read_text(&template)?,
        parameters: texts("parameters"),
        tags: texts("tags"),
        uploads,
        after: after.collect(),
    })
}

/// What an asset manifest uploads, but for the template itself, which is sent as it is.
fn uploads(manifest: &Path, template: &Path) -> Result<Vec<Upload>, Problems> {
    let root = read_json(manifest)?;
    let folder = manifest.parent().unwrap_or_else(|| Path::new("."));
    let mut uploads = Vec::new();
    let files = root.get("files").and_then(Node::as_map);
    for file in files.into_iter().flat_map(|map| &map.0) {
        let source = |name: &str| file.node.get("source")?.get(name)?.as_text();
        let Some(path) = source("path") else {
            let location = Location::at(manifest, file.at);
            let problem =
                Problem::new(location, "an asset is made by a command, which is not run here");
            return Err(problem
                .hint("deploy it with `cdk deploy` and the environment of `stillwire env`")
                .into());
        };
        let path = tidy(&folder.join(path));
        if path == template {
            continue;
        }
        let content = match source("packaging") {
            Some("zip") => UploadContent::Folder(path),
            _ => UploadContent::File(path),
        };
        let destinations = file.node.get("destinations").and_then(Node::as_map);
        for to in destinations.into_iter().flat_map(|map| &map.0) {
            let text = |name: &str| to.node.get(name).and_then(Node::as_text).map(str::to_owned);
            if let (Some(bucket), Some(key)) = (text("bucketName"), text("objectKey")) {
                uploads.push(Upload { bucket, key, content: content.clone() });
            }
        }
    }
    Ok(uploads)
}
