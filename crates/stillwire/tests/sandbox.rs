//! `--sandbox strict` with the real program: a whole app in it.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says what went wrong by panicking, or what it skips"
)]

use serde_json::json;
use stillwire_testkit::{App, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Posts to its own client, over the network that a sandbox leaves it; then tells what it can read.
const CODE: &str = r#"
import http.client, json, os
def handler(event, context):
    asked = event["requestContext"]
    host = asked["domainName"].partition(":")
    connection = http.client.HTTPConnection(host[0], int(host[2] or 80))
    path = "/%s/@connections/%s" % (asked["stage"], asked["connectionId"])
    connection.request("POST", path, "posted")
    status = connection.getresponse().status
    read = []
    for path in event["body"].split():
        try:
            read.append(os.listdir(path))
        except OSError as error:
            read.append(error.strerror)
    return {"statusCode": 200, "body": json.dumps([status, os.environ["TMPDIR"], read])}
"#;

fn start(arguments: &[&str], settings: &str) -> (App, std::path::PathBuf, Stillwire) {
    let app = App::new().function("all", CODE).two_way_route("$default", "all");
    let template = app.template();
    std::fs::write(template.with_file_name("stillwire.toml"), settings).unwrap();
    let data = template.with_file_name("state");
    let mut all = vec!["--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &all);
    (app, data, stillwire)
}

#[test]
fn an_app_runs_in_a_strict_sandbox_and_does_not_see_where_state_is_kept() {
    for (arguments, settings) in
        [(["--sandbox", "strict"].as_slice(), ""), (&[], "[functions]\nsandbox = \"strict\"\n")]
    {
        let (_app, data, stillwire) = start(arguments, settings);
        stillwire.wait_for_log("sandbox: ");
        let log = stillwire.log();
        if !log.lines().any(|line| line.starts_with("sandbox: namespaces, landlock")) {
            println!("skipped: {log}");
            return;
        }
        let mut client = stillwire.connect();
        client.send(&format!("{} /root", data.display()));
        assert_eq!(client.text(), "posted");
        let said: serde_json::Value = serde_json::from_str(&client.text()).unwrap();
        assert_eq!((&said[0], &said[1]), (&json!(200), &json!("/tmp")), "{said}");
        // At most the way to what belongs to the function.
        assert!(!said[2][0].to_string().contains("tables.db"), "{said}");
        assert!(said[2][1] == json!([]) || said[2][1].is_string(), "{said}");
    }
}

#[test]
fn the_command_line_says_more_than_the_file() {
    let (_app, data, stillwire) =
        start(&["--sandbox", "usual"], "[functions]\nsandbox = \"strict\"\n");
    let mut client = stillwire.connect();
    client.send(&data.display().to_string());
    assert_eq!(client.text(), "posted");
    assert!(client.text().contains("tables.db"));
    assert!(!stillwire.log().contains("sandbox: "), "{}", stillwire.log());
}
