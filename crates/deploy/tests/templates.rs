//! The template language, by small templates: what values become, and how mistakes are told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stillwire_deploy::{Action, Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::{Authorization, Code, IntegrationTarget};

fn try_load(template: &Value, parameters: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.json");
    fs::write(&file, serde_json::to_string_pretty(template).expect("JSON")).expect("written");
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Input::Template(file), &LoadOptions { parameters, ..LoadOptions::default() })
}

fn loaded(template: &Value) -> Loaded {
    try_load(template, &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

fn error(template: &Value) -> String {
    try_load(template, &[]).expect_err("a problem").to_string()
}

/// A template with one function whose environment is `variables`, and `more` resources.
fn with_environment(variables: &Value, more: &Value) -> Value {
    let mut resources = serde_json::Map::new();
    resources.insert("Fn".to_owned(), function(variables));
    resources.extend(more.as_object().cloned().unwrap_or_default());
    json!({ "Resources": resources })
}

fn function(variables: &Value) -> Value {
    json!({ "Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "nodejs22.x", "Handler": "index.handler", "Code": { "ZipFile": "exports.x = 1" },
        "Environment": { "Variables": variables } } })
}

fn table() -> Value {
    json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": "t", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } })
}

fn environment(template: &Value) -> BTreeMap<String, String> {
    environment_of(&loaded(template))
}

fn environment_of(loaded: &Loaded) -> BTreeMap<String, String> {
    loaded.app.functions().next().expect("a function").environment.clone()
}

/// A WebSocket API with a `$default` route to the function `Fn`; parts are added by the tests.
fn api() -> Value {
    let arn = json!({ "Fn::GetAtt": ["Fn", "Arn"] });
    json!({ "Resources": {
        "Fn": function(&json!({})),
        "Api": { "Type": "AWS::ApiGatewayV2::Api", "Properties": {
            "Name": "chat", "ProtocolType": "WEBSOCKET" } },
        "Int": { "Type": "AWS::ApiGatewayV2::Integration", "Properties": {
            "ApiId": { "Ref": "Api" }, "IntegrationType": "AWS_PROXY", "IntegrationUri": arn } },
        "Route": { "Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "ApiId": { "Ref": "Api" }, "RouteKey": "$default",
            "Target": { "Fn::Join": ["/", ["integrations", { "Ref": "Int" }]] } } },
        "Stage": { "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
            "ApiId": { "Ref": "Api" }, "StageName": "live", "AutoDeploy": true } },
        "Allowed": { "Type": "AWS::Lambda::Permission", "Properties": {
            "Action": "lambda:InvokeFunction", "FunctionName": { "Ref": "Fn" },
            "Principal": "apigateway.amazonaws.com" } }
    } })
}

fn row<'a>(loaded: &'a Loaded, id: &str) -> &'a stillwire_deploy::ResourceRow {
    loaded.resources.iter().find(|row| row.logical_id == id).expect("a row")
}

#[test]
fn references_give_what_each_type_is_known_by() {
    let more = json!({
        "Table": table(),
        "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "q" } },
        "Role": { "Type": "AWS::IAM::Role", "Properties": { "RoleName": "r", "Path": "/p/" } },
        "Bucket": { "Type": "AWS::S3::Bucket" },
        "Api": { "Type": "AWS::ApiGatewayV2::Api", "Properties": { "ProtocolType": "WEBSOCKET" } },
        "Stage": { "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
            "ApiId": { "Ref": "Api" }, "StageName": "live", "AutoDeploy": true } },
        "Secret": { "Type": "AWS::SecretsManager::Secret" },
        "Alias": { "Type": "AWS::Lambda::Alias", "Properties": {
            "FunctionName": "other", "FunctionVersion": "1", "Name": "blue" } },
        "Domain": { "Type": "AWS::ApiGatewayV2::DomainName", "Properties": { "DomainName": "ws.example.com" } }
    });
    let names = ["Table", "Queue", "Role", "Bucket", "Api", "Stage", "Secret", "Alias", "Domain"];
    let mut variables: serde_json::Map<String, Value> =
        names.iter().map(|name| (format!("V_{name}"), json!({ "Ref": name }))).collect();
    variables.insert("A_Role".to_owned(), json!({ "Fn::GetAtt": ["Role", "Arn"] }));
    variables.insert("A_Table".to_owned(), json!({ "Fn::GetAtt": "Table.Arn" }));
    variables.insert("A_Api".to_owned(), json!({ "Fn::GetAtt": ["Api", "ApiEndpoint"] }));
    let env = environment(&with_environment(&Value::Object(variables), &more));
    assert_eq!(env["V_Table"], "t");
    assert_eq!(env["V_Queue"], "https://sqs.us-east-1.amazonaws.com/000000000000/q");
    assert_eq!(env["V_Role"], "r");
    assert!(env["V_Bucket"].starts_with("app-bucket-"), "{}", env["V_Bucket"]);
    assert_eq!(env["V_Api"].len(), 10);
    assert_eq!(env["V_Stage"], "live");
    assert!(
        env["V_Secret"]
            .starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:app-Secret-")
    );
    assert_eq!(env["V_Alias"], "arn:aws:lambda:us-east-1:000000000000:function:other:blue");
    assert_eq!(env["V_Domain"], "ws.example.com");
    assert_eq!(env["A_Role"], "arn:aws:iam::000000000000:role/p/r");
    assert_eq!(env["A_Table"], "arn:aws:dynamodb:us-east-1:000000000000:table/t");
    assert_eq!(env["A_Api"], format!("wss://{}.execute-api.us-east-1.amazonaws.com", env["V_Api"]));
}

#[test]
fn texts_are_joined_split_selected_substituted_and_encoded() {
    let env = environment(&with_environment(
        &json!({
            "JOIN": { "Fn::Join": ["-", ["a", 1, true, { "Ref": "AWS::Region" }]] },
            "SUB": { "Fn::Sub": ["${AWS::StackName}:${!literal}:${Arn}", { "Arn": { "Fn::GetAtt": ["Table", "Arn"] } }] },
            "SUB2": { "Fn::Sub": "${Table}/${Table.Arn}" },
            "PART": { "Fn::Select": ["1", { "Fn::Split": [",", "a,b,,c"] }] },
            "EMPTY": { "Fn::Select": [2, { "Fn::Split": [",", "a,b,,c"] }] },
            "BASE64": { "Fn::Base64": "hello" },
            "ZONE": { "Fn::Select": [0, { "Fn::GetAZs": "" }] },
            "CIDR": { "Fn::Join": [" ", { "Fn::Cidr": ["10.0.0.0/16", 2, 8] }] },
            "JSON": { "Fn::ToJsonString": { "a": [1, { "Ref": "Table" }] } },
            "LENGTH": { "Fn::Length": ["a", "b"] },
        }),
        &json!({ "Table": table() }),
    ));
    assert_eq!(env["JOIN"], "a-1-true-us-east-1");
    assert_eq!(env["SUB"], "app:${literal}:arn:aws:dynamodb:us-east-1:000000000000:table/t");
    assert_eq!(env["SUB2"], "t/arn:aws:dynamodb:us-east-1:000000000000:table/t");
    assert_eq!((env["PART"].as_str(), env["EMPTY"].as_str()), ("b", ""));
    assert_eq!(env["BASE64"], "aGVsbG8=");
    assert_eq!(env["ZONE"], "us-east-1a");
    assert_eq!(env["CIDR"], "10.0.0.0/24 10.0.1.0/24");
    assert_eq!(env["JSON"], r#"{"a":[1,"t"]}"#);
    assert_eq!(env["LENGTH"], "2");
}

#[test]
fn conditions_and_parameters_decide_what_there_is() {
    let mut template = with_environment(
        &json!({ "LEVEL": { "Fn::If": ["Verbose", "debug", "info"] },
            "GONE": { "Fn::If": ["Verbose", "x", { "Ref": "AWS::NoValue" }] } }),
        &json!({ "Extra": { "Type": "AWS::Foo::Bar", "Condition": "Verbose" } }),
    );
    template["Parameters"] = json!({ "LogLevel": {
        "Type": "String", "Default": "INFO", "AllowedValues": ["INFO", "DEBUG"] } });
    template["Conditions"] = json!({
        "Verbose": { "Fn::Or": [{ "Condition": "Debug" }, { "Fn::Equals": ["a", "b"] }] },
        "Debug": { "Fn::Equals": [{ "Ref": "LogLevel" }, "DEBUG"] } });
    template["Outputs"] = json!({ "OnlyVerbose": { "Value": "yes", "Condition": "Verbose" } });
    let quiet = loaded(&template);
    assert_eq!(environment_of(&quiet), BTreeMap::from([("LEVEL".to_owned(), "info".to_owned())]));
    assert!(quiet.app.stacks[0].outputs.is_empty());
    assert_eq!(row(&quiet, "Extra").note, "its condition does not hold");
    let verbose = try_load(&template, &[("LogLevel", "DEBUG")]).expect("it loads");
    assert_eq!(environment_of(&verbose)["LEVEL"], "debug");
    assert_eq!(verbose.app.stacks[0].outputs[0].key, "OnlyVerbose");
    let loud = try_load(&template, &[("LogLevel", "LOUD")]).expect_err("refused").to_string();
    assert!(loud.contains("the parameter LogLevel is LOUD; it may be INFO, DEBUG"), "{loud}");
    let typo = try_load(&template, &[("LogLvl", "x")]).expect_err("refused").to_string();
    assert!(typo.contains("no template has a parameter LogLvl"), "{typo}");
}

#[test]
fn the_bootstrap_version_needs_no_value_and_rules_are_not_evaluated() {
    let mut template =
        with_environment(&json!({ "V1": { "Ref": "BootstrapVersion" } }), &json!({}));
    template["Parameters"] = json!({ "BootstrapVersion": { "Type": "AWS::SSM::Parameter::Value<String>",
        "Default": "/cdk-bootstrap/hnb659fds/version", "Description": "[cdk:skip]" } });
    template["Rules"] =
        json!({ "Check": { "Assertions": [{ "Assert": { "Fn::Contains": [["1"], "x"] } }] } });
    let loaded = loaded(&template);
    assert!(environment_of(&loaded)["V1"].parse::<u32>().expect("a number") > 100);
    assert_eq!(loaded.notices, []);
}

#[test]
fn parameters_from_the_parameter_store_read_what_the_app_declares() {
    let mut template = with_environment(
        &json!({ "MOTD": { "Ref": "Motd" }, "LIST": { "Fn::Select": [1, { "Ref": "Names" }] } }),
        &json!({ "Entry": { "Type": "AWS::SSM::Parameter", "Properties": {
            "Name": "/app/motd", "Type": "String", "Value": { "Fn::Join": [" ", ["be", "kind"]] } } } }),
    );
    template["Parameters"] = json!({
        "Motd": { "Type": "AWS::SSM::Parameter::Value<String>", "Default": "/app/motd" },
        "Names": { "Type": "CommaDelimitedList", "Default": "a, b" } });
    let env = environment(&template);
    assert_eq!((env["MOTD"].as_str(), env["LIST"].as_str()), ("be kind", "b"));
}

#[test]
fn mappings_are_looked_up_and_a_missing_key_is_named() {
    let mut template = with_environment(
        &json!({ "RATE": { "Fn::FindInMap": ["Limits", { "Ref": "AWS::Region" }, "rate"] } }),
        &json!({}),
    );
    template["Mappings"] = json!({ "Limits": { "us-east-1": { "rate": "50" } } });
    assert_eq!(environment(&template)["RATE"], "50");
    template["Mappings"] = json!({ "Limits": { "eu-west-1": { "rate": "5" } } });
    let text = error(&template);
    assert!(text.contains("the mapping Limits has no value for us-east-1 and rate"), "{text}");
}

#[test]
fn no_value_removes_a_property_a_list_element_and_a_whole_map() {
    let mut template = with_environment(
        &json!({ "N1": { "Fn::Join": [",", ["a", { "Ref": "AWS::NoValue" }, "b"]] } }),
        &json!({}),
    );
    assert_eq!(environment(&template)["N1"], "a,b");
    template["Resources"]["Fn"]["Properties"]["Environment"] = json!({ "Ref": "AWS::NoValue" });
    template["Resources"]["Fn"]["Properties"]["MemorySize"] = json!({ "Ref": "AWS::NoValue" });
    let loaded = loaded(&template);
    let function = loaded.app.functions().next().expect("a function");
    assert_eq!((function.environment.len(), function.memory_mb), (0, 128));
}

#[test]
fn a_secret_that_is_not_here_is_empty_and_named() {
    let loaded = loaded(&with_environment(
        &json!({ "PASSWORD": "{{resolve:secretsmanager:sink/password:SecretString:::}}" }),
        &json!({}),
    ));
    assert_eq!(environment_of(&loaded)["PASSWORD"], "");
    let [notice] = loaded.notices.as_slice() else { panic!("one notice: {:?}", loaded.notices) };
    assert!(notice.text.contains("secretsmanager:sink/password"), "{}", notice.text);
}

#[test]
fn an_unknown_name_is_told_with_file_place_property_and_the_likely_one() {
    let text = error(&with_environment(
        &json!({ "TABLE": { "Ref": "Tabel" } }),
        &json!({ "Table": table() }),
    ));
    assert!(text.starts_with("error: no resource or parameter is named Tabel\n  --> "), "{text}");
    assert!(text.contains("app.json:"), "{text}");
    assert!(text.contains("(app / Fn, Properties.Environment.Variables.TABLE)"), "{text}");
    assert!(text.ends_with("hint: did you mean Table?"), "{text}");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = error(&with_environment(
        &json!({ "A1": { "Ref": "Nope" }, "B1": { "Fn::GetAtt": ["Nada", "Arn"] }, "C1": { "Fn::Frob": 1 },
            "D1": { "Fn::Select": [9, ["a"]] }, "E1": { "Fn::Sub": "${Nix}" } }),
        &json!({ "Other": { "Type": "AWS::Foo::Bar", "DependsOn": "Missing" } }),
    ));
    for part in [
        "named Nope",
        "named Nada",
        "Fn::Frob",
        "element 9 of 1",
        "named Nix",
        "Missing, which is not",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("error: ").count(), 6, "{text}");
}

#[test]
fn a_functions_settings_are_checked() {
    let mut template = with_environment(&json!({ "AWS_REGION": "x" }), &json!({}));
    let properties = &mut template["Resources"]["Fn"]["Properties"];
    properties["Timeout"] = json!(901);
    properties["MemorySize"] = json!(64);
    let text = error(&template);
    assert!(text.contains("the environment variable AWS_REGION is reserved by Lambda"), "{text}");
    assert!(text.contains("Timeout is 901; it may be 1 to 900"), "{text}");
    assert!(text.contains("MemorySize is 64; it may be 128 to 10240"), "{text}");
}

#[test]
fn inline_code_becomes_the_file_that_the_handler_names() {
    let loaded = loaded(&with_environment(&json!({}), &json!({})));
    let code = &loaded.app.functions().next().expect("a function").code;
    let expected =
        Code::Inline { file_name: "index.js".to_owned(), text: "exports.x = 1".to_owned() };
    assert_eq!(code, &expected);
}

#[test]
fn the_famous_circle_is_none() {
    let mut template = api();
    template["Resources"]["Fn"]["Properties"]["Environment"] = json!({ "Variables": { "URL": {
        "Fn::Sub": "wss://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Stage}" } } });
    let loaded = loaded(&template);
    let api = loaded.app.apis().next().expect("an API").id.clone();
    let url = format!("wss://{api}.execute-api.us-east-1.amazonaws.com/live");
    assert_eq!(environment_of(&loaded)["URL"], url);
    assert_eq!(loaded.notices, []);
}

#[test]
fn values_that_need_each_other_are_told_with_their_path() {
    let entry = |other: &str| {
        json!({ "Type": "AWS::SSM::Parameter", "Properties": {
        "Type": "String", "Value": { "Fn::GetAtt": [other, "Value"] } } })
    };
    let text = error(&json!({ "Resources": { "A": entry("B"), "B": entry("A") } }));
    assert!(text.contains("need each other: B.Value -> A.Value -> B.Value"), "{text}");
    let text = error(&json!({ "Resources": {
        "A": { "Type": "AWS::Foo::Bar", "DependsOn": "B" }, "B": { "Type": "AWS::Foo::Bar", "DependsOn": ["A"] } } }));
    assert!(text.contains("depend on each other: A -> B -> A"), "{text}");
}

#[test]
fn a_route_response_makes_a_route_two_way() {
    let mut template = api();
    let two_way = |template: &Value| {
        let loaded = loaded(template);
        loaded.app.apis().next().expect("an API").routes().next().expect("a route").two_way
    };
    assert!(!two_way(&template));
    template["Resources"]["Response"] = json!({ "Type": "AWS::ApiGatewayV2::RouteResponse", "Properties": {
        "ApiId": { "Ref": "Api" }, "RouteId": { "Ref": "Route" }, "RouteResponseKey": "$default" } });
    assert!(two_way(&template));
}

#[test]
fn integrations_that_do_not_run_here_leave_the_other_routes_alone() {
    for kind in ["MOCK", "HTTP_PROXY", "AWS"] {
        let mut template = api();
        template["Resources"]["Other"] = json!({ "Type": "AWS::ApiGatewayV2::Integration", "Properties": {
            "ApiId": { "Ref": "Api" }, "IntegrationType": kind, "IntegrationUri": "https://example.com" } });
        template["Resources"]["Second"] = json!({ "Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "ApiId": { "Ref": "Api" }, "RouteKey": "other", "Target": { "Fn::Sub": "integrations/${Other}" } } });
        let loaded = loaded(&template);
        let api = loaded.app.apis().next().expect("an API");
        let targets: Vec<_> =
            api.routes().map(|route| &route.integration.as_ref().expect("one").target).collect();
        assert!(
            matches!(
                targets.as_slice(),
                [IntegrationTarget::Function { .. }, IntegrationTarget::Unsupported(_)]
            ),
            "{targets:?}"
        );
        assert_eq!(row(&loaded, "Second").action, Action::NotRun);
        assert!(loaded.notices.iter().any(|notice| notice.text.contains(kind)));
    }
}

#[test]
fn a_route_without_permission_starts_with_a_warning_that_names_both() {
    let mut template = api();
    template["Resources"]["Allowed"]["Properties"]["SourceArn"] = json!({ "Fn::Sub":
        "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*/$connect" });
    let loaded = loaded(&template);
    let [notice] = loaded.notices.as_slice() else { panic!("one notice: {:?}", loaded.notices) };
    assert!(
        notice.text.contains("for the route $default: on AWS the call would fail"),
        "{}",
        notice.text
    );
    assert!(notice.text.contains("app-Fn-"), "{}", notice.text);
}

#[test]
fn authorization_that_is_not_available_lets_nobody_in() {
    let mut template = api();
    template["Resources"]["Route"]["Properties"]["RouteKey"] = json!("$connect");
    template["Resources"]["Route"]["Properties"]["AuthorizationType"] = json!("AWS_IAM");
    let loaded = loaded(&template);
    let route = loaded.app.apis().next().expect("an API").connect_route().expect("a route").clone();
    assert!(matches!(route.authorization, Authorization::Unsupported(_)));
}

#[test]
fn what_api_gateway_would_refuse_is_refused() {
    let change = |id: &str, property: &str, value: Value| {
        let mut template = api();
        template["Resources"][id]["Properties"][property] = value;
        error(&template)
    };
    let text = change("Int", "TimeoutInMillis", json!(30_000));
    assert!(text.contains("TimeoutInMillis is 30000; it may be 50 to 29000"), "{text}");
    let text = change("Route", "Target", json!("integrations/none"));
    assert!(
        text.contains("integrations/none names no integration")
            && text.contains("Properties.Target"),
        "{text}"
    );
    let text = change("Route", "RouteKey", json!("$mine"));
    assert!(text.contains("is not a route key"), "{text}");
    let text = change("Api", "RouteSelectionExpression", json!("${request.body"));
    assert!(text.contains("selection expression"), "{text}");
    let mut template = api();
    template["Resources"]["Again"] = template["Resources"]["Route"].clone();
    assert!(error(&template).contains("two routes have the key $default"));
}

#[test]
fn an_unknown_type_is_listed_and_references_to_it_have_a_value() {
    let loaded = loaded(&with_environment(
        &json!({ "R1": { "Ref": "Odd" }, "A1": { "Fn::GetAtt": ["Odd", "Thing"] } }),
        &json!({ "Odd": { "Type": "AWS::Foo::Bar" } }),
    ));
    let env = environment_of(&loaded);
    assert!(env["R1"].starts_with("app-Odd-"), "{}", env["R1"]);
    assert_eq!(env["A1"], "Odd.Thing");
    assert_eq!(row(&loaded, "Odd").action, Action::NotRun);
}

#[test]
fn helpers_of_custom_resources_are_not_started() {
    let mut template = api();
    template["Resources"]["Helper"] = function(&json!({}));
    template["Resources"]["Helper"]["Properties"]["Code"] =
        json!({ "S3Bucket": "none", "S3Key": "none.zip" });
    template["Resources"]["Retention"] = json!({ "Type": "Custom::LogRetention", "Properties": {
        "ServiceToken": { "Fn::GetAtt": ["Helper", "Arn"] } } });
    let loaded = loaded(&template);
    assert_eq!(loaded.app.functions().count(), 1);
    assert_eq!(row(&loaded, "Helper").action, Action::Skipped);
    assert_eq!(loaded.notices, []);
}

#[test]
fn an_http_api_is_listed_as_not_run() {
    let loaded = loaded(&json!({ "Resources": { "Http": {
        "Type": "AWS::ApiGatewayV2::Api", "Properties": { "ProtocolType": "HTTP", "Name": "h" } } } }));
    assert_eq!(loaded.app.apis().count(), 0);
    assert_eq!(row(&loaded, "Http").action, Action::NotRun);
}

#[test]
fn a_stage_is_found_by_the_name_an_api_gives_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.json");
    fs::write(&file, api().to_string()).expect("written");
    let with = |stage: &str| {
        let options = LoadOptions { stage: Some(stage.to_owned()), ..LoadOptions::default() };
        load(&Input::Template(file.clone()), &options).is_ok()
    };
    assert!(with("live"));
    assert!(!with("dev"));
}

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
fn an_app_that_needs_look_ups_says_what_to_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let manifest =
        json!({ "version": "55.0.0", "missing": [{ "key": "vpc-provider:x" }], "artifacts": {} });
    fs::write(dir.path().join("manifest.json"), manifest.to_string()).expect("written");
    let text = load_folder(dir.path(), &LoadOptions::default()).expect_err("a problem").to_string();
    assert!(text.contains("vpc-provider:x") && text.contains("run `cdk synth` once"), "{text}");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn splitting_undoes_joining(pieces in prop::collection::vec("[a-z0-9 ]{0,6}", 1..6)) {
            let template = with_environment(&json!({ "N1": { "Fn::Join": ["|", { "Fn::Split": [
                ",", { "Fn::Join": [",", pieces] }] }] } }), &json!({}));
            prop_assert_eq!(&environment(&template)["N1"], &pieces.join("|"));
        }

        #[test]
        fn any_function_call_gives_a_value_or_a_problem(name in "(Ref|Fn::[A-Z][a-zA-Z]{1,12}|Fn::(Join|Sub|Select|If|GetAtt|Cidr|Split))",
            argument in "\\PC{0,12}", nested in any::<bool>()) {
            let argument = if nested { json!([argument, [argument]]) } else { json!(argument) };
            let template = with_environment(&json!({ "N1": { name: argument } }), &json!({}));
            match try_load(&template, &[]) {
                Ok(_) => {}
                Err(problems) => prop_assert!(problems.iter().all(|one| one.location.logical_id.is_some())),
            }
        }
    }
}
