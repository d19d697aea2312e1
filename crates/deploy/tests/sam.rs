//! SAM: templates become what the official transform makes of them, and mistakes are told.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use stillwire_deploy::{Action, Input, LoadOptions, Loaded, Problems, load};
use stillwire_model::{Authorization, Code, Route, RouteKey};
use support::row;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A copy of an example, where `template.yaml` is one file or another.
fn example(name: &str, transformed: bool, parameters: &[(&str, &str)]) -> Loaded {
    let folder = here("../../examples").join(name);
    let dir = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(&folder).expect("the example").flatten() {
        if entry.path().is_dir() {
            fs::create_dir(dir.path().join(entry.file_name())).expect("made");
            for file in fs::read_dir(entry.path()).expect("read").flatten() {
                let to = dir.path().join(entry.file_name()).join(file.file_name());
                _ = fs::copy(file.path(), to).ok();
            }
        }
    }
    let template = match transformed {
        true => here("tests/fixtures").join(format!("{name}.transformed.json")),
        false => folder.join("template.yaml"),
    };
    let file = dir.path().join("template.yaml");
    fs::copy(template, &file).expect("copied");
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = LoadOptions { parameters: parameters.collect(), ..LoadOptions::default() };
    load(&Input::Template(file), &options).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What an app is, as a text in which nothing depends on where it lies or how its resources are ordered.
fn described(loaded: &Loaded) -> Vec<String> {
    let mut lines = Vec::new();
    for api in loaded.app.apis() {
        lines.push(format!("{} {} {:?} {:?}", api.logical_id, api.name, api.stages, api.models));
        let routes = api.routes().map(|route| Route { place: 0, ..(**route).clone() });
        lines.extend(routes.map(|route| format!("{route:?}")));
    }
    for function in loaded.app.functions() {
        let mut function = (**function).clone();
        if let Code::Directory { root, .. } = &mut function.code {
            *root = root.file_name().map(PathBuf::from).unwrap_or_default();
        }
        lines.push(format!("{function:?}"));
    }
    lines.extend(loaded.app.tables().map(|table| format!("{table:?}")));
    for stack in &loaded.app.stacks {
        lines.extend(stack.roles.iter().map(|role| {
            let mut policies: Vec<String> = role.policies.iter().map(ordered).collect();
            policies.sort_unstable();
            format!("{} {policies:?} {:?}", role.arn, role.unknown_policies)
        }));
        lines.push(format!("{:?}", stack.outputs));
    }
    lines.extend(
        loaded
            .resources
            .iter()
            .map(|row| format!("{} {} {:?} {}", row.logical_id, row.kind, row.action, row.note)),
    );
    lines.sort_unstable();
    lines
}

/// A document with its members in one order.
fn ordered(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let mut members: Vec<_> =
                map.iter().map(|(name, value)| format!("{name}={}", ordered(value))).collect();
            members.sort_unstable();
            format!("{members:?}")
        }
        serde_json::Value::Array(items) => {
            format!("{:?}", items.iter().map(ordered).collect::<Vec<_>>())
        }
        other => other.to_string(),
    }
}

#[test]
fn the_chat_is_what_the_official_transform_makes_of_it() {
    let parameters = [("StageName", "Test")];
    let ours = example("sam-chat", false, &parameters);
    let theirs = example("sam-chat", true, &parameters);
    assert_eq!(described(&ours), described(&theirs));
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
    assert_eq!(described(&ours), described(&theirs));
    let api = ours.app.apis().next().expect("an API");
    assert_eq!(api.routes().count(), 3);
    let connect = api.routes().find(|route| route.key == RouteKey::Connect).expect("$connect");
    assert!(matches!(connect.authorization, Authorization::Custom(_)));
    let (name, stage) = api.stages.iter().next().expect("a stage");
    let throttle = stage.default_settings.throttle.as_ref().expect("a throttle");
    assert_eq!((name.as_str(), throttle.rate as u32, throttle.burst), ("live", 20, 40));
    assert!(ours.app.stacks[0].outputs[0].value.ends_with(".amazonaws.com/live"));
}
