//! Cloud assemblies: manifests, assets, nested stacks, and stacks that need each other.

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::Code;

use support::{environment_of, error, table, with_environment};

/// Writes an assembly with one stack per template, in this order; each depends on the one before.
fn assembly(dir: &Path, version: &str, templates: &[(&str, Value)]) {
    let mut artifacts = serde_json::Map::new();
    artifacts.insert(
        "Tree".to_owned(),
        json!({ "type": "cdk:tree", "properties": { "file": "tree.json" } }),
    );
    artifacts.insert("New".to_owned(), json!({ "type": "cdk:something-new" }));
    let mut before: Option<&str> = None;
    for (name, template) in templates {
        fs::write(dir.join(format!("{name}.template.json")), template.to_string())
            .expect("written");
        let artifact = json!({ "type": "aws:cloudformation:stack", "displayName": name, "unknown": 1,
            "environment": "aws://111111111111/eu-west-1", "dependencies": before.into_iter().collect::<Vec<_>>(),
            "properties": { "templateFile": format!("{name}.template.json") } });
        artifacts.insert((*name).to_owned(), artifact);
        before = Some(name);
    }
    let manifest = json!({ "version": version, "artifacts": artifacts });
    fs::write(dir.join("manifest.json"), manifest.to_string()).expect("written");
}

fn load_folder(dir: &Path, options: &LoadOptions) -> Result<Loaded, Problems> {
    load(&Input::find(dir).expect("an assembly"), options)
}

fn exporter() -> Value {
    json!({ "Resources": { "Table": table() },
        "Outputs": { "Out": { "Value": { "Ref": "Table" }, "Export": { "Name": { "Fn::Sub": "${AWS::StackName}:T" } } } } })
}

fn importer() -> Value {
    with_environment(&json!({ "TABLE": { "Fn::ImportValue": "Shared:T" } }), &json!({}))
}

#[test]
fn exports_reach_the_stacks_that_import_them_and_come_along_when_those_are_chosen() {
    let dir = tempfile::tempdir().expect("a folder");
    assembly(dir.path(), "55.0.0", &[("Shared", exporter()), ("Sink", importer())]);
    let options = LoadOptions { stacks: vec!["Sink".to_owned()], ..LoadOptions::default() };
    let loaded = load_folder(dir.path(), &options).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<_> = loaded.app.stacks.iter().map(|stack| stack.name.as_ref()).collect();
    assert_eq!(names, ["Shared", "Sink"]);
    assert_eq!(environment_of(&loaded)["TABLE"], "t");
    assert_eq!(loaded.app.stacks[0].region, "eu-west-1");
    let alone = error(&importer());
    assert!(alone.contains("no stack exports Shared:T"), "{alone}");
}

#[test]
fn a_newer_schema_warns_and_still_loads() {
    let dir = tempfile::tempdir().expect("a folder");
    assembly(dir.path(), "99.0.0", &[("Shared", exporter())]);
    let loaded = load_folder(dir.path(), &LoadOptions::default()).expect("it loads");
    assert_eq!(loaded.app.tables().count(), 1);
    assert!(loaded.notices[0].text.contains("schema 99.0.0"), "{:?}", loaded.notices);
}

#[test]
fn a_truncated_manifest_is_one_clear_problem() {
    let dir = tempfile::tempdir().expect("a folder");
    for text in ["", "{\"version\": \"55", "{}x"] {
        fs::write(dir.path().join("manifest.json"), text).expect("written");
        let problems = load_folder(dir.path(), &LoadOptions::default()).expect_err("a problem");
        assert_eq!(problems.iter().count(), 1, "{problems}");
        assert!(problems.to_string().contains("manifest.json:1:"), "{problems}");
    }
}

#[test]
fn a_missing_asset_names_function_hash_and_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut template = with_environment(&json!({}), &json!({}));
    template["Resources"]["Fn"]["Properties"]["Code"] =
        json!({ "S3Bucket": "b", "S3Key": "abc123.zip" });
    assembly(dir.path(), "55.0.0", &[("App", template)]);
    let assets = |path: &str| {
        let manifest = json!({ "files": { "abc123": { "source": { "path": path, "packaging": "zip" },
            "destinations": { "d": { "bucketName": "b", "objectKey": "abc123.zip" } } } } });
        fs::write(dir.path().join("App.assets.json"), manifest.to_string()).expect("written");
    };
    assets("asset.abc123");
    let text = load_folder(dir.path(), &LoadOptions::default()).expect_err("a problem").to_string();
    assert!(
        text.contains("asset.abc123 does not exist")
            && text.contains("(App / Fn, Properties.Code)"),
        "{text}"
    );
    // A zip is run as an archive.
    fs::write(dir.path().join("asset.abc123.zip"), "zip").expect("written");
    assets("asset.abc123.zip");
    let loaded = load_folder(dir.path(), &LoadOptions::default()).expect("it loads");
    let code = &loaded.app.functions().next().expect("a function").code;
    assert!(matches!(code, Code::Archive(path) if path.ends_with("asset.abc123.zip")), "{code:?}");
}

#[test]
fn nested_stacks_pass_parameters_down_and_outputs_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let nested = json!({ "Parameters": { "Suffix": { "Type": "String" } },
        "Resources": { "Members": { "Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": { "Fn::Sub": "members-${Suffix}" },
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } } },
        "Outputs": { "Name": { "Value": { "Ref": "Members" } } } });
    fs::write(dir.path().join("n.nested.template.json"), nested.to_string()).expect("written");
    let manifest = json!({ "files": { "h": { "source": { "path": "n.nested.template.json", "packaging": "file" },
        "destinations": { "d": { "bucketName": "b", "objectKey": "h.json" } } } } });
    fs::write(dir.path().join("App.assets.json"), manifest.to_string()).expect("written");
    let template = with_environment(
        &json!({ "TABLE": { "Fn::GetAtt": ["Storage", "Outputs.Name"] } }),
        &json!({ "Storage": { "Type": "AWS::CloudFormation::Stack", "Properties": {
            "TemplateURL": { "Fn::Join": ["", ["https://s3.", { "Ref": "AWS::Region" }, "/b/h.json"]] },
            "Parameters": { "Suffix": { "Ref": "AWS::StackName" } } } } }),
    );
    assembly(dir.path(), "55.0.0", &[("App", template)]);
    let loaded = load_folder(dir.path(), &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(environment_of(&loaded)["TABLE"], "members-App");
    let displays: Vec<_> = loaded.app.stacks.iter().map(|s| s.display_name.as_str()).collect();
    assert_eq!(displays, ["App/Storage", "App"]);
}

#[test]
fn nested_stacks_that_read_each_others_outputs_are_told_with_their_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let nested = json!({ "Parameters": { "In": { "Type": "String" } }, "Resources": {},
        "Outputs": { "Out": { "Value": { "Ref": "In" } } } });
    fs::write(dir.path().join("nested.json"), nested.to_string()).expect("written");
    let stack = |other: &str| {
        json!({ "Type": "AWS::CloudFormation::Stack", "Properties": { "TemplateURL": "nested.json",
            "Parameters": { "In": { "Fn::GetAtt": [other, "Outputs.Out"] } } } })
    };
    let template = json!({ "Resources": { "One": stack("Two"), "Two": stack("One") } });
    assembly(dir.path(), "55.0.0", &[("App", template)]);
    let text = load_folder(dir.path(), &LoadOptions::default()).expect_err("a problem").to_string();
    assert!(
        text.contains("App/Two: Outputs.Out -> App/Two: In -> App/One: Outputs.Out -> App/One: In"),
        "{text}"
    );
}

#[test]
fn an_app_that_needs_look_ups_says_what_to_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest =
        json!({ "version": "55.0.0", "missing": [{ "key": "vpc-provider:x" }], "artifacts": {} });
    fs::write(dir.path().join("manifest.json"), manifest.to_string()).expect("written");
    let text = load_folder(dir.path(), &LoadOptions::default()).expect_err("a problem").to_string();
    assert!(text.contains("vpc-provider:x") && text.contains("run `cdk synth` once"), "{text}");
}
