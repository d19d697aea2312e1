//! Two CDK apps that use much of what there is: a chat in TypeScript, and one of everything.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use stillwire_deploy::{Action, Input, LoadOptions, Loaded, Severity, load};
use stillwire_model::{Code, Function, IntegrationTarget};
use support::row;

/// The assembly of an example, or of an app that is there for tests only.
fn assembly(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../../examples", "tests/fixtures"].map(|folder| here.join(folder).join(name));
    folders.into_iter().find(|folder| folder.is_dir()).expect("an app").join("cdk.out")
}

fn loaded_with(name: &str, options: &LoadOptions) -> Loaded {
    let input = Input::find(&assembly(name)).expect("an assembly");
    load(&input, options).unwrap_or_else(|problems| panic!("{problems}"))
}

fn loaded(name: &str) -> Loaded {
    loaded_with(name, &LoadOptions::default())
}

fn function<'l>(loaded: &'l Loaded, start: &str) -> &'l Function {
    let mut functions = loaded.app.functions();
    functions.find(|function| function.logical_id.starts_with(start)).expect("a function")
}

#[test]
fn the_bundled_function_and_the_nested_table_of_the_chat_are_found() {
    let loaded = loaded("cdk-chat-ts");
    let chat = function(&loaded, "Chat");
    assert_eq!(chat.handler, "index.handler");
    let Code::Directory { root, .. } = &chat.code else { panic!("{:?}", chat.code) };
    assert!(root.to_string_lossy().contains("asset.8c62777a"), "{root:?}");
    let table =
        loaded.app.tables().find(|table| table.logical_id.starts_with("Members")).expect("it");
    assert_eq!(chat.environment["MEMBERS_TABLE"], table.name);
    let names: Vec<_> = loaded.app.stacks.iter().map(|stack| stack.display_name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(table.time_to_live.is_some());
    assert!(table.definition.contains_key("GlobalSecondaryIndexes"));
    assert!(table.definition.contains_key("StreamSpecification"));
}

#[test]
fn throttles_and_two_way_routes_of_the_chat_are_as_it_declares_them() {
    let loaded = loaded("cdk-chat-ts");
    let api = loaded.app.apis().next().expect("an API");
    let (name, stage) = api.stages.iter().next().expect("a stage");
    assert_eq!(name.as_str(), "live");
    let throttle = stage.default_settings.throttle.as_ref().expect("a throttle");
    assert_eq!(format!("{throttle:?}"), "Throttle { rate: 100.0, burst: 200 }");
    let mut two_way: Vec<(String, bool)> =
        api.routes().map(|route| (route.key.to_string(), route.two_way)).collect();
    two_way.retain(|(key, _)| !matches!(key.as_str(), "$connect" | "$disconnect"));
    two_way.sort_unstable();
    let expected = [("$default", true), ("ping", true), ("say", false)];
    assert_eq!(two_way, expected.map(|(key, two_way)| (key.to_owned(), two_way)));
    assert!(api.routes().any(|route| {
        route
            .integration
            .as_ref()
            .is_some_and(|integration| matches!(integration.target, IntegrationTarget::Mock))
    }));
}

#[test]
fn values_of_the_sink_are_what_a_deployment_would_give() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("secrets.yaml");
    fs::write(&file, "ssm: { /sink/motd: welcome }").expect("written");
    let options = LoadOptions { secrets_file: Some(file), ..LoadOptions::default() };
    let loaded = loaded_with("cdk-kitchen-sink", &options);
    let environment = &function(&loaded, "Echo").environment;
    let decoded = base64::engine::general_purpose::STANDARD.decode(&environment["ENCODED"]);
    let decoded = String::from_utf8(decoded.expect("base64")).expect("text");
    let account = &loaded.app.stacks[0].account;
    assert_eq!(
        decoded,
        format!("Sink:${{literal}}:arn:aws:dynamodb:us-east-1:{account}:table/sink-table")
    );
    assert_eq!(environment["FIRST_PART"], "us");
    assert_eq!(environment["LEVEL"], "info");
    assert_eq!(environment["RATE"], "50");
    assert_eq!(environment["MOTD"], environment["FROM_STORE"]);
    assert_eq!(environment["MOTD"], "welcome");
    assert_eq!(environment["PARAMETER"], "/sink/name");
    assert!(environment["QUEUE_URL"].starts_with("https://sqs.us-east-1.amazonaws.com/"));
    assert!(environment["SECRET_ARN"].contains(":secret:"), "{}", environment["SECRET_ARN"]);
    let global =
        loaded.app.tables().find(|table| table.logical_id.starts_with("Global")).expect("it");
    assert_eq!(environment["GLOBAL_TABLE"], global.name);
}

#[test]
fn a_parameter_changes_what_the_sink_has_and_another_value_is_refused() {
    let with = |value: &str| LoadOptions {
        parameters: [("LogLevel".to_owned(), value.to_owned())].into(),
        ..LoadOptions::default()
    };
    let loaded = loaded_with("cdk-kitchen-sink", &with("DEBUG"));
    assert_eq!(function(&loaded, "Echo").environment["LEVEL"], "debug");
    let outputs: Vec<_> = loaded.app.stacks.iter().flat_map(|stack| &stack.outputs).collect();
    assert!(outputs.iter().any(|output| output.key == "OnlyVerbose"));
    let input = Input::find(&assembly("cdk-kitchen-sink")).expect("an assembly");
    let text = load(&input, &with("LOUD")).expect_err("refused").to_string();
    assert!(text.contains("the parameter LogLevel is LOUD; it may be INFO, DEBUG"), "{text}");
}

#[test]
fn a_secret_comes_from_the_persons_file_or_is_made_up_and_never_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("secrets.json");
    fs::write(&file, r#"{"secretsmanager": {"sink/password": "hunter22"}}"#).expect("written");
    let options = LoadOptions { secrets_file: Some(file), ..LoadOptions::default() };
    let loaded = loaded_with("cdk-kitchen-sink", &options);
    assert_eq!(function(&loaded, "Echo").environment["PASSWORD"], "hunter22");
    assert!(!format!("{:?}{:?}", loaded.notices, loaded.resources).contains("hunter22"));
}

#[test]
fn inline_code_and_the_global_table_of_the_sink_are_read() {
    let loaded = loaded("cdk-kitchen-sink");
    let Code::Inline { file_name, text } = &function(&loaded, "Inline").code else {
        panic!("inline")
    };
    assert!(file_name == "index.js" && !text.is_empty());
    let table =
        loaded.app.tables().find(|table| table.logical_id.starts_with("Global")).expect("it");
    let keys = serde_json::to_string(&table.definition["KeySchema"]).expect("JSON");
    assert!(keys.contains("\"pk\"") && keys.contains("\"sk\""), "{keys}");
    let kinds = serde_json::to_string(&table.definition["AttributeDefinitions"]).expect("JSON");
    assert!(kinds.contains("\"S\"") && kinds.contains("\"N\""), "{kinds}");
    assert!(table.definition.contains_key("StreamSpecification") && table.time_to_live.is_some());
}

#[test]
fn each_way_to_name_a_function_calls_it_and_the_queue_is_told_as_not_run() {
    let loaded = loaded("cdk-kitchen-sink");
    let mut called = 0;
    for route in loaded.app.apis().flat_map(|api| api.routes().collect::<Vec<_>>()) {
        if let Some(IntegrationTarget::Function { function, .. }) =
            route.integration.as_ref().map(|integration| &integration.target)
        {
            assert!(loaded.app.functions().any(|other| other.arn == *function), "{function}");
            called += 1;
        }
    }
    assert!(called >= 2, "{called}");
    let manual =
        loaded.app.apis().find(|api| api.stages.keys().any(|name| name.as_str() == "manual"));
    let stage = manual.expect("an API").stages.values().next().expect("a stage");
    let settings = stage.route_settings.values().next().expect("settings of forward");
    assert_eq!(format!("{:?}", settings.throttle), "Some(Throttle { rate: 1.0, burst: 2 })");
}

#[test]
fn helpers_of_the_cdk_start_nothing_and_are_told_of_nowhere() {
    let loaded = loaded("cdk-kitchen-sink");
    for start in ["CustomS3AutoDelete", "CustomCDKBucketDeployment", "LogRetentionaae", "AWS679f"] {
        assert!(!loaded.app.functions().any(|f| f.logical_id.starts_with(start)), "{start}");
        let told = loaded.notices.iter().filter(|notice| notice.severity == Severity::Warning);
        let about = |notice: &&stillwire_deploy::Notice| {
            notice.location.logical_id.as_deref().is_some_and(|id| id.starts_with(start))
        };
        assert_eq!(told.filter(about).count(), 0, "{start}");
    }
    for kind in
        ["Custom::LogRetention", "Custom::S3AutoDeleteObjects", "Custom::CDKBucketDeployment"]
    {
        let row = loaded.resources.iter().find(|row| row.kind == kind).expect("a row");
        assert_eq!(row.action, Action::Skipped, "{kind}");
    }
    // Its condition, an Or of Ors of Equals, holds in this region.
    let metadata = row(&loaded, "CDKMetadata");
    assert_eq!(
        (metadata.action, metadata.note.as_str()),
        (Action::Skipped, "no meaning at run time here")
    );
}

#[test]
fn what_the_app_would_do_on_aws_when_it_is_deployed_is_known_as_a_call() {
    let loaded = loaded("cdk-kitchen-sink");
    let [call] = loaded.sdk_calls.as_slice() else { panic!("{:?}", loaded.sdk_calls) };
    assert_eq!((call.service.as_str(), call.action.as_str()), ("dynamodb", "PutItem"));
    assert_eq!(call.parameters["TableName"], "sink-table");
    assert_eq!(call.parameters["Item"]["room"]["S"], "lobby");
    assert_eq!(row(&loaded, &call.logical_id).action, Action::Runs);
    let again = self::loaded("cdk-kitchen-sink");
    assert_eq!(again.sdk_calls, loaded.sdk_calls, "the same call has the same id at every start");
}

#[test]
fn the_sink_alone_names_the_export_that_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let template = assembly("cdk-kitchen-sink").join("Sink.template.json");
    fs::copy(template, dir.path().join("Sink.template.json")).expect("copied");
    let input = Input::Template(dir.path().join("Sink.template.json"));
    let text = load(&input, &LoadOptions::default()).expect_err("a problem").to_string();
    assert!(
        text.contains("no stack exports Shared:ExportsOutputRefGlobal7C59AC82B37E017B"),
        "{text}"
    );
}

#[test]
fn an_access_log_whose_lines_name_no_request_is_told_and_written() {
    let template = serde_json::json!({ "Resources": {
        "Api": { "Type": "AWS::ApiGatewayV2::Api", "Properties": { "Name": "a", "ProtocolType": "WEBSOCKET",
            "RouteSelectionExpression": "$request.body.action" } },
        "Stage": { "Type": "AWS::ApiGatewayV2::Stage", "Properties": { "ApiId": { "Ref": "Api" },
            "StageName": "s", "AccessLogSettings": { "Format": "$context.connectionId",
            "DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:x" } } } } });
    let loaded = support::loaded(&template);
    assert!(
        loaded.notices.iter().any(|notice| notice.text.contains("on AWS this stage is refused"))
    );
    let stage = loaded.app.apis().next().and_then(|api| api.stages.values().next().cloned());
    assert!(stage.expect("a stage").access_log.is_some());
}
