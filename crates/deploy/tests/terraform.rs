//! Terraform: plans and states become apps.
//!
//! The plan of the chat is written after the documented format of plans; it was not made by Terraform.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stillwire_deploy::{Action, FindError, Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::{Code, IntegrationTarget};
use support::environment_of;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load_json(document: &Value) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("plan.json");
    fs::write(&file, serde_json::to_string_pretty(document).expect("JSON")).expect("written");
    let input = Input::find(&file).expect("a plan");
    assert_eq!(input, Input::Terraform(file));
    load(&input, &LoadOptions::default())
}

/// A plan of these resources: type, name, known values, what is not known, and the configuration's expressions.
fn plan(resources: &[(&str, &str, Value, Value, Value)]) -> Value {
    let address = |kind: &str, name: &str| format!("{kind}.{name}");
    json!({
        "format_version": "1.2", "terraform_version": "1.9.8",
        "planned_values": { "root_module": { "resources": resources.iter().map(|(kind, name, values, ..)| json!({
            "address": address(kind, name), "mode": "managed", "type": kind, "name": name, "values": values }))
            .collect::<Vec<_>>() } },
        "resource_changes": resources.iter().map(|(kind, name, _, unknown, _)| json!({
            "address": address(kind, name), "change": { "after_unknown": unknown } })).collect::<Vec<_>>(),
        "configuration": { "root_module": { "resources": resources.iter().map(|(kind, name, _, _, expressions)| json!({
            "address": address(kind, name), "mode": "managed", "type": kind, "name": name, "expressions": expressions }))
            .collect::<Vec<_>>() } },
    })
}

#[test]
fn the_chat_runs_from_its_plan() {
    let temporary = tempfile::tempdir().expect("a folder");
    let dir = temporary.path().join("terraform-chat");
    fs::create_dir_all(dir.join("src")).expect("made");
    fs::write(dir.join("main.tf"), "").expect("written");
    let missing = Input::find(&dir).expect_err("no plan yet");
    assert_eq!(missing, FindError::NoPlan(dir.clone()));
    assert!(missing.to_string().contains("terraform show -json tfplan > plan.json"));
    fs::copy(here("../../examples/terraform-chat/src/chat.py"), dir.join("src/chat.py"))
        .expect("copied");
    fs::copy(here("tests/fixtures/terraform-chat/plan.json"), dir.join("plan.json"))
        .expect("copied");
    let input = Input::find(&dir).expect("a plan");
    let loaded = load(&input, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let stack = &loaded.app.stacks[0];
    assert_eq!(
        (&*stack.name, stack.region.as_str(), stack.account.as_str()),
        ("terraform-chat", "us-east-1", "123456789012")
    );

    let api = loaded.app.apis().next().expect("an API");
    let function = loaded.app.functions().next().expect("a function");
    let mut keys: Vec<_> = api.routes().map(|route| route.key.to_string()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["$connect", "$disconnect", "chat"]);
    for route in api.routes() {
        let integration = route.integration.as_ref().expect("an integration");
        let IntegrationTarget::Function { function: called, .. } = &integration.target else {
            panic!("{route:?}")
        };
        assert_eq!(*called, function.arn);
    }
    let (name, stage) = api.stages.iter().next().expect("a stage");
    let throttle = format!("{:?}", stage.default_settings.throttle);
    assert_eq!(
        (name.as_str(), throttle.as_str()),
        ("dev", "Some(Throttle { rate: 100.0, burst: 200 })")
    );

    assert_eq!(
        (function.name(), function.memory_mb, function.timeout.as_secs()),
        ("terraform-chat-dev", 256, 10)
    );
    assert_eq!(function.reserved_concurrency, None);
    let Code::Directory { root, source: None } = &function.code else {
        panic!("{:?}", function.code)
    };
    assert_eq!(root, &dir.join("src"));
    assert_eq!(function.environment["CONNECTIONS_TABLE"], "terraform-chat-dev-connections");
    let table = loaded.app.tables().next().expect("a table");
    assert_eq!(
        (table.name.as_str(), table.time_to_live.as_deref()),
        ("terraform-chat-dev-connections", Some("expires_at"))
    );
    let [role] = stack.roles.as_slice() else { panic!("one role") };
    assert_eq!(role.arn, function.role);
    let policies = serde_json::to_string(&role.policies).expect("JSON");
    assert!(policies.contains("dynamodb:PutItem") && policies.contains(&table.arn), "{policies}");
    let id = api.id.as_str();
    assert_eq!(
        stack.outputs[0].value,
        format!("wss://{id}.execute-api.us-east-1.amazonaws.com/dev")
    );
    let told: Vec<_> = loaded.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert!(matches!(told.as_slice(), [one] if one.contains("no effect on AWS_PROXY")), "{told:?}");
    let row =
        loaded.resources.iter().find(|row| row.kind == "AWS::Lambda::Function").expect("a row");
    assert_eq!(row.construct_path.as_deref(), Some("aws_lambda_function.chat"));
}

#[test]
fn a_state_knows_ids_that_become_ours() {
    let state = json!({ "version": 4, "terraform_version": "1.9.8", "serial": 3, "lineage": "x",
        "outputs": { "url": { "value": "wss://abc123defg.execute-api.eu-west-1.amazonaws.com/live", "type": "string" } },
        "resources": [
            { "mode": "managed", "type": "aws_apigatewayv2_api", "name": "chat", "instances": [{ "attributes": {
                "id": "abc123defg", "name": "chat", "protocol_type": "WEBSOCKET",
                "arn": "arn:aws:apigateway:eu-west-1::/apis/abc123defg" } }] },
            { "mode": "managed", "type": "aws_apigatewayv2_integration", "name": "i", "module": "module.m", "instances": [
                { "index_key": "a", "attributes": { "id": "int0001", "api_id": "abc123defg", "integration_type": "AWS_PROXY",
                    "integration_uri": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:f/invocations" } }] },
            { "mode": "managed", "type": "aws_apigatewayv2_route", "name": "r", "instances": [{ "index_key": 0, "attributes": {
                "id": "rou0001", "api_id": "abc123defg", "route_key": "$default", "target": "integrations/int0001" } }] },
            { "mode": "managed", "type": "aws_apigatewayv2_stage", "name": "s", "instances": [{ "attributes": {
                "id": "live", "name": "live", "api_id": "abc123defg", "auto_deploy": true } }] },
            { "mode": "managed", "type": "aws_lambda_function", "name": "f", "instances": [{ "attributes": {
                "function_name": "f", "runtime": "python3.12", "handler": "a.b", "filename": "code", "role": "arn:aws:iam::123456789012:role/r",
                "arn": "arn:aws:lambda:eu-west-1:123456789012:function:f",
                "environment": [{ "variables": { "URL": "https://abc123defg.execute-api.eu-west-1.amazonaws.com/live" } }] } }] },
        ] });
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("code")).expect("made");
    fs::write(dir.path().join("terraform.tfstate"), state.to_string()).expect("written");
    fs::write(dir.path().join("main.tf"), "").expect("written");
    let input = Input::find(dir.path()).expect("a state");
    let loaded = load(&input, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let stack = &loaded.app.stacks[0];
    assert_eq!((stack.account.as_str(), stack.region.as_str()), ("123456789012", "eu-west-1"));
    let api = loaded.app.apis().next().expect("an API");
    let route = api.routes().next().expect("a route");
    let function = loaded.app.functions().next().expect("a function");
    let target = &route.integration.as_ref().expect("an integration").target;
    assert!(
        matches!(target, IntegrationTarget::Function { function: called, .. } if *called == function.arn),
        "{target:?}"
    );
    let url = format!("https://{}.execute-api.eu-west-1.amazonaws.com/live", api.id);
    assert_eq!(function.environment["URL"], url);
    assert_eq!(stack.outputs[0].value, url.replace("https", "wss"));
    assert!(loaded.resources.iter().any(|row| row.construct_path.as_deref()
        == Some("module.m.aws_apigatewayv2_integration.i[\"a\"]")));
}

#[test]
fn tables_items_secrets_and_what_is_not_here_are_read() {
    let unknown = json!({});
    let loaded = load_json(&plan(&[
        ("aws_dynamodb_table", "t", json!({ "name": "things", "billing_mode": "PROVISIONED", "read_capacity": 1, "write_capacity": 2,
            "tags": null, "tags_all": { "team": "chat" },
            "hash_key": "id", "range_key": "at", "stream_enabled": true, "stream_view_type": "NEW_IMAGE",
            "attribute": [{ "name": "id", "type": "S" }, { "name": "at", "type": "N" }, { "name": "room", "type": "S" }],
            "global_secondary_index": [{ "name": "by-room", "hash_key": "room", "range_key": "", "projection_type": "INCLUDE",
                "non_key_attributes": ["x"], "read_capacity": 3, "write_capacity": 4 }],
            "local_secondary_index": [{ "name": "by-room-too", "range_key": "room", "projection_type": "ALL", "non_key_attributes": [] }] }),
            unknown.clone(), json!({})),
        ("aws_dynamodb_table_item", "i", json!({ "table_name": "things", "hash_key": "id",
            "item": "{\"id\":{\"S\":\"1\"},\"at\":{\"N\":\"2\"}}" }), unknown.clone(), json!({})),
        ("aws_secretsmanager_secret", "s", json!({ "name": "pw" }), json!({ "id": true, "arn": true }), json!({})),
        ("aws_secretsmanager_secret_version", "v", json!({ "secret_string": "sesame" }), json!({ "secret_id": true }),
            json!({ "secret_id": { "references": ["aws_secretsmanager_secret.s.id", "aws_secretsmanager_secret.s"] } })),
        ("aws_ssm_parameter", "p", json!({ "name": "/p", "type": "String", "value": "v" }), unknown.clone(), json!({})),
        ("aws_lambda_function", "f", json!({ "function_name": "f", "runtime": "python3.12", "handler": "a.b", "role": "arn:aws:iam::123456789012:role/r",
            "image_uri": "x", "environment": [{ "variables": { "PW": "{{resolve:secretsmanager:pw}}", "P1": "{{resolve:ssm:/p}}" } }] }),
            unknown.clone(), json!({})),
        ("random_pet", "r", json!({}), json!({ "id": true }), json!({})),
        ("aws_rds_cluster", "db", json!({}), unknown, json!({})),
    ]))
    .unwrap_or_else(|problems| panic!("{problems}"));
    let table = loaded.app.tables().next().expect("a table");
    let definition = &table.definition;
    assert_eq!(definition["KeySchema"][1]["AttributeName"], "at");
    assert_eq!(definition["Tags"], json!([{ "Key": "team", "Value": "chat" }]));
    assert_eq!(definition["ProvisionedThroughput"]["WriteCapacityUnits"], 2);
    let index = &definition["GlobalSecondaryIndexes"][0];
    assert_eq!(
        (index["KeySchema"].as_array().map(Vec::len), &index["Projection"]["NonKeyAttributes"][0]),
        (Some(1), &json!("x"))
    );
    assert_eq!(definition["LocalSecondaryIndexes"][0]["KeySchema"][0]["AttributeName"], "id");
    assert!(definition["LocalSecondaryIndexes"][0]["Projection"].get("NonKeyAttributes").is_none());
    assert_eq!(definition["StreamSpecification"]["StreamViewType"], "NEW_IMAGE");
    let [call] = loaded.sdk_calls.as_slice() else { panic!("{:?}", loaded.sdk_calls) };
    assert_eq!(
        (call.action.as_str(), &call.parameters["Item"]["id"]["S"]),
        ("PutItem", &json!("1"))
    );
    let environment = environment_of(&loaded);
    assert_eq!((environment["PW"].as_str(), environment["P1"].as_str()), ("sesame", "v"));
    let rows: Vec<_> = loaded.resources.iter().map(|row| (row.kind.as_str(), row.action)).collect();
    assert!(rows.contains(&("Terraform::aws_rds_cluster", Action::NotRun)), "{rows:?}");
    assert!(!rows.iter().any(|(kind, _)| kind.contains("random_pet")));
}

#[test]
fn variables_that_a_plan_does_not_know_are_led_back_or_told() {
    let function = |variables: &[&str], references: Value| {
        let unknown: serde_json::Map<String, Value> =
            variables.iter().map(|name| ((*name).to_owned(), true.into())).collect();
        (
            "aws_lambda_function",
            "f",
            json!({ "function_name": "f", "runtime": "python3.12", "handler": "a.b", "image_uri": "x",
            "role": "arn:aws:iam::1:role/r", "environment": [{ "variables": { "KNOWN": "yes" } }] }),
            json!({ "environment": [{ "variables": unknown }] }),
            json!({ "environment": [{ "variables": { "references": references } }] }),
        )
    };
    let queue = || {
        (
            "aws_sqs_queue",
            "q",
            json!({ "name": "jobs" }),
            json!({ "arn": true, "id": true, "url": true }),
            json!({}),
        )
    };
    let one = load_json(&plan(&[
        queue(),
        function(&["ARN"], json!(["aws_sqs_queue.q.arn", "aws_sqs_queue.q"])),
    ]))
    .expect("it loads");
    assert_eq!(environment_of(&one)["ARN"], "arn:aws:sqs:us-east-1:000000000000:jobs");
    let two = load_json(&plan(&[
        queue(),
        function(&["ARN", "URL"], json!(["aws_sqs_queue.q.arn", "aws_sqs_queue.q.url"])),
    ]))
    .expect("it loads");
    assert_eq!(environment_of(&two).len(), 1);
    let told = format!("{:?}", two.notices);
    assert!(
        told.contains("the environment variable ARN is not set")
            && told.contains("terraform show -json > state.json"),
        "{told}"
    );
}

#[test]
fn event_sources_and_records_of_events_are_led_to_what_they_name() {
    let function = json!({ "function_name": "f", "runtime": "python3.12", "handler": "a.b", "image_uri": "x",
        "role": "arn:aws:iam::1:role/r" });
    let refers = |to: &str| json!({ "references": [to, "x.y"] });
    let loaded = load_json(&plan(&[
        ("aws_sqs_queue", "q", json!({ "name": "dead" }), json!({ "arn": true, "id": true }), json!({})),
        ("aws_lambda_function", "f", function, json!({ "arn": true }), json!({})),
        ("aws_dynamodb_table", "t", json!({ "name": "t", "billing_mode": "PAY_PER_REQUEST", "hash_key": "id",
            "attribute": [{ "name": "id", "type": "S" }], "stream_enabled": true, "stream_view_type": "KEYS_ONLY" }),
            json!({ "stream_arn": true }), json!({})),
        ("aws_lambda_event_source_mapping", "m", json!({ "function_name": "f", "batch_size": 7, "starting_position": "LATEST",
            "filter_criteria": [{ "filter": [{ "pattern": "{\"eventName\":[\"INSERT\"]}" }] }],
            "destination_config": [{ "on_failure": [{}] }] }),
            json!({ "event_source_arn": true }),
            json!({ "event_source_arn": refers("aws_dynamodb_table.t.stream_arn"),
                "destination_config": [{ "on_failure": [{ "destination_arn": refers("aws_sqs_queue.q.arn") }] }] })),
        ("aws_lambda_function_event_invoke_config", "c", json!({ "function_name": "f", "maximum_retry_attempts": 1,
            "destination_config": [{ "on_success": [{ "destination": "arn:aws:sqs:us-east-1:000000000000:done" }], "on_failure": [] }] }),
            json!({}), json!({})),
    ]))
    .unwrap_or_else(|problems| panic!("{problems}"));
    let [source] = loaded.app.stacks[0].event_sources.as_slice() else { panic!("one") };
    let text = format!("{source:?}");
    assert!(
        text.contains("batch_size: 7")
            && text.contains(":table/t/stream/")
            && text.contains(":dead"),
        "{text}"
    );
    let parts: Vec<_> = loaded.functions.iter().flat_map(|function| &function.parts).collect();
    let config = parts.iter().find(|part| part.kind == "EventInvokeConfig").expect("a part");
    assert_eq!(
        config.properties["DestinationConfig"]["OnSuccess"]["Destination"],
        "arn:aws:sqs:us-east-1:000000000000:done"
    );
}

#[test]
fn modules_lead_on_through_their_variables_and_outputs() {
    let route = json!({ "address": "module.routes.aws_apigatewayv2_route.r", "mode": "managed", "type": "aws_apigatewayv2_route",
        "name": "r", "values": { "route_key": "$default" } });
    let document = json!({
        "format_version": "1.2", "terraform_version": "1.9.8",
        "planned_values": { "root_module": {
            "resources": [{ "address": "aws_apigatewayv2_api.a", "mode": "managed", "type": "aws_apigatewayv2_api", "name": "a",
                "values": { "name": "a", "protocol_type": "WEBSOCKET" } }],
            "child_modules": [
                { "address": "module.routes", "resources": [route] },
                { "address": "module.mock", "resources": [{ "address": "module.mock.aws_apigatewayv2_integration.i", "mode": "managed",
                    "type": "aws_apigatewayv2_integration", "name": "i", "values": { "integration_type": "MOCK" } }] }] } },
        "resource_changes": [
            { "address": "module.routes.aws_apigatewayv2_route.r", "change": { "after_unknown": { "api_id": true, "target": true } } },
            { "address": "module.mock.aws_apigatewayv2_integration.i", "change": { "after_unknown": { "api_id": true } } }],
        "configuration": { "root_module": { "module_calls": {
            "routes": { "expressions": { "api": { "references": ["aws_apigatewayv2_api.a.id", "aws_apigatewayv2_api.a"] },
                    "integration": { "references": ["module.mock.id", "module.mock"] } },
                "module": { "resources": [{ "address": "aws_apigatewayv2_route.r", "mode": "managed", "type": "aws_apigatewayv2_route", "name": "r",
                    "expressions": { "api_id": { "references": ["var.api"] }, "target": { "references": ["var.integration"] } } }] } },
            "mock": { "expressions": { "api": { "references": ["aws_apigatewayv2_api.a.id"] } },
                "module": { "outputs": { "id": { "expression": { "references": ["aws_apigatewayv2_integration.i.id"] } } },
                    "resources": [{ "address": "aws_apigatewayv2_integration.i", "mode": "managed", "type": "aws_apigatewayv2_integration", "name": "i",
                        "expressions": { "api_id": { "references": ["var.api"] } } }] } } } } } });
    let loaded = load_json(&document).unwrap_or_else(|problems| panic!("{problems}"));
    let api = loaded.app.apis().next().expect("an API");
    let target =
        &api.routes().next().expect("a route").integration.as_ref().expect("an integration").target;
    assert!(matches!(target, IntegrationTarget::Mock), "{target:?}");
}

#[test]
fn parameters_are_for_templates() {
    let file = here("tests/fixtures/terraform-chat/plan.json");
    let parameters = [("stage".to_owned(), "prod".to_owned())].into();
    let options = LoadOptions { parameters, ..LoadOptions::default() };
    let text = load(&Input::Terraform(file), &options).expect_err("a problem").to_string();
    assert!(
        text.contains("a plan has no parameter stage") && text.contains("terraform plan -var"),
        "{text}"
    );
}

#[test]
fn what_is_neither_plan_nor_state_is_told_with_the_way_to_make_one() {
    let text = load_json(&json!({ "format_version": "1.2", "terraform_version": "1.9.8" }))
        .expect_err("a problem")
        .to_string();
    assert!(
        text.contains("neither a plan nor a state") && text.contains("terraform show -json"),
        "{text}"
    );
}
