//! Content handling: base64 of clients becomes bytes for a backend, and bytes of a backend become base64.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Got, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// What the backend answers: no UTF-8 text.
const BLOB: &[u8] = b"\xff\x00\xfe";

/// A backend that answers [`BLOB`] to everything but `/echo`, which gives back what it got.
fn backend() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let (sender, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || while serve(&stream, &sender).is_some() {});
        }
    });
    (address, got)
}

/// Serves a request; tells its content type and body.
fn serve(mut stream: &TcpStream, got: &Sender<(String, Vec<u8>)>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut kind) = (String::new(), 0, String::new());
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("content-type", value)) => value.clone_into(&mut kind),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = if line.contains(" /echo ") { body.clone() } else { BLOB.to_vec() };
    got.send((kind, body)).ok()?;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len()).ok()?;
    stream.write_all(&answer).ok()
}

/// A two-way route to an integration, with these properties of its `$default` response, if it has one.
fn with_route(app: App, key: &str, integration: Value, response: Option<Value>) -> App {
    let resource = |kind: &str, mut properties: Value| {
        properties["ApiId"] = json!({ "Ref": "Api" });
        json!({ "Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties })
    };
    let id = |kind: &str| format!("{kind}{key}");
    let target = json!({ "Fn::Join": ["/", ["integrations", { "Ref": id("I") }]] });
    let mut app = app
        .resource(&id("I"), resource("Integration", integration))
        .resource(&id("R"), resource("Route", json!({ "RouteKey": key, "Target": target })))
        .resource(
            &id("RR"),
            resource(
                "RouteResponse",
                json!({ "RouteId": { "Ref": id("R") }, "RouteResponseKey": "$default" }),
            ),
        );
    if let Some(mut response) = response {
        response["IntegrationId"] = json!({ "Ref": id("I") });
        response["IntegrationResponseKey"] = json!("$default");
        app = app.resource(&id("IR"), resource("IntegrationResponse", response));
    }
    app
}

fn http(uri: &str, more: Value) -> Value {
    let mut integration =
        json!({ "IntegrationType": "HTTP", "IntegrationMethod": "POST", "IntegrationUri": uri });
    for (name, value) in more.as_object().unwrap() {
        integration[name] = value.clone();
    }
    integration
}

fn said(client: &mut Client, action: &str, data: &str) -> Got {
    client.send(&json!({ "action": action, "data": data }).to_string());
    client.receive()
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}

#[test]
fn content_is_converted_on_its_way_to_a_backend_and_back() {
    let (address, got) = backend();
    let template = json!({ "$default": "$input.path('$.data')" });
    let upload =
        json!({ "ContentHandlingStrategy": "CONVERT_TO_BINARY", "RequestTemplates": template });
    let app = with_route(
        App::new(),
        "upload",
        http(&format!("{address}/echo"), upload),
        Some(json!({ "ContentHandlingStrategy": "CONVERT_TO_TEXT" })),
    );
    let app = with_route(
        app,
        "download",
        http(&address, json!({})),
        Some(json!({ "ContentHandlingStrategy": "CONVERT_TO_TEXT",
            "ResponseTemplates": { "$default": "{\"blob\":\"$input.body\"}" } })),
    );
    let app = with_route(app, "raw", http(&address, json!({})), Some(json!({})));
    let app = with_route(
        app,
        "decoded",
        http(&format!("{address}/echo"), json!({ "RequestTemplates": template })),
        Some(json!({ "ContentHandlingStrategy": "CONVERT_TO_BINARY" })),
    );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    assert_eq!(said(&mut client, "upload", "/wD+"), text("/wD+"));
    let (kind, body) = got.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((kind.as_str(), body.as_slice()), ("application/octet-stream", BLOB));
    assert_eq!(said(&mut client, "download", ""), text("{\"blob\":\"/wD+\"}"));
    assert_eq!(said(&mut client, "decoded", "aMOp"), text("hé"));
    for (action, data) in [("upload", "not base64"), ("decoded", "not base64"), ("raw", "")] {
        let Got::Text(frame) = said(&mut client, action, data) else { panic!("{action}") };
        assert!(frame.starts_with(r#"{"message": "Internal server error""#), "{action}: {frame}");
    }
    stillwire.wait_for_log("CONVERT_TO_BINARY: the payload is not base64");
    stillwire.wait_for_log("this stage sends text messages only");
}

#[test]
fn bytes_reach_the_client_as_they_are_where_a_stage_has_binary_messages() {
    let template = json!({ "$default": "{\"statusCode\":200}" });
    let mock =
        json!({ "IntegrationType": "MOCK", "IntegrationUri": "", "RequestTemplates": template });
    let app = with_route(
        App::new(),
        "blob",
        mock,
        Some(json!({ "ContentHandlingStrategy": "CONVERT_TO_BINARY",
            "ResponseTemplates": { "$default": "/wD+" } })),
    );
    let template = app.template();
    let settings = template.with_file_name("stillwire.toml");
    std::fs::write(settings, "[stages.test.limits]\nbinary = true\n").unwrap();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    assert_eq!(said(&mut stillwire.connect(), "blob", ""), Got::Binary(BLOB.to_vec()));
}
