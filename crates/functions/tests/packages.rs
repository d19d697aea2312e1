//! Interpreters and packages: found, substituted, installed once, or missed with a clear word.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell numbers"
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::House;
use serde_json::{Value, json};
use stillwire_model::{Code, InvokeError, LogSource, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An interpreter without packages of its own.
fn bare_python(folder: &Path, option: &[&str]) {
    let mut command = std::process::Command::new("python3");
    let made = command.args(["-m", "venv"]).args(option).arg(folder).status().unwrap();
    assert!(made.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_is_there_though_the_interpreter_has_none() {
    let venv = tempfile::tempdir().unwrap();
    bare_python(venv.path(), &[]);
    let house = House::with(|config| config.places = vec![venv.path().join("bin")]);
    house.write("app.py", "import boto3\ndef handler(e, c):\n    return boto3.__file__\n");
    house.add(house.function("f", "app.handler")).await;
    let file: String = serde_json::from_str(&house.returned("f", "{}").await).unwrap();
    assert!(file.ends_with("/boto3/__init__.py") && file.contains("/cache/python-3."), "{file}");
    // A version that is named, not the one of the day.
    let folder = file.strip_suffix("/boto3/__init__.py").unwrap().rsplit('/').next().unwrap();
    assert!(folder.strip_prefix("boto3-1.").is_some_and(|rest| rest.contains('.')), "{file}");
}

/// Nothing is fetched the second time; what it was made of is gone by then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_installed_once_is_used_again_without_a_network() {
    let cache = tempfile::tempdir().unwrap();
    let package = tempfile::tempdir().unwrap();
    greeting(package.path());
    for first in [true, false] {
        let house = House::with(|config| config.cache_dir = cache.path().to_owned());
        house.write("requirements.txt", &format!("{}\n", package.path().display()));
        house.write("app.py", "import greeting\ndef handler(e, c):\n    return greeting.WORD\n");
        house.add(house.function("f", "app.handler")).await;
        assert_eq!(house.returned("f", "{}").await, "\"hello\"");
        let told = house.logs.texts(LogSource::Notice);
        let begun = |start: &str| told.iter().any(|line| line.starts_with(start));
        for start in
            ["installing the packages of ", "pip: Installing collected packages", "installed "]
        {
            assert_eq!(begun(start), first, "{start}: {told:?}");
        }
        if first {
            std::fs::remove_dir_all(package.path()).unwrap(); // nothing could be installed again
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_compiled_for_another_python_or_machine_is_named() {
    let house = House::new();
    for (name, suffix) in
        [("older", "cpython-36m-x86_64-linux-gnu"), ("deep/arm", "cpython-311-riscv64-linux-gnu")]
    {
        house.write(&format!("{name}.{suffix}.so"), "x");
        let module = name.replace('/', ".");
        house.write("app.py", &format!("import {module}\ndef handler(e, c):\n    pass\n"));
        house.add(house.function("f", "app.handler")).await;
        let error = house.failed("f", "{}").await;
        assert_eq!(error["errorType"], "Runtime.ImportModuleError");
        assert!(
            error["errorMessage"]
                .as_str()
                .unwrap()
                .ends_with(&format!("No module named '{module}'"))
        );
        let file = format!(
            "{name}.{suffix}.so is compiled for another Python or machine; this one loads *.cpython-3"
        );
        house
            .until("it is told", |house| {
                house.logs.texts(LogSource::Function).iter().any(|line| line.contains(&file))
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interpreter_without_pip_installs_all_the_same() {
    let venv = tempfile::tempdir().unwrap();
    bare_python(venv.path(), &["--without-pip"]);
    let house = House::with(|config| config.places = vec![venv.path().join("bin")]);
    let package = tempfile::tempdir().unwrap();
    greeting(package.path());
    house.write("requirements.txt", &format!("{}\n", package.path().display()));
    house.write("app.py", "import greeting\ndef handler(e, c):\n    return greeting.WORD\n");
    house.add(house.function("f", "app.handler")).await;
    assert_eq!(house.returned("f", "{}").await, "\"hello\"");
}

/// A package of our own, so that no network is needed.
fn greeting(folder: &Path) {
    let setup = "from setuptools import setup\nsetup(name='greeting', version='1.0', py_modules=['greeting'])\n";
    std::fs::write(folder.join("setup.py"), setup).unwrap();
    std::fs::write(folder.join("greeting.py"), "WORD = 'hello'\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interpreter_of_another_version_takes_over_and_says_so_once() {
    let house = House::new();
    house.write("app.py", "import sys\ndef handler(e, c):\n    return sys.version_info[1]\n");
    for name in ["a", "b"] {
        let mut function = house.function(name, "app.handler");
        // No machine has it yet.
        function.runtime = Runtime::Python(19);
        house.add(function).await;
    }
    let minor: u8 = house.returned("a", "{}").await.parse().unwrap();
    assert!((6..19).contains(&minor));
    let notices = house.logs.texts(LogSource::Notice);
    let told = notices.iter().filter(|line| line.starts_with("python3.19 is not on this machine"));
    assert_eq!(told.count(), 1, "{notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_interpreter_the_function_is_unavailable_and_the_deployment_says_why() {
    let house = House::with(|config| config.places = vec!["/nowhere".into()]);
    house.write("app.py", "");
    house.functions.deploy(vec![(Arc::new(house.function("f", "app.handler")).into(), [].into())]);
    let problems = house.functions.prepare().await;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].text.ends_with("install python3.11"), "{problems:?}");
    let error = house.invoke("f", "{}").await.unwrap_err();
    assert!(matches!(error, InvokeError::Unavailable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_run_here_says_so() {
    let house = House::new();
    let mut go = house.function("go", "main");
    go.runtime = Runtime::Other("go1.x".to_owned());
    let mut image = house.function("image", "x");
    image.code = Code::Image("repo:tag".to_owned());
    for function in [go, image] {
        house.add(function).await;
    }
    let error = house.invoke("go", "{}").await.unwrap_err();
    assert!(error.to_string().contains("go1.x is not run here"), "{error}");
    let error = house.invoke("image", "{}").await.unwrap_err();
    assert!(error.to_string().contains("container image (repo:tag)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_may_be_a_text_or_an_archive() {
    let house = House::new();
    let mut inline = house.function("inline", "index.handler");
    let text = "def handler(e, c):\n    return 'inline'\n".to_owned();
    inline.code = Code::Inline { file_name: "index.py".to_owned(), text };
    house.add(inline).await;
    assert_eq!(house.returned("inline", "{}").await, "\"inline\"");
    let path = house.code.path().join("code.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    writer.start_file("deep/app.py", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, b"def handler(e, c):\n    return 'zip'\n").unwrap();
    writer.finish().unwrap();
    let mut archive = house.function("archive", "deep/app.handler");
    archive.code = Code::Archive(path);
    house.add(archive).await;
    assert_eq!(house.returned("archive", "{}").await, "\"zip\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_are_installed_beside_the_code() {
    let house = House::new();
    let package = tempfile::tempdir().unwrap();
    greeting(package.path());
    house.write("requirements.txt", &format!("{}\n", package.path().display()));
    house.write("app.py", "import greeting\ndef handler(e, c):\n    return greeting.WORD\n");
    house.add(house.function("f", "app.handler")).await;
    assert_eq!(house.returned("f", "{}").await, "\"hello\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_cannot_be_installed_is_told_and_keeps_nobody_else_from_running() {
    let house = House::new();
    house.write("requirements.txt", "/nowhere/at/all\n");
    house.write("app.py", "def handler(e, c):\n    return 1\n");
    house.add(house.function("f", "app.handler")).await;
    let problems = house.functions.prepare().await;
    assert!(problems[0].text.starts_with("cannot install the packages of "), "{problems:?}");
    assert_eq!(house.returned("f", "{}").await, "1");
}

/// Answers every request with an empty object, and notes what was asked.
async fn stub(listener: tokio::net::TcpListener, seen: tokio::sync::mpsc::Sender<String>) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(count) = socket.read(&mut chunk).await {
            text.extend_from_slice(&chunk[..count]);
            let whole = String::from_utf8_lossy(&text).into_owned();
            if count == 0 || whole.contains("\r\n\r\n") && whole.ends_with('}') {
                seen.send(whole).await.unwrap();
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                socket.write_all(answer.as_bytes()).await.unwrap();
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_example_runs_unchanged() {
    let house = House::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut seen) = tokio::sync::mpsc::channel(16);
    house.drain.spawn("stub", stub(listener, sender));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/cdk-chat/functions");
    let mut function = house.function("chat", "websocket.handler");
    function.code = Code::Directory { root: root.clone(), source: None };
    function.runtime = Runtime::Python(9);
    for (name, value) in [("CONNECTIONS_TABLE", "t"), ("API_GATEWAY_URL", "wss://localhost/dev")] {
        function.environment.insert(name.to_owned(), value.to_owned());
    }
    house.add_with(function, &[("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)]).await;
    let event = json!({"requestContext": {"connectionId": "c=", "routeKey": "$connect"}});
    assert_eq!(house.returned("chat", &event.to_string()).await, r#"{"statusCode": 200}"#);
    let asked = tokio::time::timeout(Duration::from_secs(5), seen.recv()).await.unwrap().unwrap();
    assert!(asked.to_lowercase().contains("x-amz-target: dynamodb_20120810.putitem"), "{asked}");
    assert!(asked.contains(r#""connection_id": {"S": "c="}"#), "{asked}");

    let mut function = house.function("authorizer", "authorizer.handler");
    function.code = Code::Directory { root, source: None };
    function.environment.insert("CHAT_SECRET".to_owned(), "s".to_owned());
    house.add(function).await;
    let event = json!({"headers": {"authorization": "Bearer me:s"}, "methodArn": "arn"});
    let answer: Value =
        serde_json::from_str(&house.returned("authorizer", &event.to_string()).await).unwrap();
    assert_eq!(answer["context"]["user"], "me");
}
