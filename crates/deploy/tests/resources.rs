//! APIs, functions and the rest: what becomes of each resource.

mod support;

use std::fs;

use serde_json::{Value, json};
use stillwire_deploy::{Action, Input, LoadOptions, load};
use stillwire_model::{Authorization, Code, IntegrationTarget, LogLevel, Logging};

use support::{environment_of, error, function, loaded, row, with_environment};

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
    for (kind, uri) in
        [("AWS_PROXY", "nothing"), ("HTTP_PROXY", "ftp://files"), ("AWS", "https://x")]
    {
        let mut template = api();
        template["Resources"]["Other"] = json!({ "Type": "AWS::ApiGatewayV2::Integration", "Properties": {
            "ApiId": { "Ref": "Api" }, "IntegrationType": kind, "IntegrationUri": uri } });
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
        assert!(loaded.notices.iter().any(|notice| notice.text.contains(uri)));
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
    for (kind, available) in [("JWT", false), ("AWS_IAM", true)] {
        template["Resources"]["Route"]["Properties"]["AuthorizationType"] = json!(kind);
        let loaded = loaded(&template);
        let route = loaded.app.apis().next().expect("an API").connect_route().expect("one").clone();
        assert_eq!(
            !matches!(route.authorization, Authorization::Unsupported(_)),
            available,
            "{kind}"
        );
    }
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
    let text = change("Int", "ContentHandlingStrategy", json!("CONVERT"));
    assert!(text.contains("\"CONVERT\" is not CONVERT_TO_BINARY or CONVERT_TO_TEXT"), "{text}");
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
    let expected = Code::Inline { file_name: "index.py".to_owned(), text: "x = 1".to_owned() };
    assert_eq!(code, &expected);
}

#[test]
fn code_that_lies_beside_a_template_is_found_by_the_end_of_its_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.json");
    let mut template = with_environment(&json!({}), &json!({}));
    template["Resources"]["Fn"]["Properties"]["Code"] =
        json!({ "S3Bucket": "b", "S3Key": "serverless/app/dev/code.zip" });
    fs::write(&file, template.to_string()).expect("written");
    let try_it = || load(&Input::Template(file.clone()), &LoadOptions::default());
    let text = try_it().expect_err("a problem").to_string();
    assert!(text.contains("uploaded to serverless/app/dev/code.zip in b"), "{text}");
    fs::write(dir.path().join("code.zip"), "zip").expect("written");
    let loaded = try_it().expect("it loads");
    let code = &loaded.app.functions().next().expect("a function").code;
    assert!(matches!(code, Code::Archive(path) if path.ends_with("code.zip")), "{code:?}");
}

#[test]
fn layers_and_the_way_of_logging_belong_to_the_function() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["code", "one", "two"] {
        fs::create_dir(dir.path().join(name)).expect("made");
    }
    fs::write(dir.path().join("code/index.py"), "x = 1").expect("written");
    let layer = |path: &str| json!({ "Type": "AWS::Lambda::LayerVersion", "Properties": { "Content": path } });
    let file = dir.path().join("app.json");
    let template = json!({ "Resources": {
        "One": layer("one"), "Two": layer("two"), "Gone": layer("gone"),
        "Fn": { "Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": "python3.12", "Handler": "index.handler", "Code": "code",
            "Layers": [{ "Ref": "Two" }, { "Fn::GetAtt": ["One", "LayerVersionArn"] }, { "Ref": "Gone" },
                "arn:aws:lambda:us-east-1:017000801446:layer:powertools:4"],
            "LoggingConfig": { "LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "DEBUG", "LogGroup": "/mine" },
            "EphemeralStorage": { "Size": 1024 }, "TracingConfig": { "Mode": "Active" },
            "Architectures": ["arm64"] } } } });
    fs::write(&file, template.to_string()).expect("written");
    let loaded = load(&Input::Template(file), &LoadOptions::default()).expect("an app");
    let function = loaded.app.functions().next().expect("a function");
    let folder = |name: &str| Code::Directory { root: dir.path().join(name), source: None };
    assert_eq!(function.layers, [folder("two"), folder("one")]);
    let (level, system_level) = (Some(LogLevel::Warn), Some(LogLevel::Debug));
    let group = Some("/mine".to_owned());
    assert_eq!(function.logging, Logging { json: true, level, system_level, group });
    assert_eq!(row(&loaded, "One").action, Action::Runs);
    let told: Vec<String> = loaded.notices.iter().map(|notice| notice.text.clone()).collect();
    for words in ["gone does not exist", "layer:powertools:4 is not part of this app"] {
        assert!(told.iter().any(|text| text.contains(words)), "{words}: {told:?}");
    }
    let other = cfg!(target_arch = "x86_64");
    assert_eq!(told.iter().any(|text| text.contains("this machine's architecture")), other);
}
