//! Templates in YAML: the same apps as in JSON, and mistakes with their places.

mod support;

use std::fs;
use std::path::Path;

use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, load};
use support::environment_of;

fn load_in(folder: &Path, name: &str, text: &str) -> Result<Loaded, Problems> {
    let file = folder.join(name);
    fs::write(&file, text).expect("written");
    load(&Input::find(&file).expect("a template"), &LoadOptions::default())
}

fn load_text(text: &str) -> Result<Loaded, Problems> {
    load_in(tempfile::tempdir().expect("a folder").path(), "app.yaml", text)
}

fn error(text: &str) -> String {
    load_text(text).expect_err("a problem").to_string()
}

#[test]
fn json_read_as_yaml_is_the_same_app() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/cdk-chat/cdk.out");
    let entries = fs::read_dir(out.join("assembly-dev")).expect("a stage").flatten();
    let template = entries
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with(".template.json"))
        .expect("its template");
    let json = fs::read_to_string(template).expect("it is read");
    let json = json.replace("../asset", &format!("{}/asset", out.display()));
    let dir = tempfile::tempdir().expect("a folder");
    let apps = ["", "--- "].map(|start| {
        let folder = dir.path().join(format!("a{}", start.len()));
        fs::create_dir(&folder).expect("made");
        let loaded = load_in(&folder, "dev-Chat.template", &format!("{start}{json}"));
        let mut loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        for row in &mut loaded.resources {
            row.location.file.clear();
            row.location.position.column = 0;
        }
        (format!("{:#?}", loaded.app), loaded.resources)
    });
    assert!(apps[0].0.contains("FunctionArn"));
    assert_eq!(apps[0], apps[1]);
}

#[test]
fn a_template_with_short_forms_and_anchors_loads() {
    let loaded = load_text(
        r#"
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Stage: { Type: String, Default: Prod }
  Account: { Type: String, Default: 012345678901 }
Mappings:
  Limits: { Prod: { Rate: 500 } }
Conditions:
  IsProd: !Equals [!Ref Stage, Prod]
Resources:
  Fn:
    Type: AWS::Lambda::Function
    Properties: &defaults
      Runtime: python3.12
      Handler: index.handler
      Code: { ZipFile: "x = 1" }
      MemorySize: !If [IsProd, 256, 128]
      Environment:
        Variables:
          RATE: !FindInMap [Limits, !Ref Stage, Rate]
          ACCOUNT: !Ref Account
          GREETING: !Base64 hello
          PATH_OF: !Join [/, [a, !Select [1, !Split [",", "x,y"]]]]
          BLOCK: !Sub |
            ${AWS::Region}
            ${!literal}
          OTHER: !GetAtt Other.Arn
          GONE: !If [IsProd, !Ref "AWS::NoValue", there]
  Other:
    Type: AWS::Lambda::Function
    Properties: { <<: *defaults, Environment: !Ref AWS::NoValue }
"#,
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let environment = environment_of(&loaded);
    let get = |name: &str| environment.get(name).map(String::as_str);
    assert_eq!(get("RATE"), Some("500"));
    assert_eq!(get("ACCOUNT"), Some("012345678901"));
    assert_eq!(get("GREETING"), Some("aGVsbG8="));
    assert_eq!(get("PATH_OF"), Some("a/y"));
    assert_eq!(get("BLOCK"), Some("us-east-1\n${literal}\n"));
    assert!(get("OTHER").is_some_and(|arn| arn.contains(":function:app-Other-")));
    assert_eq!(get("GONE"), None);
    let functions: Vec<_> = loaded.app.functions().collect();
    assert_eq!(functions.len(), 2);
    assert!(functions.iter().all(|function| function.memory_mb == 256));
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems_change_nothing() {
    let yaml = "Resources: {}\nOutputs:\n  O:\n    Value: !Sub |\n      a\n      ${AWS::Region}\n";
    let json = "{\"Resources\": {},\n \"Outputs\": {\"O\": {\"Value\": \"x\"}}}";
    for (text, expected) in [(yaml, "a\nus-east-1\n"), (json, "x")] {
        for text in [text.to_owned(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            let loaded = load_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
            let outputs: Vec<_> =
                loaded.app.stacks.iter().flat_map(|stack| &stack.outputs).collect();
            assert_eq!(
                outputs.first().map(|output| output.value.as_str()),
                Some(expected),
                "{text:?}"
            );
        }
    }
    let text =
        error("Resources:\r\n  T:\r\n    Type: AWS::X::Y\r\n    Properties: { P: !Ref No }\r\n");
    assert!(text.contains("app.yaml:4:"), "{text}");
}

#[test]
fn mistakes_in_yaml_carry_line_and_column() {
    let text =
        error("Resources:\n  T:\n    Type: AWS::X::Y\n    Properties:\n      P: !Ref Nothing\n");
    assert!(text.contains("app.yaml:5:10 (app / T, Properties.P)"), "{text}");
    let twice = error("Resources:\n  T: { Type: A::B::C }\n  T: { Type: A::B::C }\n");
    assert!(twice.contains("this is not YAML: the name \"T\" appears twice"), "{twice}");
    assert!(twice.contains("app.yaml:3:3"), "{twice}");
    let broken = error("Resources: [\n");
    assert!(broken.contains("this is not YAML"), "{broken}");
    // What begins as JSON is JSON, whatever the file is called.
    assert!(error("{Resources: {}}").contains("this is not JSON"));
}
