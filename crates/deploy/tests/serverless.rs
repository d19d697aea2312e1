//! The Serverless Framework: `serverless.yml` is the template that the framework makes of it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use stillwire_deploy::{Action, Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::{Authorization, Code, RouteKey};
use support::{described, environment_of, row, same};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load_dir(dir: &Path, options: &LoadOptions) -> Result<Loaded, Problems> {
    load(&Input::find(dir).expect("a service"), options)
}

/// A copy of the example in `dir`.
fn copy(dir: &Path) {
    let example = here("../../examples/serverless-chat");
    fs::create_dir_all(dir.join("src")).expect("made");
    for file in ["serverless.yml", "src/chat.js", "src/authorizer.js"] {
        fs::copy(example.join(file), dir.join(file)).expect("copied");
    }
}

#[test]
fn services_are_what_the_framework_packages() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&dir.path().join("ours/chat"));
    compare(dir.path(), "chat");
    let shop = dir.path().join("ours/shop");
    fs::create_dir_all(&shop).expect("made");
    fs::copy(here("tests/fixtures/serverless-shop.yml"), shop.join("serverless.yml"))
        .expect("copied");
    fs::write(shop.join("app.py"), "").expect("written");
    compare(dir.path(), "shop");
}

/// Compares the service `ours/NAME` in `dir` with what the framework packaged of it.
fn compare(dir: &Path, name: &str) {
    let (source, packaged) = (dir.join("ours").join(name), dir.join("theirs").join(name));
    let ours = load_dir(&source, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    fs::create_dir_all(packaged.join(".serverless")).expect("made");
    for entry in fs::read_dir(&source).expect("a service").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), packaged.join(entry.file_name())).expect("copied");
        }
    }
    if name == "chat" {
        copy(&packaged);
    }
    let package = fs::read(here(&format!("tests/fixtures/serverless-{name}.packaged.json")));
    let to = packaged.join(".serverless/cloudformation-template-update-stack.json");
    fs::write(&to, package.expect("read")).expect("written");
    let theirs = load_dir(&packaged, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    assert!(theirs.resources.iter().all(|row| row.location.file == to));
    let plain = |loaded: &Loaded| -> Vec<String> {
        let lines = described(loaded).into_iter();
        lines
            .filter(|line| !line.contains(" AWS::") && !line.contains(" Custom::"))
            .filter(|line| !line.starts_with("[Output") && !line.contains("CustomResources"))
            .collect()
    };
    same(&plain(&ours), &plain(&theirs));
    // Versions and deployments end with hashes. What is left out is where packages are uploaded, what lets API
    // Gateway write logs, and parts of an HTTP API, which is not served here.
    let rows = |loaded: &Loaded| -> BTreeSet<String> {
        let rows = loaded.resources.iter().filter(|row| {
            let id = row.logical_id.as_str();
            !["ServerlessDeployment", "CustomApi", "CustomDash", "IamRoleCustom", "HttpApi"]
                .iter()
                .any(|start| id.starts_with(start))
                && !id.ends_with("PermissionHttpApi")
        });
        rows.map(|row| {
            let id = ["LambdaVersion", "WebsocketsDeployment"]
                .iter()
                .find_map(|word| Some(row.logical_id.split_once(word)?.0.to_owned() + word))
                .filter(|_| row.kind != "AWS::ApiGatewayV2::Stage");
            let id = id.unwrap_or_else(|| row.logical_id.clone());
            format!("{id} {} {:?}", row.kind, row.action)
        })
        .collect()
    };
    assert_eq!(rows(&ours), rows(&theirs));
    assert_eq!(row(&theirs, "ServerlessDeploymentBucket").action, Action::Skipped);
    let values = |loaded: &Loaded| -> BTreeMap<String, String> {
        let outputs = loaded.app.stacks.iter().flat_map(|stack| &stack.outputs);
        let outputs = outputs.filter(|output| {
            !output.key.starts_with("ServerlessDeployment") && !output.key.starts_with("HttpApi")
        });
        outputs.map(|output| (output.key.clone(), output.value.clone())).collect()
    };
    assert_eq!(values(&ours), values(&theirs));
    let sources = |loaded: &Loaded| -> BTreeSet<String> {
        let sources = loaded.app.stacks.iter().flat_map(|stack| &stack.event_sources);
        sources.map(|source| format!("{source:?}")).collect()
    };
    assert_eq!(sources(&ours), sources(&theirs));
}

#[test]
fn four_routes_share_three_integrations_and_only_connect_is_authorized() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(dir.path());
    let options = LoadOptions {
        stage: Some("test".to_owned()),
        environment: [("CHAT_SECRET".to_owned(), "hunter2".to_owned())].into(),
        ..LoadOptions::default()
    };
    let loaded = load_dir(dir.path(), &options).unwrap_or_else(|problems| panic!("{problems}"));
    let api = loaded.app.apis().next().expect("an API");
    assert_eq!(api.routes().count(), 4);
    let integrations: BTreeSet<_> =
        api.routes().filter_map(|route| Some(route.integration.as_ref()?.id.clone())).collect();
    assert_eq!(integrations.len(), 3);
    for route in api.routes() {
        let authorized = matches!(route.authorization, Authorization::Custom(_));
        assert_eq!(authorized, route.key == RouteKey::Connect);
        assert_eq!(route.two_way, route.key == RouteKey::Default);
    }
    assert_eq!(&*loaded.app.stacks[0].name, "serverless-chat-test");
    assert_eq!(
        loaded.app.tables().next().expect("a table").name,
        "serverless-chat-test-connections"
    );
    let chat = loaded.app.functions().find(|f| &*f.logical_id == "ChatLambdaFunction").expect("it");
    assert_eq!(chat.environment["SECRET"], "hunter2");
    assert!(chat.environment["ENDPOINT"].ends_with("/test"));
    assert_eq!(chat.name(), "serverless-chat-test-chat");
    let Code::Directory { root, .. } = &chat.code else { panic!("{:?}", chat.code) };
    assert_eq!(root, dir.path());
    let url = format!("/{}", api.stages.keys().next().expect("a stage"));
    assert_eq!(url, "/test");
}

/// The environment of a function whose variables are `variables`, in a service that has `more`.
fn values(variables: &str, more: &str) -> Result<BTreeMap<String, String>, String> {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("shared.yml"), "deep: { list: [a, b], own: '${self:custom.one}' }\n")
        .expect("written");
    fs::write(dir.path().join("plain.txt"), "text\n").expect("written");
    fs::write(dir.path().join("config.js"), "module.exports = {}\n").expect("written");
    let text = format!(
        "service: s\nprovider: {{ name: aws, runtime: python3.12, stage: \"${{opt:stage, 'dev'}}\" }}\n{more}\nfunctions:\n  f:\n    handler: app.handler\n    environment:\n{}",
        variables.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
    );
    fs::write(dir.path().join("serverless.yml"), text).expect("written");
    let options = LoadOptions {
        environment: [("FROM_ENV".to_owned(), "env".to_owned())].into(),
        parameters: [("given".to_owned(), "by-hand".to_owned())].into(),
        ..LoadOptions::default()
    };
    load_dir(dir.path(), &options).map(|loaded| environment_of(&loaded)).map_err(|e| e.to_string())
}

#[test]
fn variables_have_the_values_that_the_framework_gives_them() {
    let custom = "custom: { one: first, two: '${self:custom.one}-second', map: { dev: mapped }, number: 7, none: null }\nparams: { dev: { p: of-dev }, default: { p: of-all, q: of-all } }";
    let variables = "SELF: ${self:custom.two}
NESTED: ${self:custom.map.${sls:stage}}
FALLBACK: ${self:custom.gone, ${env:GONE, 'last, one'}}
NULL_FALLS: ${self:custom.none, 'x'}
ENV: ${env:FROM_ENV}
FILE: ${file(./shared.yml):deep.list.1}
FILE_OWN: ${file(shared.yml):deep.own}
TEXT_FILE: ${file(plain.txt)}
PARAM: ${param:p}-${param:q}
GIVEN: ${param:given}
REGION: ${aws:region}/${aws:accountId}
BOOL: ${strToBool(true)}
NUMBER: ${self:custom.number}
SERVICE: ${self:service}-${self:provider.stage}
CFN: !Sub ${AWS::Region}-${AWS::StackName}
FUNCTION: { 'Fn::Sub': '${FLambdaFunction}' }";
    let values = values(variables, custom).unwrap_or_else(|error| panic!("{error}"));
    for (name, value) in [
        ("SELF", "first-second"),
        ("NESTED", "mapped"),
        ("FALLBACK", "last, one"),
        ("NULL_FALLS", "x"),
        ("ENV", "env"),
        ("FILE", "b"),
        ("FILE_OWN", "first"),
        ("TEXT_FILE", "text"),
        ("PARAM", "of-dev-of-all"),
        ("GIVEN", "by-hand"),
        ("REGION", "us-east-1/000000000000"),
        ("BOOL", "true"),
        ("NUMBER", "7"),
        ("SERVICE", "s-dev"),
        ("CFN", "us-east-1-s-dev"),
        ("FUNCTION", "s-dev-f"),
    ] {
        assert_eq!(values[name], value, "{name}");
    }
}

#[test]
fn variables_without_a_value_are_told_with_their_place_and_a_way_out() {
    for (variables, more, expected) in [
        ("AA: ${env:GONE}", "", "${env:GONE} has no value"),
        ("AA: ${env:GONE}", "", "set the environment variable"),
        ("AA: ${self:custom.gone}", "", "${self:custom.gone} has no value"),
        ("AA: ${cf:other.Output}", "", "run `serverless package` once"),
        ("AA: ${ssm:/a}", "", "--secrets FILE"),
        ("AA: ${file(config.js):x}", "", "config.js is a program"),
        ("AA: x${self:custom}", "custom: { a: 1 }", "is an object, not a text"),
        (
            "AA: ${self:custom.a}",
            "custom: { a: '${self:custom.b}', b: '${self:custom.a}' }",
            "need itself?",
        ),
        ("AA: ${self:custom.a}", "custom: { a: '${self:}' }", "need itself?"),
        // Each step doubles them: it ends all the same.
        (
            "AA: ${self:custom.a}",
            "custom: { a: '${self:custom.a}-${self:custom.a}' }",
            "need too many others",
        ),
    ] {
        let error = values(variables, more).expect_err("a problem");
        assert!(error.contains(expected), "{variables}: {error}");
        assert!(error.contains("serverless.yml:"), "{error}");
    }
}

#[test]
fn what_functions_share_layers_streams_and_extensions_are_written_out() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("lib")).expect("made");
    let text = r#"
service: { name: shop }
provider:
  name: aws
  runtime: python3.12
  region: eu-west-1
  stackName: my-stack
  memorySize: 512
  environment: { SHARED: yes, OWN: shared }
  iam: { role: { statements: [{ Effect: Allow, Action: "dynamodb:*", Resource: "*" }] } }
  logs: { websocket: true }
layers: { common: { path: lib } }
functions:
  send-it:
    handler: app.handler
    timeout: 9
    layers: [!Ref CommonLambdaLayer]
    environment: { OWN: own }
    reservedConcurrency: 3
    url: true
    maximumRetryAttempts: 1
    destinations: { onFailure: arn:aws:sqs:eu-west-1:000000000000:dead }
    events:
      - websocket: { route: $connect, authorizer: guarded }
      - websocket: chat-it
      - stream: { type: dynamodb, arn: !GetAtt Things.StreamArn, batchSize: 5 }
      - sqs: arn:aws:sqs:eu-west-1:000000000000:jobs
      - schedule: rate(1 day)
      - httpApi: "*"
  guarded:
    handler: app.handler
    name: guard
    role: arn:aws:iam::123456789012:role/mine
    events:
      - websocket: { route: $default, routeResponseSelectionExpression: $default }
resources:
  - Resources:
      Things:
        Type: AWS::DynamoDB::Table
        Properties:
          AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
          KeySchema: [{ AttributeName: id, KeyType: HASH }]
          StreamSpecification: { StreamViewType: NEW_IMAGE }
  - extensions:
      SendDashitLambdaFunction: { Properties: { MemorySize: 999 } }
    Outputs: { Own: { Value: mine } }
"#;
    fs::write(dir.path().join("serverless.yml"), text).expect("written");
    let loaded = load_dir(dir.path(), &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let stack = &loaded.app.stacks[0];
    assert_eq!((&*stack.name, stack.region.as_str()), ("my-stack", "eu-west-1"));
    let send =
        loaded.app.functions().find(|f| &*f.logical_id == "SendDashitLambdaFunction").expect("it");
    assert_eq!((send.name(), send.memory_mb, send.timeout.as_secs()), ("shop-dev-send-it", 999, 9));
    assert_eq!(
        (send.environment["SHARED"].as_str(), send.environment["OWN"].as_str()),
        ("yes", "own")
    );
    assert_eq!((send.layers.len(), send.reserved_concurrency), (1, Some(3)));
    assert_eq!(stack.event_sources.len(), 2);
    let guard = loaded.app.functions().find(|f| f.name() == "guard").expect("it");
    assert_eq!((guard.memory_mb, &*guard.role), (512, "arn:aws:iam::123456789012:role/mine"));
    let api = loaded.app.apis().next().expect("an API");
    assert!(api.routes().any(|route| matches!(route.authorization, Authorization::Custom(_))));
    assert!(api.stages.values().next().expect("a stage").access_log.is_some());
    for id in
        ["chatDashitWebsocketsRoute", "SdefaultWebsocketsRouteResponse", "SendDashitLambdaEvConf"]
    {
        assert_eq!(row(&loaded, id).action, Action::Runs, "{id}");
    }
    assert_eq!(row(&loaded, "HttpApi").action, Action::NotRun);
    assert_eq!(row(&loaded, "SendDashitEventsRuleSchedule1").action, Action::NotRun);
    assert!(stack.outputs.iter().any(|output| output.key == "Own"));
}

#[test]
fn what_was_packaged_is_read_until_its_source_is_changed() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(dir.path());
    fs::create_dir(dir.path().join(".serverless")).expect("made");
    let packaged = dir.path().join(".serverless/cloudformation-template-update-stack.json");
    fs::copy(here("tests/fixtures/serverless-chat.packaged.json"), &packaged).expect("copied");
    let read = || {
        let loaded =
            load_dir(dir.path(), &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        loaded.resources[0].location.file.clone()
    };
    let touch = |path: &Path, seconds: u64| {
        let file = fs::File::options().write(true).open(path).expect("opened");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        file.set_modified(time).expect("set");
    };
    let config = dir.path().join("serverless.yml");
    touch(&config, 1000);
    touch(&packaged, 2000);
    assert_eq!(read(), packaged);
    touch(&config, 3000);
    assert_eq!(read(), config);
    fs::write(dir.path().join("serverless.ts"), "export default {}").expect("written");
    fs::remove_file(&config).expect("removed");
    touch(&dir.path().join("serverless.ts"), 3000);
    let error = load_dir(dir.path(), &LoadOptions::default()).expect_err("a problem").to_string();
    assert!(error.contains("is a program") && error.contains("serverless package"), "{error}");
}
