//! Where the template of a nested stack is.

use std::path::{Path, PathBuf};

use crate::assets::tidy;
use crate::node::{Node, Value};
use crate::problem::{Location, Problem};
use crate::resolver::Unit;

/// The file of a nested stack: by the key it is uploaded to, by the CDK's metadata, or a local path.
pub(super) fn nested_template(unit: &Unit, id: &str) -> Result<PathBuf, Problem> {
    let folder = unit.template.file.parent().unwrap_or_else(|| Path::new("."));
    let resource = unit.template.resources.get(id);
    let url = resource.and_then(|resource| resource.property("TemplateURL"));
    let mut text = String::new();
    if let Some(url) = url {
        gather(url, &mut text);
    }
    let uploaded = uploaded(unit, &text);
    let here = !unit.assets.are_uploaded();
    let noted = resource.and_then(|resource| resource.metadata("aws:asset:path"));
    let beside = [noted.map(|path| folder.join(path)), Some(folder.join(&text))];
    [uploaded]
        .into_iter()
        .chain(beside.into_iter().filter(|_| here))
        .flatten()
        .map(|path| tidy(&path))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let at = url.map_or_else(
                || resource.map_or(crate::node::Position::START, |r| r.at),
                |url| url.at,
            );
            let mut location = Location::at(&unit.template.file, at);
            location.stack = Some(unit.scope.stack.clone());
            location.logical_id = Some(id.to_owned());
            location.property = Some("Properties.TemplateURL".to_owned());
            Problem::new(location, "the template of this nested stack was not found")
        })
}

/// What was uploaded to where a URL leads: `https://HOST/BUCKET/KEY`, else whatever has the last segment for its key.
fn uploaded(unit: &Unit, url: &str) -> Option<PathBuf> {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let named = path.and_then(|(_, path)| path.split_once('/'));
    let named = named.and_then(|(bucket, key)| unit.assets.find(&unit.scope, bucket, key));
    let last = url.rsplit('/').next().unwrap_or_default();
    named.or_else(|| unit.assets.find(&unit.scope, "", last))
}

/// The literal texts in a value, one after the other.
fn gather(node: &Node, out: &mut String) {
    match &node.value {
        Value::Text(text) => out.push_str(text),
        Value::List(items) => items.iter().for_each(|item| gather(item, out)),
        Value::Map(map) => map.0.iter().for_each(|member| gather(&member.node, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
