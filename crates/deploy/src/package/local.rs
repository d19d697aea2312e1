//! A template with paths of this machine in it: they become objects of a bucket, named by their content.
//!
//! Source: AWS CLI Command Reference, `cloudformation package`, the list of properties; AWS SAM, "Globals".

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::{Package, Upload, UploadContent};
use crate::assets::{read_text, tidy};
use crate::node::Node;
use crate::problem::{Location, Problem, Problems};
use crate::samconfig::SamConfig;

/// Where uploads go: a bucket of this form is there without being made.
const BUCKET: &str = "cdk-stillwire-assets-${AWS::AccountId}-${AWS::Region}";

/// How deep templates may be nested.
const NESTING_MAX: usize = 16;

/// Files of one folder.
const FILES_MAX: usize = 20_000;

/// The properties that may be paths, and the members by which they name an object instead.
const PROPERTIES: [(&str, &str, (&str, &str)); 4] = [
    ("AWS::Lambda::Function", "Code", ("S3Bucket", "S3Key")),
    ("AWS::Lambda::LayerVersion", "Content", ("S3Bucket", "S3Key")),
    ("AWS::Serverless::Function", "CodeUri", ("Bucket", "Key")),
    ("AWS::Serverless::LayerVersion", "ContentUri", ("Bucket", "Key")),
];

/// The properties that are templates of their own.
const TEMPLATES: [(&str, &str); 2] =
    [("AWS::CloudFormation::Stack", "TemplateURL"), ("AWS::Serverless::Application", "Location")];

pub(super) fn package(file: &Path) -> Result<Package, Problems> {
    let config = SamConfig::beside(file)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("stack");
    let name = config.stack.unwrap_or_else(|| match stem {
        // A usual name says nothing; the folder's does.
        "template" => folder_name(file).unwrap_or_else(|| stem.to_owned()),
        stem => stem.to_owned(),
    });
    let mut uploads = Vec::new();
    let template = read(file, 0, &mut uploads)?;
    Ok(Package {
        display_name: name.clone(),
        name,
        place: None,
        template,
        parameters: config.parameters,
        tags: std::collections::BTreeMap::new(),
        uploads,
        after: Vec::new(),
    })
}

fn folder_name(file: &Path) -> Option<String> {
    let full = fs::canonicalize(file).ok()?;
    let name = full.parent()?.file_name()?.to_str()?;
    Some(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect())
}

/// The template as it is sent: as it is written, where it has no path of this machine.
fn read(file: &Path, depth: usize, uploads: &mut Vec<Upload>) -> Result<String, Problems> {
    let text = read_text(file)?;
    if depth == NESTING_MAX {
        return Err(Problem::new(Location::file(file), "templates are nested too deeply").into());
    }
    let node = Node::parse(&text)
        .map_err(|error| Problem::new(Location::at(file, error.at), error.problem))?;
    let mut template = node.to_json();
    let known = uploads.len();
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let missing = |what: &str, path: &Path, error: &io::Error| {
        let message = format!("{what}: {} cannot be read: {error}", path.display());
        Problem::new(Location::file(file), message)
    };
    if let Some(uri) = template.pointer_mut("/Globals/Function/CodeUri")
        && let Some(path) = local(folder, uri)
    {
        let key = upload(&path, uploads)
            .map_err(|error| missing("Globals.Function.CodeUri", &path, &error))?;
        *uri = json!(format!("s3://{BUCKET}/{key}"));
    }
    let resources = template.get_mut("Resources").and_then(Value::as_object_mut);
    for (id, resource) in resources.into_iter().flatten() {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(properties) = resource.get_mut("Properties") else { continue };
        for (_, property, (bucket, key_member)) in PROPERTIES.iter().filter(|(of, ..)| *of == kind)
        {
            let Some(value) = properties.get_mut(*property) else { continue };
            let Some(path) = local(folder, value) else { continue };
            let what = format!("{id}.{property}");
            let key = upload(&path, uploads).map_err(|error| missing(&what, &path, &error))?;
            let is_sam = kind.starts_with("AWS::Serverless::");
            let name = if is_sam { json!(BUCKET) } else { json!({ "Fn::Sub": BUCKET }) };
            *value = json!({ *bucket: name, *key_member: key });
        }
        for (_, property) in TEMPLATES.iter().filter(|(of, _)| *of == kind) {
            let Some(value) = properties.get_mut(*property) else { continue };
            let Some(path) = local(folder, value) else { continue };
            let inner = read(&path, depth + 1, uploads)?;
            let key = format!("{}.template", sum(&[inner.as_bytes()]));
            let content = UploadContent::Text(inner);
            uploads.push(Upload { bucket: BUCKET.to_owned(), key: key.clone(), content });
            let url = "https://s3.${AWS::Region}.${AWS::URLSuffix}/";
            *value = json!({ "Fn::Sub": format!("{url}{BUCKET}/{key}") });
        }
    }
    if uploads.len() == known {
        return Ok(text);
    }
    Ok(template.to_string())
}

/// The file or folder that a value names on this machine.
fn local(folder: &Path, value: &Value) -> Option<PathBuf> {
    let text = value.as_str()?;
    let is_elsewhere =
        ["s3://", "http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    (!is_elsewhere).then(|| tidy(&folder.join(text)))
}

/// Notes an upload; gives its key, which is the same as long as the content is.
fn upload(path: &Path, uploads: &mut Vec<Upload>) -> io::Result<String> {
    let (key, content) = if path.is_dir() {
        (format!("{}.zip", sum_of_folder(path)?), UploadContent::Folder(path.to_owned()))
    } else {
        let bytes = fs::read(path)?;
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or("bin");
        (format!("{}.{end}", sum(&[&bytes])), UploadContent::File(path.to_owned()))
    };
    let upload = Upload { bucket: BUCKET.to_owned(), key: key.clone(), content };
    if !uploads.contains(&upload) {
        uploads.push(upload);
    }
    Ok(key)
}

/// The files of a folder in the order of their names, but for what interpreters leave; links are followed.
///
/// # Errors
/// When it cannot be read, or has more files than any code.
pub fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((next, depth)) = open.pop() {
        if depth > 64 || files.len() > FILES_MAX {
            return Err(io::Error::other(format!(
                "it has more than {FILES_MAX} files, or leads into itself"
            )));
        }
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "__pycache__") {
                    open.push((path, depth + 1));
                }
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn sum_of_folder(folder: &Path) -> io::Result<String> {
    let mut total = Context::new(&SHA256);
    for file in files_of(folder)? {
        let name = file.strip_prefix(folder).unwrap_or(&file);
        let content = fs::read(&file)?;
        total.update(&name.as_os_str().len().to_be_bytes());
        total.update(name.as_os_str().as_encoded_bytes());
        total.update(&content.len().to_be_bytes());
        total.update(&content);
    }
    Ok(hex(total.finish().as_ref()))
}

fn sum(parts: &[&[u8]]) -> String {
    let mut total = Context::new(&SHA256);
    for part in parts {
        total.update(part);
    }
    hex(total.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok(); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_objects_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("code")).unwrap();
        fs::write(at("code/app.py"), "x = 1").unwrap();
        fs::write(at("inner.yaml"), "Resources: {}").unwrap();
        let text = "Resources:\n  F: { Type: AWS::Lambda::Function, Properties: { Code: code, Handler: !Sub a } }\n  \
            G: { Type: AWS::Lambda::Function, Properties: { Code: { ZipFile: x } } }\n  \
            H: { Type: AWS::Serverless::Function, Properties: { CodeUri: ./code/ } }\n  \
            N: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: inner.yaml } }\n";
        fs::write(at("my-app.yaml"), text).unwrap();
        let package = package(&at("my-app.yaml")).unwrap();
        assert_eq!(package.name, "my-app");
        let template: Value = serde_json::from_str(&package.template).unwrap();
        let key = &template["Resources"]["F"]["Properties"]["Code"]["S3Key"];
        assert!(key.as_str().unwrap().contains(".zip"));
        assert_eq!(template["Resources"]["H"]["Properties"]["CodeUri"]["Key"], *key);
        assert_eq!(template["Resources"]["F"]["Properties"]["Handler"], json!({ "Fn::Sub": "a" }));
        assert_eq!(template["Resources"]["G"]["Properties"]["Code"], json!({ "ZipFile": "x" }));
        let kinds: Vec<bool> = package
            .uploads
            .iter()
            .map(|upload| matches!(upload.content, UploadContent::Folder(_)))
            .collect();
        assert_eq!(kinds, [true, false], "the folder once, and the inner template");
        // Another content is another key.
        fs::write(at("code/app.py"), "x = 2").unwrap();
        let changed = super::package(&at("my-app.yaml")).unwrap();
        assert_ne!(changed.template, package.template);
    }

    #[test]
    fn a_template_without_paths_is_sent_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.yaml");
        let text = "# a comment\nResources:\n  T: { Type: AWS::DynamoDB::Table }\n";
        fs::write(&file, text).unwrap();
        assert_eq!(package(&file).unwrap().template, text);
        fs::write(
            &file,
            "Resources:\n  F: { Type: AWS::Lambda::Function, Properties: { Code: nowhere } }\n",
        )
        .unwrap();
        let problems = package(&file).unwrap_err().to_string();
        assert!(problems.contains("F.Code") && problems.contains("nowhere"), "{problems}");
    }
}
