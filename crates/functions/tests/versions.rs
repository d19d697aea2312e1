//! Versions, aliases and what else an invocation can say besides its event.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and tell numbers")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{House, arn, invocation, join_all};
use serde_json::{Value, json};
use stillwire_model::{
    Alias, Function, FunctionRelease, Invocation, Invoke, InvokeError, Invoked, Outcome,
};

const CODE: &str = r#"
import time

def who(event, context):
    return [context.function_version, context.invoked_function_arn.split(":")[6:]]

def about(event, context):
    client = context.client_context
    print("a line")
    return [client and client.custom, client and client.client and client.client.app_title, context.aws_request_id]

def chatty(event, context):
    print("x" * 5000)
    raise ValueError("boom")

def slow(event, context):
    time.sleep(1)
"#;

fn house(handler: &str) -> (House, Function) {
    let house = House::new();
    house.write("app.py", CODE);
    let function = house.function("f", handler);
    (house, function)
}

fn json_of(invoked: &Invoked) -> Value {
    match &invoked.outcome {
        Outcome::Returned(body) | Outcome::Failed(body) => serde_json::from_slice(body).unwrap(),
    }
}

fn tail_of(invoked: &Invoked) -> String {
    String::from_utf8(invoked.log_tail.clone().unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_or_alias_runs_what_it_stands_for_and_an_unknown_one_nothing() {
    let (house, latest) = house("app.who");
    let version = |number: &str| Arc::new(Function { version: number.into(), ..latest.clone() });
    let alias = |version: &str, second: Option<(&str, f64)>| Alias {
        version: version.to_owned(),
        second: second.map(|(version, share)| (version.to_owned(), share)),
    };
    let release = FunctionRelease {
        latest: Arc::new(latest.clone()),
        versions: vec![version("1"), version("2")],
        aliases: BTreeMap::from([
            ("live".to_owned(), alias("1", None)),
            ("half".to_owned(), alias("1", Some(("2", 1.0)))),
            ("head".to_owned(), alias("$LATEST", None)),
        ]),
    };
    house.functions.deploy(vec![(release, BTreeMap::new())]);
    house.functions.prepare().await;
    for (qualifier, ran, named) in [
        (None, "$LATEST", json!(["f"])),
        (Some("$LATEST"), "$LATEST", json!(["f", "$LATEST"])),
        (Some("2"), "2", json!(["f", "2"])),
        (Some("live"), "1", json!(["f", "live"])),
        (Some("half"), "2", json!(["f", "half"])),
        (Some("head"), "$LATEST", json!(["f", "head"])),
    ] {
        let qualifier = qualifier.map(str::to_owned);
        let invocation = Invocation { qualifier, ..invocation("f", "{}") };
        let invoked = house.functions.invoke(invocation).await.unwrap();
        assert_eq!((&*invoked.version, json_of(&invoked)), (ran, json!([ran, named])));
    }
    let unknown = Invocation { qualifier: Some("3".to_owned()), ..invocation("f", "{}") };
    let error = house.functions.invoke(unknown).await.unwrap_err();
    let expected = InvokeError::UnknownQualifier { function: arn("f"), qualifier: "3".to_owned() };
    assert_eq!(error, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_say_who_it_is_and_gets_the_end_of_the_log() {
    let (house, function) = house("app.about");
    house.add(function).await;
    let invocation = Invocation {
        client_context: Some(r#"{"custom":{"k":"v"},"client":{"app_title":"phone"}}"#.into()),
        request_id: "chosen".into(),
        log_tail: true,
        ..invocation("f", "{}")
    };
    let invoked = house.functions.invoke(invocation).await.unwrap();
    assert_eq!(json_of(&invoked), json!([{ "k": "v" }, "phone", "chosen"]));
    let tail = tail_of(&invoked);
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!(
        lines[..3],
        ["START RequestId: chosen Version: $LATEST", "a line", "END RequestId: chosen"]
    );
    assert!(lines[3].starts_with("REPORT RequestId: chosen\t") && lines.len() == 4, "{tail}");
    let next = house.functions.invoke(common::invocation("f", "{}")).await.unwrap();
    assert_eq!(next.log_tail, None, "the next caller did not ask");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_s_end_is_cut_to_its_bound_also_when_the_function_fails_or_does_not_start() {
    let (house, function) = house("app.chatty");
    house.add(function).await;
    let wanted = |name: &str| Invocation { log_tail: true, ..invocation(name, "{}") };
    let invoked = house.functions.invoke(wanted("f")).await.unwrap();
    assert_eq!(json_of(&invoked)["errorMessage"], "boom");
    let tail = tail_of(&invoked);
    assert_eq!(tail.len(), 4096);
    assert!(tail.contains("ValueError: boom") && tail.contains("\nREPORT RequestId: "), "{tail}");

    let broken = Function { arn: arn("g"), ..house.function("g", "nothing.here") };
    house.add(broken).await;
    let tail = tail_of(&house.functions.invoke(wanted("g")).await.unwrap());
    assert!(tail.starts_with("START ") && tail.contains("\nREPORT RequestId: "), "{tail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_wait_is_throttled_when_the_reserved_concurrency_is_used_up() {
    let (house, mut function) = house("app.slow");
    function.reserved_concurrency = Some(2);
    house.add(function.clone()).await;
    let now = || Invocation { waits: false, ..invocation("f", "{}") };
    let outcomes = join_all((0..3).map(|_| house.functions.invoke(now()))).await;
    let throttled = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let reasons: Vec<String> = throttled.map(ToString::to_string).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains("ReservedFunctionConcurrentInvocationLimitExceeded"));
    // A place is free again as soon as its caller knows, and another limit replaces no process.
    let before = house.functions.environments();
    function.reserved_concurrency = Some(1);
    house.add(function).await;
    assert_eq!(house.functions.environments(), before);
    for _ in 0..2 {
        house.functions.invoke(now()).await.unwrap();
    }
}
