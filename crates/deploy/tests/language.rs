//! What the template language can do with macros and with values from outside.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::DeletionPolicy;
use support::{environment_of, try_load, with_environment};

fn load_with(folder: &Path, text: &str, options: &LoadOptions) -> Result<Loaded, Problems> {
    let file = folder.join("app.yaml");
    fs::write(&file, text).expect("written");
    load(&Input::Template(file), options)
}

fn load_text(text: &str) -> Loaded {
    let dir = tempfile::tempdir().expect("a folder");
    load_with(dir.path(), text, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn error(text: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    load_with(dir.path(), text, &LoadOptions::default()).expect_err("a problem").to_string()
}

const LOOP: &str = r#"
Transform: AWS::LanguageExtensions
Parameters:
  Keys: { Type: CommaDelimitedList, Default: "$connect,$disconnect,chat" }
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: { ProtocolType: WEBSOCKET, Name: chat }
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: { ApiId: !Ref Api, StageName: live, AutoDeploy: true }
  Fn::ForEach::Routes:
    - Key
    - !Ref Keys
    - "Route&{Key}":
        Type: AWS::ApiGatewayV2::Route
        Properties:
          ApiId: !Ref Api
          RouteKey: !Ref Key
          OperationName: !Sub "Op-${Key}"
          Target: !Join [/, [integrations, !Ref "Integration&{Key}"]]
      "Integration&{Key}":
        Type: AWS::ApiGatewayV2::Integration
        Properties: { ApiId: !Ref Api, IntegrationType: MOCK }
Outputs:
  Fn::ForEach::Outs:
    - Key
    - [one, two]
    - "Out${Key}": { Value: !Sub "${Key}-${AWS::Region}" }
"#;

#[test]
fn a_loop_over_three_route_keys_makes_three_routes_and_integrations() {
    let loaded = load_text(LOOP);
    let api = loaded.app.apis().next().expect("an API");
    let mut keys: Vec<String> = api.routes().map(|route| route.key.to_string()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["$connect", "$disconnect", "chat"]);
    assert!(api.routes().all(|route| route.integration.is_some()));
    let count = |kind: &str| loaded.resources.iter().filter(|row| row.kind.ends_with(kind)).count();
    assert_eq!((count("::Route"), count("::Integration")), (3, 3));
    let outputs: Vec<_> = loaded.app.stacks[0].outputs.iter().map(|o| o.value.as_str()).collect();
    assert_eq!(outputs, ["one-us-east-1", "two-us-east-1"]);
    assert_eq!(loaded.notices, []);
}

#[test]
fn loops_stand_in_loops_and_in_properties() {
    let loaded = load_text(
        r#"
Transform: [AWS::LanguageExtensions]
Mappings: { Names: { All: { List: [a, b] } } }
Resources:
  Fn::ForEach::Outer:
    - X
    - !FindInMap [Names, All, List]
    - Fn::ForEach::Inner:
        - Y
        - ["1", "${X}2"]
        - "F${X}${Y}":
            Type: AWS::Lambda::Function
            Properties:
              Runtime: python3.12
              Handler: index.handler
              Code: { ZipFile: x }
              Environment:
                Variables:
                  Fn::ForEach::Vars: [V, [P, Q], { "V_${V}": "${X}${Y}${V}" }]
                  JSON: !ToJsonString { a: [!Ref X] }
                  LENGTH: !Length [1, 2, 3]
"#,
    );
    let ids: Vec<_> = loaded.app.functions().map(|f| f.logical_id.to_string()).collect();
    assert_eq!(ids, ["Fa1", "Faa2", "Fb1", "Fbb2"]);
    let environment = environment_of(&loaded);
    assert_eq!(environment["V_P"], "a1P");
    assert_eq!(environment["JSON"], r#"{"a":["a"]}"#);
    assert_eq!(environment["LENGTH"], "3");
}

#[test]
fn mistakes_in_loops_are_told_with_their_place() {
    let with = |head: &str| LOOP.replace("    - !Ref Keys\n", &format!("    - {head}\n"));
    let text = error(&with("!Ref Api"));
    assert!(text.contains("no resource or parameter is named Api"), "{text}");
    assert!(text.contains("app.yaml:14:"), "{text}");
    assert!(text.contains("must be known before there are resources"), "{text}");
    assert!(error(&with("[a, a]")).contains("the loop makes the name Routea twice"));
    assert!(error(&with("text")).contains("a loop goes over a list"));
    assert!(error(&with("[[a]]")).contains("a loop goes over texts, not a list"));
    let malformed = error(&LOOP.replace("    - !Ref Keys\n", ""));
    assert!(malformed.contains("[identifier, collection, body] is expected here"), "{malformed}");
}

#[test]
fn a_loop_that_would_fill_the_memory_is_stopped() {
    let items = (0..900).map(|index| format!("x{index}"));
    let items = items.collect::<Vec<_>>().join(",");
    let mut body = "{}".to_owned();
    for name in ["D", "C", "B", "A"] {
        body = format!("{{\"Fn::ForEach::{name}\": [\"{name}\", [{items}], {body}]}}");
    }
    let text = error(&format!("Transform: AWS::LanguageExtensions\nResources: {body}"));
    assert!(text.contains("its loops repeat too much"), "{}", text.get(..400).unwrap_or(&text));
}

#[test]
fn extensions_without_their_macro_work_and_are_warned_about() {
    let loaded = load_text(&LOOP.replace("Transform: AWS::LanguageExtensions", ""));
    assert_eq!(loaded.app.apis().next().expect("an API").routes().count(), 3);
    let text = format!("{:?}", loaded.notices);
    assert!(text.contains("Transform: AWS::LanguageExtensions"), "{text}");
}

#[test]
fn includes_are_put_in_at_the_top_and_below() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("top.yaml"), "Outputs:\n  FromTop: { Value: !Ref AWS::Region }\n")
        .unwrap();
    fs::write(dir.path().join("vars.json"), r#"{"B2": "2", "C3": {"Ref": "AWS::Region"}}"#)
        .unwrap();
    let text = r#"
Transform:
  Name: AWS::Include
  Parameters: { Location: ./top.yaml }
Parameters:
  Where: { Type: String, Default: vars.json }
Outputs:
  Own: { Value: x }
Resources:
  Fn:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Code: { ZipFile: x }
      Environment:
        Variables:
          A1: "1"
          Fn::Transform:
            Name: AWS::Include
            Parameters: { Location: !Sub "s3://bucket/some/${Where}" }
"#;
    let loaded =
        load_with(dir.path(), text, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let expected =
        [("A1", "1"), ("B2", "2"), ("C3", "us-east-1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(environment_of(&loaded), BTreeMap::from(expected));
    let outputs: Vec<_> = loaded.app.stacks[0].outputs.iter().map(|o| o.key.as_str()).collect();
    assert_eq!(outputs, ["FromTop", "Own"]);
    let gone =
        load_with(dir.path(), &text.replace("top.yaml", "none.yaml"), &LoadOptions::default());
    let gone = gone.expect_err("a problem").to_string();
    assert!(gone.contains("none.yaml, which is included here, does not exist"), "{gone}");
    assert!(gone.contains("app.yaml:3:"), "{gone}");
}

#[test]
fn a_macro_of_the_account_is_named_as_not_known() {
    let text = error("Transform: Mine\nResources: {}\n");
    assert!(
        text.contains("the macro Mine is not known here") && text.contains("app.yaml:1:12"),
        "{text}"
    );
    let below =
        error("Resources:\n  T: { Type: A::B::C, Properties: { P: !Transform { Name: Mine } } }\n");
    assert!(below.contains("Fn::Transform runs a macro"), "{below}");
}

#[test]
fn functions_may_say_a_deletion_policy_and_what_is_none_is_refused() {
    let text = r"
Transform: AWS::LanguageExtensions
Parameters: { Policy: { Type: String, Default: Retain } }
Resources:
  T:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: !Ref Policy
    Properties:
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
";
    let policy = |loaded: &Loaded| loaded.app.tables().next().expect("a table").deletion_policy;
    assert_eq!(policy(&load_text(text)), DeletionPolicy::Retain);
    assert_eq!(policy(&load_text(&text.replace("Retain", "Delete"))), DeletionPolicy::Delete);
    assert!(error(&text.replace("Retain", "Keep")).contains("\"Keep\" is not a deletion policy"));
}

#[test]
fn a_parameters_value_is_held_against_all_that_its_declaration_says() {
    let mut template = with_environment(&json!({ "VALUE": { "Ref": "P" } }), &json!({}));
    let mut refused = |declaration: serde_json::Value, value: &str| {
        template["Parameters"] = json!({ "P": declaration });
        if !template["Parameters"]["P"]["Type"].is_string() {
            template["Parameters"]["P"]["Type"] = "String".into();
        }
        match try_load(&template, &[("P", value)]) {
            Ok(_) => String::new(),
            Err(problems) => problems.iter().next().expect("one").message.clone(),
        }
    };
    let pattern = json!({ "AllowedPattern": "[A-Z]+", "ConstraintDescription": "capitals only" });
    assert_eq!(refused(pattern.clone(), "ABC"), "");
    assert_eq!(
        refused(pattern, "xABC"),
        "the parameter P is xABC; it has the pattern [A-Z]+: capitals only"
    );
    let length = json!({ "MinLength": 3, "MaxLength": "5" });
    assert_eq!(refused(length.clone(), "abc"), "");
    assert_eq!(refused(length, "äb"), "the parameter P is äb; it may have 3 to 5 characters");
    let number = json!({ "Type": "Number", "MinValue": 1, "MaxValue": 10 });
    assert_eq!(refused(number.clone(), "10"), "");
    assert_eq!(refused(number.clone(), "11"), "the parameter P is 11; it may be 1 to 10");
    assert_eq!(refused(number, "x"), "the parameter P is x; it is a number");
    let list = json!({ "Type": "List<Number>", "MaxValue": 3 });
    assert_eq!(refused(list, "1, 4"), "the parameter P is 4; it may be 3 or less");
    let allowed = json!({ "Type": "CommaDelimitedList", "AllowedValues": ["a", "b"] });
    assert_eq!(refused(allowed, "a, c"), "the parameter P is c; it may be a, b");
    let secret = json!({ "NoEcho": true, "MinLength": 9 });
    assert_eq!(
        refused(secret, "hunter2"),
        "the parameter P is ****; it may have 9 or more characters"
    );
    let unreadable = json!({ "AllowedPattern": "(?=x)x" });
    assert_eq!(refused(unreadable, "y"), "");
}

#[test]
fn parameters_come_from_a_file_and_the_command_line_comes_before_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("parameters.json");
    let text = r#"
Parameters: { A: { Type: String }, B: { Type: String, Default: d } }
Resources: {}
Outputs: { O: { Value: !Sub "${A}${B}" } }
"#;
    let mut options = LoadOptions { parameters_file: Some(file.clone()), ..LoadOptions::default() };
    fs::write(&file, r#"[{"ParameterKey": "A", "ParameterValue": "1"}, {"ParameterKey": "B", "ParameterValue": "2"}]"#).unwrap();
    let value = |options: &LoadOptions| {
        load_with(dir.path(), text, options)
            .map(|loaded| loaded.app.stacks[0].outputs[0].value.clone())
    };
    assert_eq!(value(&options).expect("it loads"), "12");
    options.parameters.insert("B".to_owned(), "9".to_owned());
    assert_eq!(value(&options).expect("it loads"), "19");
    fs::write(&file, r#"{"Nobody": "x"}"#).unwrap();
    let problem = value(&options).expect_err("a problem").to_string();
    assert!(problem.contains("no template has a parameter Nobody"), "{problem}");
    fs::write(&file, r#"{"A": "#).unwrap();
    let problem = value(&options).expect_err("a problem").to_string();
    assert!(problem.contains("parameters.json:1:7"), "{problem}");
}

#[test]
fn dynamic_references_read_the_persons_file_and_the_templates_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("secrets.yaml");
    fs::write(&file, "ssm: { /motd: hello, /names: [a, b] }\nsecretsmanager: { chat/pw: sesame, chat/keys: { api: k1 } }\n").unwrap();
    let text = r#"
Parameters:
  Motd: { Type: AWS::SSM::Parameter::Value<String>, Default: /motd }
  Names: { Type: AWS::SSM::Parameter::Value<List<String>>, Default: /names }
Resources:
  Own: { Type: AWS::SSM::Parameter, Properties: { Name: /own, Type: String, Value: mine } }
  Made:
    Type: AWS::SecretsManager::Secret
    Properties:
      GenerateSecretString: { SecretStringTemplate: '{"user": "u"}', GenerateStringKey: password, PasswordLength: 12, ExcludePunctuation: true }
  Fn:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Code: { ZipFile: x }
      Environment:
        Variables:
          MOTD: !Ref Motd
          NAME: !Join ["", !Ref Names]
          SSM: "<{{resolve:ssm:/motd:3}}>"
          SECURE: "{{resolve:ssm-secure:/motd}}"
          OWN: "{{resolve:ssm:/own}}"
          PW: "{{resolve:secretsmanager:chat/pw:SecretString:::}}"
          KEY: "{{resolve:secretsmanager:chat/keys:SecretString:api}}"
          ARN: "{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:000000000000:secret:chat/pw-aB3dE5}}"
          MADE: !Sub "{{resolve:secretsmanager:${Made}:SecretString:password}}"
          USER: !Join ["", ["{{resolve:secretsmanager:", !Ref Made, ":SecretString:user::}}"]]
          GONE: "{{resolve:secretsmanager:chat/none:SecretString:::}}"
"#;
    let options = LoadOptions { secrets_file: Some(file), ..LoadOptions::default() };
    let read = |options: &LoadOptions| {
        load_with(dir.path(), text, options).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let loaded = read(&options);
    let environment = environment_of(&loaded);
    let get = |name: &str| environment[name].as_str();
    for (name, value) in [
        ("MOTD", "hello"),
        ("NAME", "ab"),
        ("SSM", "<hello>"),
        ("SECURE", "hello"),
        ("OWN", "mine"),
        ("PW", "sesame"),
        ("KEY", "k1"),
        ("ARN", "sesame"),
        ("USER", "u"),
        ("GONE", ""),
    ] {
        assert_eq!(get(name), value, "{name}");
    }
    assert!(get("MADE").len() == 12 && get("MADE").chars().all(|c| c.is_ascii_alphanumeric()));
    assert_eq!(get("MADE"), environment_of(&read(&options))["MADE"], "the same at every start");
    let told: Vec<_> = loaded.notices.iter().map(|notice| notice.text.as_str()).collect();
    let gone =
        "{{resolve:secretsmanager:chat/none:SecretString:::}} has no value here; it is empty";
    assert!(told.contains(&gone), "{told:?}");
    assert!(!format!("{told:?}").contains("sesame"));
    assert!(format!("{told:?}").contains("ssm-secure:…}} cannot stand in a resource of this type"));
    // Without the file, all that it held is empty, and named.
    let loaded = read(&LoadOptions::default());
    assert_eq!(environment_of(&loaded)["PW"], "");
    assert!(format!("{:?}", loaded.notices).contains("--secrets FILE"));
}

#[test]
fn an_unknown_kind_of_dynamic_reference_is_refused() {
    let text =
        error("Resources:\n  T: { Type: A::B::C, Properties: { P: \"{{resolve:vault:x}}\" } }\n");
    assert!(text.contains("is not a dynamic reference"), "{text}");
}
