//! The two example apps, loaded from the assemblies that lie beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stillwire_deploy::{Action, Input, LoadOptions, Loaded, load, rewrite_addresses};
use stillwire_model::{Authorization, Code, IdentitySource, IntegrationTarget, Runtime, StageName};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn loaded(name: &str, options: &LoadOptions) -> Loaded {
    let input = Input::find(&example(name)).expect("the example is there");
    load(&input, options).unwrap_or_else(|e| panic!("{e}"))
}

fn stage(name: &str) -> LoadOptions {
    LoadOptions { stage: Some(name.to_owned()), ..LoadOptions::default() }
}

#[test]
fn the_chat_has_one_stack_for_each_of_its_three_stages() {
    let loaded = loaded("cdk-chat", &LoadOptions::default());
    let stacks: Vec<_> = loaded
        .app
        .stacks
        .iter()
        .map(|s| (s.name.as_ref(), s.display_name.as_str(), s.account.as_str(), s.region.as_str()))
        .collect();
    assert_eq!(
        stacks,
        [
            ("dev-Chat", "dev/Chat", "999999999999", "us-east-1"),
            ("stage-Chat", "stage/Chat", "999999999999", "us-east-1"),
            ("prod-Chat", "prod/Chat", "999999999999", "us-east-1"),
        ]
    );
    assert_eq!(loaded.notices, [], "an app that runs as on AWS has nothing to be told");
}

#[test]
fn both_functions_of_a_stage_run_from_the_folder_their_author_edits() {
    let loaded = loaded("cdk-chat", &stage("dev"));
    let [stack] = loaded.app.stacks.as_slice() else { panic!("one stack") };
    let source = example("cdk-chat/functions").canonicalize().unwrap();
    let mut handlers: Vec<_> = stack.functions.iter().map(|f| f.handler.as_str()).collect();
    handlers.sort_unstable();
    assert_eq!(handlers, ["authorizer.handler", "websocket.handler"]);
    for function in &stack.functions {
        assert_eq!(function.memory_mb, 512);
        assert_eq!(function.timeout, Duration::from_secs(30));
        assert_eq!(function.runtime, Runtime::Python(12));
        assert_eq!(function.code, Code::Directory { root: source.clone(), source: None });
        assert!(function.name().starts_with("dev-Chat-"), "{}", function.name());
    }
}

#[test]
fn a_stages_environment_names_its_own_table_and_the_local_address() {
    let mut loaded = loaded("cdk-chat", &stage("prod"));
    rewrite_addresses(&mut loaded.app, &|_| Some("127.0.0.1:3001".to_owned()));
    let stack = &loaded.app.stacks[0];
    let function = stack.functions.iter().find(|f| f.handler == "websocket.handler").unwrap();
    assert_eq!(function.environment["API_GATEWAY_URL"], "wss://127.0.0.1:3001/prod");
    assert_eq!(function.environment["CONNECTIONS_TABLE"], stack.tables[0].name);
    assert!(stack.tables[0].name.starts_with("prod-Chat-Connections827CEF2F-"));
    let outputs: Vec<_> =
        stack.outputs.iter().map(|o| (o.key.as_str(), o.value.as_str())).collect();
    assert_eq!(
        outputs,
        [
            ("WebSocketURL", "wss://127.0.0.1:3001/prod"),
            ("CallbackURL", "https://127.0.0.1:3001/prod"),
        ]
    );
}

#[test]
fn each_route_calls_its_function_and_only_connect_has_the_authorizer() {
    let loaded = loaded("cdk-chat", &stage("dev"));
    let api = loaded.app.apis().next().unwrap();
    assert_eq!((api.name.as_str(), api.id.as_str().len()), ("WebsocketAPI", 10));
    assert_eq!(api.route_selection.as_str(), "$request.body.action");
    assert_eq!(api.stages.keys().map(StageName::as_str).collect::<Vec<_>>(), ["dev"]);
    let mut keys: Vec<_> = api.routes().map(|route| route.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["$connect", "$disconnect", "chat"]);
    let named =
        |handler: &str| loaded.app.functions().find(|f| f.handler == handler).unwrap().arn.clone();
    for route in api.routes() {
        let integration = route.integration.as_ref().unwrap();
        let target =
            IntegrationTarget::Function { function: named("websocket.handler"), qualifier: None };
        assert_eq!((&integration.target, integration.timeout), (&target, Duration::from_secs(29)));
        assert!(!route.two_way);
        match (&route.authorization, route.key.as_str()) {
            (Authorization::Custom(authorizer), "$connect") => {
                assert_eq!(authorizer.function, named("authorizer.handler"));
                let source = IdentitySource::Header("Authorization".to_owned());
                assert_eq!(authorizer.identity_sources, [source]);
            }
            (Authorization::None, "$disconnect" | "chat") => {}
            (other, key) => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn the_table_is_declared_as_create_table_wants_it() {
    let loaded = loaded("cdk-chat", &stage("dev"));
    let table = loaded.app.tables().next().unwrap();
    assert_eq!(table.definition["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table.definition["TableName"], table.name);
    assert_eq!(table.definition["KeySchema"][0]["AttributeName"], "connection_id");
    assert_eq!(table.deletion_policy, stillwire_model::DeletionPolicy::Delete);
    assert!(table.arn.starts_with("arn:aws:dynamodb:us-east-1:999999999999:table/dev-Chat-"));
}

#[test]
fn every_resource_has_a_row_and_none_is_left_undone() {
    let loaded = loaded("cdk-chat", &stage("dev"));
    assert_eq!(loaded.resources.len(), 20);
    assert!(loaded.resources.iter().all(|row| row.action != Action::NotRun));
    let table = &loaded.resources[0];
    assert_eq!(table.construct_path.as_deref(), Some("dev/Chat/Connections/Resource"));
    assert_eq!((table.action, table.location.position.line), (Action::Runs, 3));
}

#[test]
fn the_seed_gives_the_same_graph_from_an_older_schema() {
    let loaded = loaded("cdk-chat-seed", &LoadOptions::default());
    let names: Vec<_> = loaded.app.stacks.iter().map(|s| s.display_name.as_str()).collect();
    assert_eq!(names, ["dev/WebSocketStack", "stage/WebSocketStack", "prod/WebSocketStack"]);
    let stack = &loaded.app.stacks[0];
    assert_eq!((stack.account.as_str(), stack.region.as_str()), ("99999999999", "us-east-1"));
    assert_eq!((stack.apis.len(), stack.functions.len(), stack.tables.len()), (1, 2, 1));
    let source = example("cdk-chat-seed/functions").canonicalize().unwrap();
    for function in &stack.functions {
        assert_eq!(function.runtime, Runtime::Python(9));
        assert_eq!(function.code, Code::Directory { root: source.clone(), source: None });
    }
    // Without a billing mode CloudFormation provisions capacity.
    assert_eq!(stack.tables[0].definition["ProvisionedThroughput"]["ReadCapacityUnits"], 5);
    assert_eq!(stack.tables[0].deletion_policy, stillwire_model::DeletionPolicy::Retain);
}

#[test]
fn three_stages_share_one_asset_and_no_id() {
    let loaded = loaded("cdk-chat", &LoadOptions::default());
    let ids: std::collections::BTreeSet<_> = loaded.app.apis().map(|api| api.id.clone()).collect();
    let tables: std::collections::BTreeSet<_> =
        loaded.app.tables().map(|t| t.name.clone()).collect();
    assert_eq!((ids.len(), tables.len()), (3, 3));
    let codes: std::collections::HashSet<_> =
        loaded.app.functions().map(|f| format!("{:?}", f.code)).collect();
    assert_eq!(codes.len(), 1);
}

#[test]
fn a_restart_gives_the_same_ids() {
    let ids = || {
        let loaded = loaded("cdk-chat", &LoadOptions::default());
        let apis: Vec<_> = loaded.app.apis().map(|api| api.id.clone()).collect();
        let functions: Vec<_> = loaded.app.functions().map(|f| f.arn.clone()).collect();
        (apis, functions)
    };
    assert_eq!(ids(), ids());
}

#[test]
fn stacks_are_chosen_as_the_cdk_chooses_them() {
    let names = |patterns: &[&str]| -> Result<Vec<String>, String> {
        let stacks = patterns.iter().map(|p| (*p).to_owned()).collect();
        let options = LoadOptions { stacks, ..LoadOptions::default() };
        load(&Input::find(&example("cdk-chat")).unwrap(), &options)
            .map(|loaded| loaded.app.stacks.iter().map(|s| s.name.to_string()).collect())
            .map_err(|problems| problems.to_string())
    };
    assert_eq!(names(&["dev/*"]).unwrap(), ["dev-Chat"]);
    assert_eq!(names(&["dev-Chat", "prod/Chat"]).unwrap(), ["dev-Chat", "prod-Chat"]);
    assert_eq!(names(&["**"]).unwrap().len(), 3);
    let error = names(&["test/*"]).unwrap_err();
    assert!(error.contains("no stack matches test/*; there are: dev/Chat, stage/Chat, prod/Chat"));
}

#[test]
fn an_unknown_stage_is_answered_with_the_ones_there_are() {
    let error = load(&Input::find(&example("cdk-chat")).unwrap(), &stage("test")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("there is no stage test; there are: dev/Chat, stage/Chat, prod/Chat"),
        "{text}"
    );
}
