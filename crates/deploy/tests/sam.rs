//! SAM: templates become what the official transform makes of them, and mistakes are told.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::{Authorization, Code, RouteKey};
use support::{described, same};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A copy of an example, where `template.yaml` is one file or another.
fn example(name: &str, transformed: bool, parameters: &[(&str, &str)]) -> Loaded {
    let folder = here("../../examples").join(name);
    let temporary = tempfile::tempdir().expect("a folder");
    let dir = temporary.path().join(name);
    fs::create_dir(&dir).expect("made");
    for entry in fs::read_dir(&folder).expect("the example").flatten() {
        if entry.path().is_dir() {
            fs::create_dir(dir.join(entry.file_name())).expect("made");
        }
    }
    let template = if transformed {
        here("tests/fixtures").join(format!("{name}.transformed.json"))
    } else {
        folder.join("template.yaml")
    };
    let file = dir.join("template.yaml");
    fs::copy(template, &file).expect("copied");
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = LoadOptions { parameters: parameters.collect(), ..LoadOptions::default() };
    load(&Input::Template(file), &options).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_chat_is_what_the_official_transform_makes_of_it() {
    let parameters = [("StageName", "Test")];
    let ours = example("sam-chat", false, &parameters);
    let theirs = example("sam-chat", true, &parameters);
    same(&described(&ours), &described(&theirs));
    assert_eq!(ours.resources.len(), 19);
    for function in ours.app.functions() {
        assert_eq!((function.memory_mb, function.timeout.as_secs()), (128, 10));
        assert_eq!(function.environment["TABLE_NAME"], "chat_connections");
    }
    let send = ours.app.functions().find(|f| &*f.logical_id == "SendMessageFunction").expect("it");
    assert_eq!(send.environment["GREETING"], "aGVsbG8=");
}

#[test]
fn the_websocket_api_is_what_the_official_transform_makes_of_it() {
    let ours = example("sam-websocketapi", false, &[]);
    let theirs = example("sam-websocketapi", true, &[]);
    same(&described(&ours), &described(&theirs));
    let api = ours.app.apis().next().expect("an API");
    assert_eq!(api.routes().count(), 3);
    assert_eq!(api.routes().filter(|route| route.two_way).count(), 2);
    let connect = api.routes().find(|route| route.key == RouteKey::Connect).expect("$connect");
    assert!(matches!(connect.authorization, Authorization::Custom(_)));
    let (name, stage) = api.stages.iter().next().expect("a stage");
    let throttle = stage.default_settings.throttle.as_ref().expect("a throttle");
    assert_eq!(
        (name.as_str(), format!("{throttle:?}")),
        ("live", "Throttle { rate: 20.0, burst: 40 }".to_owned())
    );
    assert!(ours.app.stacks[0].outputs[0].value.ends_with(".amazonaws.com/live"));
}

#[test]
fn a_little_of_everything_is_what_the_official_transform_makes_of_it() {
    for name in ["sam-all", "sam-more"] {
        compare(name);
    }
}

/// Compares a template with what the official transform made of it.
fn compare(name: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    for package in ["full.zip", "layer.zip", "k"] {
        fs::write(dir.path().join(package), "zip").expect("written");
    }
    let read = |name: &str| {
        let file = dir.path().join("app.yaml");
        fs::copy(here("tests/fixtures").join(name), &file).expect("copied");
        let loaded = load(&Input::Template(file), &LoadOptions::default());
        loaded.unwrap_or_else(|problems| panic!("{problems}"))
    };
    let (ours, theirs) = (read(&format!("{name}.yaml")), read(&format!("{name}.transformed.json")));
    let resources = |loaded: &Loaded| -> BTreeSet<String> {
        let rows = loaded.resources.iter();
        rows.map(|row| {
            format!("{} {} {:?}", without_hash(&row.logical_id, &row.kind), row.kind, row.action)
        })
        .collect()
    };
    assert_eq!(resources(&ours), resources(&theirs));
    // Logical ids with a hash at their end are as long, and name the same.
    let plain = |loaded: &Loaded| -> Vec<String> {
        let lines = described(loaded).into_iter();
        lines
            .filter(|line| !line.contains(" AWS::"))
            .map(|line| line.replace("Commonada12222f9", "Common"))
            .collect()
    };
    same(&plain(&ours), &plain(&theirs));
    let sources = |loaded: &Loaded| -> BTreeSet<String> {
        let sources = loaded.app.stacks.iter().flat_map(|stack| &stack.event_sources);
        sources.map(|source| format!("{source:?}")).collect()
    };
    assert_eq!(sources(&ours), sources(&theirs));
    let domains = |loaded: &Loaded| -> Vec<String> {
        let domains = loaded.app.stacks.iter().flat_map(|stack| &stack.domains);
        domains.map(|domain| format!("{} {:?}", domain.name, domain.mappings)).collect()
    };
    assert_eq!(domains(&ours), domains(&theirs));
}

/// The logical id without the hash that SAM ends some with.
fn without_hash<'i>(id: &'i str, kind: &str) -> &'i str {
    let hashed =
        ["AWS::Lambda::Version", "AWS::ApiGatewayV2::DomainName", "AWS::ApiGateway::Deployment"]
            .contains(&kind)
            || (kind == "AWS::Lambda::LayerVersion" && id.len() > 10);
    let end = if hashed { id.len() - 10 } else { id.len() };
    id.get(..end).expect("letters and digits")
}

/// The app of a template in a folder where these files are.
fn load_in(dir: &Path, template: &str, files: &[(&str, &str)]) -> Result<Loaded, Problems> {
    for (name, text) in files {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    fs::write(dir.join("template.yaml"), template).expect("written");
    load(&Input::find(dir).expect("a template"), &LoadOptions::default())
}

fn error(template: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    load_in(dir.path(), template, &[]).expect_err("a problem").to_string()
}

const ONE: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: src/, Handler: app.handler, Runtime: python3.12 }
";

#[test]
fn code_runs_from_what_sam_build_made_with_the_edited_files_before_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let code = |files: &[(&str, &str)], template: &str| {
        let loaded =
            load_in(dir.path(), template, files).unwrap_or_else(|problems| panic!("{problems}"));
        let function = loaded.app.functions().next().expect("a function").code.clone();
        (function, loaded.notices)
    };
    let (plain, _) = code(&[("src/app.py", "x")], ONE);
    let src = dir.path().join("src").canonicalize().expect("it is there");
    assert!(
        matches!(&plain, Code::Directory { root, source: None } if root.canonicalize().ok().as_ref() == Some(&src)),
        "{plain:?}"
    );
    let bundled =
        ONE.replace("    Properties", "    Metadata: { BuildMethod: esbuild }\n    Properties");
    let (_, notices) = code(&[], &bundled);
    assert!(notices.iter().any(|notice| notice.text.contains("run `sam build`")), "{notices:?}");
    let made = [(".aws-sam/build/Fn/app.py", "x"), (".aws-sam/build/Fn/lib.py", "y")];
    let (built, notices) = code(&made, ONE);
    let Code::Directory { root, source: Some(source) } = &built else { panic!("{built:?}") };
    assert!(root.ends_with(".aws-sam/build/Fn") && source.ends_with("src"), "{built:?}");
    assert_eq!(notices.len(), 0);
    // What was bundled has no file of the author's: it runs as it is.
    let (bundle, _) = code(&[], &bundled);
    assert!(matches!(bundle, Code::Directory { source: None, .. }), "{bundle:?}");
}

#[test]
fn samconfig_names_the_stack_and_gives_parameters() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = "[default.deploy.parameters]\nstack_name = \"mine\"\nregion = \"eu-west-1\"\nparameter_overrides = \"A=given Nobody=x\"\n";
    let template = "Transform: AWS::Serverless-2016-10-31
Parameters: { A: { Type: String } }
Resources: { T: { Type: AWS::Serverless::SimpleTable, Properties: { TableName: !Ref A } } }
";
    let loaded = load_in(dir.path(), template, &[("samconfig.toml", config)])
        .unwrap_or_else(|e| panic!("{e}"));
    let stack = &loaded.app.stacks[0];
    assert_eq!((&*stack.name, stack.region.as_str()), ("mine", "eu-west-1"));
    // What `sam build` made is the same stack.
    let built = dir.path().join(".aws-sam/build");
    fs::create_dir_all(&built).expect("made");
    fs::copy(dir.path().join("template.yaml"), built.join("template.yaml")).expect("copied");
    let input = Input::find(&built).expect("a template");
    let again = load(&input, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(again.app.stacks[0].name, stack.name);
    assert_eq!(stack.tables[0].name, "given");
}

#[test]
fn an_application_beside_the_template_is_a_nested_stack() {
    let dir = tempfile::tempdir().expect("a folder");
    let nested = "Transform: AWS::Serverless-2016-10-31
Parameters: { Name: { Type: String } }
Resources: { T: { Type: AWS::Serverless::SimpleTable, Properties: { TableName: !Ref Name } } }
Outputs: { Table: { Value: !Ref T } }
";
    let template = "Transform: AWS::Serverless-2016-10-31
Resources:
  Data:
    Type: AWS::Serverless::Application
    Properties: { Location: data/template.yaml, Parameters: { Name: things } }
  Shop:
    Type: AWS::Serverless::Application
    Properties: { Location: { ApplicationId: x, SemanticVersion: 1.0.0 } }
Outputs: { Table: { Value: !GetAtt Data.Outputs.Table } }
";
    let loaded = load_in(dir.path(), template, &[("data/template.yaml", nested)])
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(loaded.app.tables().next().expect("a table").name, "things");
    assert_eq!(loaded.app.stacks[1].outputs[0].value, "things");
    assert!(
        loaded
            .notices
            .iter()
            .any(|notice| notice.text.contains("Serverless Application Repository"))
    );
}

#[test]
fn mistakes_in_sam_are_told_with_resource_and_property() {
    let with = |from: &str, to: &str| error(&ONE.replace(from, to));
    for (from, to, expected) in [
        ("CodeUri", "CodeUrl", "AWS::Serverless::Function has no property CodeUrl"),
        (
            "Serverless::Function",
            "Serverless::Funktion",
            "AWS::Serverless::Funktion is not a resource of SAM",
        ),
        (
            "Resources:",
            "Globals: { Function: { Role: x } }\nResources:",
            "Role of a Function cannot be among the `Globals`",
        ),
        (
            "Resources:",
            "Globals: { Table: {} }\nResources:",
            "`Globals` has no properties of a Table",
        ),
        (
            "CodeUri",
            "Policies: [{ NoSuchPolicy: {} }], CodeUri",
            "NoSuchPolicy is not a policy template",
        ),
        (
            "CodeUri",
            "Policies: [{ DynamoDBCrudPolicy: {} }], CodeUri",
            "DynamoDBCrudPolicy needs its parameter TableName",
        ),
        ("CodeUri", "Events: { E: { Type: Carrier } }, CodeUri", "Carrier is not a type of events"),
        ("CodeUri", "Events: { E: {} }, CodeUri", "the event E has no `Type`"),
        ("CodeUri", "AutoPublishAlias: 7, CodeUri", "is not the name of an alias"),
    ] {
        let text = with(from, to);
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("template.yaml:"), "{text}");
    }
    let text = with("CodeUri", "CodeUrl");
    assert!(
        text.contains("template.yaml:5:19") && text.contains("/ Fn, Properties.CodeUrl)"),
        "{text}"
    );
    let ignored = ONE.replace("    Properties", "    IgnoreGlobals: [X]\n    Properties");
    let ignored = error(&ignored.replace("Resources:", "Globals: { Function: {} }\nResources:"));
    assert!(ignored.contains("`Globals` has no X to ignore"), "{ignored}");
    let one_way = "Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      RouteSelectionExpression: $request.body.action
      Routes: { chat: { FunctionArn: arn:aws:lambda:us-east-1:1:function:f, RouteResponseSelectionExpression: $default } }
";
    let dir = tempfile::tempdir().expect("a folder");
    let loaded = load_in(dir.path(), one_way, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(
        loaded.notices.iter().any(|notice| notice.text.contains("what chat returns is not sent"))
    );
    let twice = error(&format!("{ONE}  FnRole: {{ Type: AWS::IAM::Role }}\n"));
    assert!(twice.contains("FnRole is in the template, and SAM makes it too"), "{twice}");
    let api = "Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties: { RouteSelectionExpression: $request.body.action, Routes: { chat: { FunctionArn: x } } }
";
    for (from, to, expected) in [
        ("chat", "chat-room", "has other characters than letters and digits"),
        ("FunctionArn: x", "OperationName: x", "the route chat has no `FunctionArn`"),
        (
            "FunctionArn: x",
            "FunctionArn: x, RequestParameters: {}",
            "only $connect has `RequestParameters`",
        ),
        (", Routes: { chat: { FunctionArn: x } }", "", "a WebSocketApi has `Routes`"),
        (
            "RouteSelectionExpression: $request.body.action, ",
            "",
            "has a `RouteSelectionExpression`",
        ),
        ("Routes", "StageName: $default, Routes", "cannot be $default"),
        ("Routes", "Auth: { AuthType: NONE }, Routes", "needs a route $connect"),
        (
            "Routes: {",
            "Auth: { AuthType: CUSTOM }, Routes: { $connect: { FunctionArn: x },",
            "needs an `AuthArn`",
        ),
        (
            "Routes: {",
            "Auth: { AuthType: JWT }, Routes: { $connect: { FunctionArn: x },",
            "NONE, AWS_IAM or CUSTOM",
        ),
    ] {
        let text = error(&api.replace(from, to));
        assert!(text.contains(expected), "{text}");
    }
}
