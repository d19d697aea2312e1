//! The Runtime API at an address: every status and body that other runtimes may meet, and who may ask at all.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::House;
use serde_json::{Value, json};
use stillwire_model::{Code, Function, LogSource, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A runtime that does what its event says: Python lines that call `ask`, and say what they saw in `seen`.
const RUNTIME: &str = r#"
import base64, http.client, json, os, socket, subprocess, sys, time
address = os.environ["AWS_LAMBDA_RUNTIME_API"]
API = "/2018-06-01/"
connection = http.client.HTTPConnection(address)

def ask(method, path, body=None, headers={}):
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return [response.status, response.read().decode(), {k.lower(): v for k, v in response.getheaders()}]

def post(path, body, headers={}):
    global kind
    answer = ask("POST", API + "runtime/" + path, body, headers)
    kind = answer[2]["content-type"]
    return answer[:2]

if os.environ.get("AT_START"):
    exec(os.environ["AT_START"])
while True:
    status, body, headers = ask("GET", API + "runtime/invocation/next")
    id, seen, answer = headers["lambda-runtime-aws-request-id"], [], True
    exec(json.loads(body))
    if answer:
        post("invocation/" + id + "/response", json.dumps(seen))
"#;

fn executable(house: &House, name: &str, text: &str) {
    house.write(name, text);
    let path = house.code.path().join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn python() -> String {
    let output = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn provided(house: &House, name: &str) -> Function {
    let mut function = house.function(name, "any.thing");
    function.runtime = Runtime::Provided("provided.al2023".to_owned());
    function
}

async fn house() -> House {
    let house = House::new();
    executable(&house, "bootstrap", &format!("#!{}\n{RUNTIME}", python()));
    house.add(provided(&house, "f")).await;
    house
}

async fn seen(house: &House, code: &str) -> Value {
    let text = house.returned("f", &json!(code).to_string()).await;
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_with_its_headers() {
    let house = house().await;
    let headers = seen(&house, "seen = [headers, time.time() * 1000]").await;
    let (now, headers) = (headers[1].as_f64().unwrap(), headers[0].as_object().unwrap().clone());
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["lambda-runtime-invoked-function-arn"], common::arn("f").as_str());
    assert_eq!(headers["lambda-runtime-trace-id"], "Root=1-2-3");
    assert_eq!(headers["lambda-runtime-aws-request-id"].as_str().unwrap().len(), 36);
    let deadline: f64 = headers["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    assert!((9000.0..=10_000.0).contains(&(deadline - now)), "{deadline} {now}");
    for absent in ["client-context", "cognito-identity", "aws-tenant-id"] {
        assert!(!headers.contains_key(&format!("lambda-runtime-{absent}")), "{absent}");
    }
    // As often as it takes: whoever is busy hears of it later.
    let mut late = f64::MAX;
    for _ in 0..20 {
        let code = "seen = [int(headers['lambda-runtime-deadline-ms']), time.time() * 1000]";
        let times = seen(&house, code).await;
        let after = times[1].as_f64().unwrap() + 10_000.0 - times[0].as_f64().unwrap();
        assert!(after >= -1.0, "before it was sent: {times}");
        late = late.min(after);
    }
    assert!(late <= 5.0, "{late} ms");
    let environment = seen(&house, "seen = [os.environ.get(n) for n in ('AWS_EXECUTION_ENV', '_HANDLER', 'AWS_LAMBDA_RUNTIME_API')]").await;
    assert_eq!((&environment[0], &environment[1]), (&Value::Null, &json!("any.thing")));
    assert!(environment[2].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_taken_once_and_only_for_the_current_invocation() {
    let house = house().await;
    let wrong =
        json!([400, r#"{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#]);
    let answers = seen(
        &house,
        "seen = [post('invocation/other/response', '1'), post('invocation/other/error', '{}')]",
    )
    .await;
    assert_eq!(answers, json!([wrong, wrong]));
    let code = "first = post('invocation/' + id + '/response', '\"first\"'); answer = False; kept = [first, kind]; kept.insert(1, post('invocation/' + id + '/response', '2'))";
    assert_eq!(house.returned("f", &json!(code).to_string()).await, "\"first\"");
    let kept = seen(&house, "seen = kept").await;
    assert_eq!(kept, json!([[202, "{\"status\":\"OK\"}\n"], wrong, "application/json"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_moment_is_refused() {
    let house = house().await;
    let code = "seen = [ask('GET', API + 'runtime/invocation/next')[:2], post('init/error', '{}'), \
                post('invocation/' + id + '/response', '1', {'Lambda-Runtime-Function-Response-Mode': 'other'})]";
    let answers = seen(&house, code).await;
    for at in [0, 1] {
        assert_eq!(answers[at][0], 403, "{answers}");
        let error: Value = serde_json::from_str(answers[at][1].as_str().unwrap()).unwrap();
        assert_eq!(error["errorType"], "InvalidStateTransition");
        assert!(
            error["errorMessage"]
                .as_str()
                .unwrap()
                .starts_with("State transition from Running to ")
        );
    }
    let mode = json!([
        400,
        r#"{"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}"#
    ]);
    assert_eq!(answers[2], mode);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_may_have_six_megabytes_and_a_hundred_bytes() {
    let house = house().await;
    let code = |size: usize| {
        let post =
            format!("kept = post('invocation/' + id + '/response', b'1' * {size}); answer = False");
        json!(post).to_string()
    };
    assert_eq!(house.returned("f", &code(6_291_556)).await.len(), 6_291_556);
    let error = house.failed("f", &code(6_291_557)).await;
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");
    let kept = seen(&house, "seen = kept").await;
    let message = "Exceeded maximum allowed payload size (6291556 bytes).";
    let body = json!({ "errorMessage": message, "errorType": "RequestEntityTooLarge" });
    assert_eq!(kept, json!([413, body.to_string()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_reaches_the_caller_byte_for_byte_with_a_large_cause_beside_it() {
    let house = house().await;
    let code = "kept = post('invocation/' + id + '/error', '{\"errorType\" :\"Mine\",  \"x\": 1}', \
                {'Lambda-Runtime-Function-XRay-Error-Cause': 'x' * 900000}); answer = False";
    let outcome = house.invoke("f", &json!(code).to_string()).await.unwrap();
    let body = stillwire_model::Outcome::Failed("{\"errorType\" :\"Mine\",  \"x\": 1}".into());
    assert_eq!(outcome, body);
    assert_eq!(seen(&house, "seen = kept").await[0], 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_result_is_put_together_and_may_fail_at_its_end() {
    let house = house().await;
    let head = |end: &str| {
        format!(
            "raw = socket.create_connection(address.split(':')); answer = False\n\
             raw.sendall(('POST ' + API + 'runtime/invocation/' + id + '/response HTTP/1.1\\r\\nHost: x\\r\\n\
             Lambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\n\
             Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n\
             2\\r\\n\"a\\r\\n2\\r\\nb\"\\r\\n').encode())\n{end}"
        )
    };
    let whole = head("raw.sendall(b'0\\r\\n\\r\\n'); raw.recv(999)");
    assert_eq!(house.returned("f", &json!(whole).to_string()).await, "\"ab\"");
    let failing = head(
        "error = base64.b64encode(b'{\"errorType\": \"Late\"}')\n\
         raw.sendall(b'0\\r\\nLambda-Runtime-Function-Error-Type: Late\\r\\nLambda-Runtime-Function-Error-Body: ' + error + b'\\r\\n\\r\\n'); raw.recv(999)",
    );
    assert_eq!(
        house.failed("f", &json!(failing).to_string()).await,
        json!({ "errorType": "Late" })
    );
    // Time to see whose connection it is, and to see its end before the next request.
    let broken = head("time.sleep(0.3); raw.close(); time.sleep(0.3)");
    let error = house.failed("f", &json!(broken).to_string()).await;
    assert_eq!(error["errorType"], "Runtime.TruncatedResponse");
    assert_eq!(seen(&house, "seen = 1").await, 1);
    // The same where it ends with its process.
    let error = house.failed("f", &json!(head("os._exit(4)")).to_string()).await;
    let kind = error["errorType"].as_str().unwrap();
    assert!(matches!(kind, "Runtime.TruncatedResponse" | "Runtime.ExitError"), "{error}");
    assert_eq!(seen(&house, "seen = 2").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_answer_as_where_extensions_are_off() {
    let house = house().await;
    let code = "seen = [ask(*a)[:2] for a in [('GET', API + 'ping'), ('GET', API + 'nothing'), ('POST', '/2020-01-01/extension/register', '{}'), \
                ('PUT', '/2022-07-01/telemetry', '{}'), ('PUT', '/2020-08-15/logs', '{}'), ('DELETE', API + 'runtime/invocation/next')]]";
    let answers = seen(&house, code).await;
    assert_eq!(answers[0], json!([200, "pong"]));
    let statuses: Vec<&Value> =
        answers.as_array().unwrap().iter().map(|answer| &answer[0]).collect();
    assert_eq!(statuses, [200, 404, 404, 202, 202, 404]);
    assert_eq!(
        answers[3][1],
        r#"{"errorMessage":"Telemetry API is not supported","errorType":"Telemetry.NotSupported"}"#
    );
    assert_eq!(
        answers[4][1],
        r#"{"errorMessage":"Logs API is not supported","errorType":"Logs.NotSupported"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_error_is_what_the_waiting_caller_gets() {
    let house = House::new();
    executable(&house, "bootstrap", &format!("#!{}\n{RUNTIME}", python()));
    let mut function = provided(&house, "f");
    let start =
        "print(post('init/error', '{\"errorType\": \"Extension.No\"}')); sys.exit(1)".to_owned();
    function.environment.insert("AT_START".to_owned(), start);
    house.add(function).await;
    for _ in 0..2 {
        assert_eq!(house.failed("f", "{}").await, json!({ "errorType": "Extension.No" }));
    }
    house
        .until("the answer is logged", |house| {
            house.logs.texts(LogSource::Function).iter().any(|line| line.contains("[202, "))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_another_kind_gets_no_event() {
    let house = house().await;
    let address = seen(&house, "seen = address").await;
    let mut stranger = tokio::net::TcpStream::connect(address.as_str().unwrap()).await.unwrap();
    stranger
        .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut got = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), stranger.read_to_end(&mut got)).await;
    // A reset is as good an end as any.
    drop(end.unwrap());
    assert!(got.is_empty(), "{}", String::from_utf8_lossy(&got));
    // A child of the runtime, and one that left its session, belong to it.
    let code = "child = 'import http.client; c = http.client.HTTPConnection(%r); c.request(\"GET\", \"/2018-06-01/ping\"); print(c.getresponse().read().decode())' % address\n\
                seen = [subprocess.check_output([sys.executable, '-c', child], text=True, start_new_session=away).strip() for away in (False, True)]";
    assert_eq!(seen(&house, code).await, json!(["pong", "pong"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_an_address_of_its_own_and_its_own_events() {
    let house = house().await;
    // Each ends when all four run.
    let code = |number: u32| {
        format!(
            "import glob; open('mark-%d' % os.getpid(), 'w').close(); end = time.time() + 9\n\
             while len(glob.glob('mark-*')) < 4 and time.time() < end: time.sleep(0.01)\n\
             seen = [{number}, address, os.getpid()]"
        )
    };
    let codes: Vec<String> = (0..4).map(code).collect();
    let asked = codes.iter().map(|code| seen(&house, code));
    let all = common::join_all(asked).await;
    let different = |at: usize| {
        let values: std::collections::BTreeSet<String> =
            all.iter().map(|one| one[at].to_string()).collect();
        values.len()
    };
    assert_eq!((different(1), different(2)), (4, 4), "{all:?}");
    for (number, one) in all.iter().enumerate() {
        assert_eq!(one[0], number, "the answer to this event");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_hung_up_and_asks_anew_gets_the_event() {
    let house = house().await;
    let hang_up = "post('invocation/' + id + '/response', '1'); answer = False\n\
                   raw = socket.create_connection(address.split(':'))\n\
                   raw.sendall(('GET ' + API + 'runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n').encode())\n\
                   time.sleep(0.2); raw.close(); time.sleep(0.2)";
    assert_eq!(house.returned("f", &json!(hang_up).to_string()).await, "1");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(seen(&house, "seen = 2").await, 2);
    assert_eq!(house.functions.environments().into_values().sum::<usize>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_ends_is_told_at_once() {
    let house = house().await;
    let start = tokio::time::Instant::now();
    let error = house.failed("f", "\"os._exit(7)\"").await;
    assert!(error["errorMessage"].as_str().unwrap().ends_with("exit status 7"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(seen(&house, "seen = 1").await, 1);
}

/// It complained of that in the log, of each that was no longer needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_ended_while_it_waits_does_not_see_its_connection_go() {
    let house = house().await;
    let all = (0..6).map(|_| seen(&house, "time.sleep(0.3)"));
    common::join_all(all).await;
    house.functions.stop(Duration::from_secs(1)).await;
    assert_eq!(house.logs.texts(LogSource::Function), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_script_with_curl_is_a_runtime() {
    let house = House::new();
    let script = "#!/bin/sh\nset -eu\ncd \"$LAMBDA_TASK_ROOT\"\nbase=\"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\"\n\
        while true; do\n  headers=$(mktemp)\n  event=$(curl -sS -D \"$headers\" \"$base/next\")\n\
          id=$(grep -i lambda-runtime-aws-request-id \"$headers\" | tr -d '[:space:]' | cut -d: -f2)\n\
          curl -sS -o /dev/null -d \"[$event, \\\"$_HANDLER\\\"]\" \"$base/$id/response\"\ndone\n";
    executable(&house, "bootstrap", script);
    house.add(provided(&house, "f")).await;
    for event in ["1", "2", "{}"] {
        assert_eq!(house.returned("f", event).await, format!("[{event}, \"any.thing\"]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_package_lacks_is_told_with_the_remedy() {
    let house = House::with(|config| config.places.push("/usr/bin".into()));
    house.write("other.txt", "");
    let problem = async |runtime: &str, name: &str| {
        let mut function = house.function(name, "x.Y::z");
        function.runtime = Runtime::parse(runtime).unwrap();
        house.add(function).await;
        house.invoke(name, "{}").await.unwrap_err().to_string()
    };
    assert!(problem("provided.al2", "a").await.contains("its package has no file `bootstrap`"));
    house.write("bootstrap", "#!/bin/sh\n");
    let text = problem("provided.al2", "b").await;
    assert!(text.contains("may not be executed: chmod +x "), "{text}");
    for (runtime, name, client) in [
        ("java21", "c", "aws-lambda-java-runtime-interface-client"),
        ("dotnet8", "d", "dotnet"),
        ("ruby3.4", "e", "gem install aws_lambda_ric"),
    ] {
        let text = problem(runtime, name).await;
        assert!(text.contains(client) || text.contains("install java21"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_in_an_archive_may_be_run() {
    let house = House::new();
    let path = house.code.path().join("code.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    writer.start_file("bootstrap", options).unwrap();
    std::io::Write::write_all(&mut writer, format!("#!{}\n{RUNTIME}", python()).as_bytes())
        .unwrap();
    writer.finish().unwrap();
    let mut function = provided(&house, "f");
    function.code = Code::Archive(path);
    house.add(function).await;
    assert_eq!(seen(&house, "seen = 'zip'").await, "zip");
}
