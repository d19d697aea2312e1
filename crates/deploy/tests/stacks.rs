//! Stacks that deploy tools send: templates as texts, assets as uploads, and what is read of both.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use stillwire_deploy::{
    LoadOptions, Loaded, Objects, Problems, StackSource, load_stacks, summarize,
};
use stillwire_model::Code;
use tempfile::TempDir;

/// A bucket `assets` in a folder.
#[derive(Debug)]
struct Bucket(PathBuf);

impl Objects for Bucket {
    fn find(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let path = self.0.join(key.replace('/', "-"));
        (["", "assets"].contains(&bucket) && path.is_file()).then_some(path)
    }
}

fn bucket(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn stack(name: &str, template: &Value, parameters: &[(&str, &str)], objects: &Path) -> StackSource {
    let given = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    StackSource {
        name: name.to_owned(),
        account: "999999999999".to_owned(),
        region: "eu-west-1".to_owned(),
        template: template.to_string().into(),
        parameters: given.collect(),
        objects: Arc::new(Bucket(objects.to_owned())),
    }
}

fn load(stacks: &[StackSource]) -> Result<Loaded, Problems> {
    load_stacks(stacks, &LoadOptions::default())
}

fn function(code: &Value) -> Value {
    json!({ "Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "python3.12", "Handler": "a.handler", "Code": code } })
}

#[test]
fn code_is_what_was_uploaded_and_never_a_file_of_this_machine() {
    let objects = bucket(&[("code.zip", "zip")]);
    let at = |code: &Value| {
        let template = json!({ "Resources": { "F": function(code) } });
        load(&[stack("s", &template, &[], objects.path())])
    };
    let loaded = at(&json!({ "S3Bucket": "assets", "S3Key": "code.zip" })).unwrap();
    let code = &loaded.app.functions().next().unwrap().code;
    assert_eq!(*code, Code::Archive(objects.path().join("code.zip")));
    let missing = at(&json!({ "S3Bucket": "assets", "S3Key": "/etc/passwd" })).unwrap_err();
    assert!(missing.to_string().contains("upload it first"), "{missing}");
    assert!(at(&json!(objects.path().join("code.zip"))).is_err(), "a path");
}

#[test]
fn a_nested_stack_is_what_was_uploaded_and_stands_in_the_reading_of_its_parent() {
    let inner = json!({ "Parameters": { "Name": { "Type": "String" } },
        "Resources": { "T": { "Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "Properties": {
            "TableName": { "Ref": "Name" }, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }] } } },
        "Outputs": { "Table": { "Value": { "Ref": "T" } } } });
    let objects = bucket(&[("some-inner.json", &inner.to_string())]);
    let outer = json!({ "Description": "outer", "Resources": { "Inner": {
            "Type": "AWS::CloudFormation::Stack", "Properties": {
                "TemplateURL": "https://s3.eu-west-1.amazonaws.com/assets/some/inner.json",
                "Parameters": { "Name": "rooms" } } } },
        "Outputs": { "Name": { "Value": { "Fn::GetAtt": ["Inner", "Outputs.Table"] },
            "Description": "which", "Export": { "Name": "the-table" } } } });
    let loaded = load(&[stack("outer", &outer, &[], objects.path())]).unwrap();
    let reading = loaded.reading("outer").unwrap();
    assert_eq!(reading.description.as_deref(), Some("outer"));
    let output = &reading.outputs[0];
    assert_eq!((output.value.as_str(), output.export.as_deref()), ("rooms", Some("the-table")));
    let nested = &reading.nested["Inner"];
    assert_eq!(
        nested.request.parameters,
        BTreeMap::from([("Name".to_owned(), "rooms".to_owned())])
    );
    assert!(nested.request.template.contains("KeySchema"));
    let table = &nested.reading.resources[0];
    assert_eq!((table.physical_id.as_str(), table.is_retained), ("rooms", true));
    assert_eq!(table.fingerprints["Properties.TableName"], "\"rooms\"");
    assert_eq!(*nested.request.id, *reading.resources[0].physical_id);
}

#[test]
fn imports_come_from_stacks_beside_it_or_from_elsewhere() {
    let objects = bucket(&[]);
    let importer = json!({ "Resources": { "P": { "Type": "AWS::SSM::Parameter", "Properties": {
        "Type": "String", "Value": { "Fn::ImportValue": "name" } } } } });
    let exporter = json!({ "Resources": {}, "Outputs": {
        "O": { "Value": "beside", "Export": { "Name": "name" } } } });
    let importer = stack("importer", &importer, &[], objects.path());
    let value = |loaded: &Loaded| loaded.resources[0].properties.0["Value"].clone();
    let alone = load(std::slice::from_ref(&importer)).unwrap_err().to_string();
    assert!(alone.contains("no stack exports name"), "{alone}");
    let both =
        load(&[importer.clone(), stack("exporter", &exporter, &[], objects.path())]).unwrap();
    assert_eq!(value(&both), "beside");
    assert_eq!(both.reading("importer").unwrap().imports, ["name"]);
    let exports = BTreeMap::from([("name".to_owned(), "elsewhere".to_owned())]);
    let options = LoadOptions { exports, ..LoadOptions::default() };
    assert_eq!(value(&load_stacks(&[importer], &options).unwrap()), "elsewhere");
}

#[test]
fn parameters_are_read_with_what_they_lead_to_and_unknown_ones_are_refused() {
    let objects = bucket(&[]);
    let template = json!({ "Resources": {}, "Parameters": {
        "BootstrapVersion": { "Type": "AWS::SSM::Parameter::Value<String>",
            "Default": "/cdk-bootstrap/hnb659fds/version" },
        "Secret": { "Type": "String", "NoEcho": true, "Default": "x" } } });
    let reading = load(&[stack("s", &template, &[("Secret", "y")], objects.path())]).unwrap();
    let reading = reading.reading("s").unwrap();
    let [version, secret] = reading.parameters.as_slice() else { panic!("two parameters") };
    assert_eq!(version.value, "/cdk-bootstrap/hnb659fds/version");
    assert!(version.resolved.is_some());
    assert_eq!((secret.value.as_str(), secret.no_echo), ("y", true));
    let unknown = load(&[stack("s", &template, &[("Other", "1")], objects.path())]).unwrap_err();
    assert!(unknown.to_string().contains("[Other] do not exist in the template"), "{unknown}");
}

#[test]
fn a_template_says_what_it_is_before_anything_is_resolved() {
    let text = json!({ "Description": "d", "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": { "P": { "Type": "Number", "AllowedValues": [1, 2] } },
        "Resources": { "R": { "Type": "AWS::Foo::Bar", "Properties": { "A": { "Ref": "Nothing" } } } } });
    let summary = summarize(&text.to_string()).unwrap();
    assert_eq!(summary.description.as_deref(), Some("d"));
    assert_eq!(summary.parameters[0].allowed_values, ["1", "2"]);
    assert_eq!(summary.resources, [("R".to_owned(), "AWS::Foo::Bar".to_owned())]);
    assert_eq!(summary.transforms, ["AWS::Serverless-2016-10-31"]);
    assert!(summarize("[]").is_err());
    assert!(summarize("{").is_err());
}
