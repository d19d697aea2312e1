//! Layers: merged in their order, and found by each runtime where Lambda's would.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use common::House;
use stillwire_model::{Code, Function, Runtime};

fn folder(house: &House, name: &str) -> Code {
    Code::Directory { root: house.code.path().join(name), source: None }
}

fn archive(house: &House, files: &[(&str, &str)]) -> Code {
    let path: PathBuf = house.code.path().join("layer.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, text) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    Code::Archive(path)
}

fn with(house: &House, function: Function, layers: &[Code]) -> Function {
    Function { code: folder(house, "function"), layers: layers.to_vec(), ..function }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_finds_its_own_modules_first_then_those_of_layers_in_their_order() {
    let house = House::new();
    house.write("first/python/common.py", "WORD = 'first'\n");
    house.write("first/python/own.py", "WORD = 'layer'\n");
    house.write("first/python/only.py", "WORD = 'only'\n");
    house.write("first/python/lib/python3.11/site-packages/versioned.py", "WORD = 'versioned'\n");
    house.write("first/python/versioned.py", "WORD = 'plain'\n");
    let second = archive(&house, &[("python/common.py", "WORD = 'second'\n")]);
    house.write("function/own.py", "WORD = 'own'\n");
    house.write(
        "function/app.py",
        "import common, only, own, versioned\ndef handler(e, c):\n    return [m.WORD for m in (common, only, own, versioned)]\n",
    );
    let layers = [folder(&house, "first"), second];
    house.add(with(&house, house.function("f", "app.handler"), &layers)).await;
    assert_eq!(house.returned("f", "{}").await, r#"["second", "only", "own", "versioned"]"#);
    let kept = std::fs::read_to_string(house.code.path().join("first/python/common.py")).unwrap();
    assert_eq!(kept, "WORD = 'first'\n", "a later layer does not write into an earlier one");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_finds_packages_of_layers_by_require_and_by_import() {
    let house = House::new();
    let package = r#"{"name": "greeting", "main": "index.js"}"#;
    for (place, word) in [("nodejs/node_modules", "any"), ("nodejs/node22/node_modules", "22")] {
        house.write(&format!("layer/{place}/greeting/package.json"), package);
        house.write(
            &format!("layer/{place}/greeting/index.js"),
            &format!("exports.word = '{word}';"),
        );
    }
    house.write(
        "function/common.js",
        "const { word } = require('greeting'); exports.handler = async () => word;",
    );
    house.write(
        "function/module.mjs",
        "import { word } from 'greeting'; export const handler = async () => word;",
    );
    for name in ["common", "module"] {
        let function = house.node(name, &format!("{name}.handler"));
        house.add(with(&house, function, &[folder(&house, "layer")])).await;
        assert_eq!(house.returned(name, "{}").await, "\"22\"", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_a_bootstrap_of_a_layer_are_found() {
    let house = House::new();
    let script = "#!/bin/sh\nbase=\"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\"\n\
        while true; do\n  headers=$(mktemp)\n  curl -sS -o /dev/null -D \"$headers\" \"$base/next\"\n\
          id=$(grep -i lambda-runtime-aws-request-id \"$headers\" | tr -d '[:space:]' | cut -d: -f2)\n\
          curl -sS -o /dev/null -d \"\\\"$(greet)\\\"\" \"$base/$id/response\"\ndone\n";
    for (name, text) in
        [("layer/bootstrap", script), ("layer/bin/greet", "#!/bin/sh\necho hello\n")]
    {
        house.write(name, text);
        let path = house.code.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    house.write("function/data", "");
    let mut function = house.function("f", "x");
    function.runtime = Runtime::Provided("provided.al2023".to_owned());
    house.add(with(&house, function, &[folder(&house, "layer")])).await;
    assert_eq!(house.returned("f", "{}").await, "\"hello\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_file_of_a_layer_is_live() {
    let house = House::with(|config| config.reload = true);
    house.write("layer/python/common.py", "WORD = 1\n");
    house.write("function/app.py", "import common\ndef handler(e, c):\n    return common.WORD\n");
    house.add(with(&house, house.function("f", "app.handler"), &[folder(&house, "layer")])).await;
    assert_eq!(house.returned("f", "{}").await, "1");
    house.write("layer/python/common.py", "WORD = 2\n");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(house.returned("f", "{}").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_cannot_be_read_says_which() {
    let house = House::new();
    house.write("function/app.py", "def handler(e, c):\n    return 1\n");
    house.add(with(&house, house.function("f", "app.handler"), &[folder(&house, "nowhere")])).await;
    let error = house.invoke("f", "{}").await.unwrap_err().to_string();
    assert!(error.contains("its layer ") && error.contains("nowhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_of_the_package_or_of_a_layer_starts_the_runtime() {
    let house = House::new();
    for name in ["layer/wrapper", "function/own"] {
        house.write(name, "#!/bin/sh\nexport WRAPPED=\"${0##*/} $#\"\nexec \"$@\"\n");
        let path = house.code.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    house.write("function/plain", "#!/bin/sh\n");
    house.write(
        "function/app.py",
        "import os\ndef handler(e, c):\n    return os.environ['WRAPPED'].split()[0]\n",
    );
    house.write(
        "function/app.js",
        "exports.handler = async () => process.env.WRAPPED.split(' ')[0];",
    );
    let deploy = async |function: Function, wrapper: &str| {
        let mut function = with(&house, function, &[folder(&house, "layer")]);
        let variable = "AWS_LAMBDA_EXEC_WRAPPER".to_owned();
        function.environment.insert(variable, wrapper.to_owned());
        house.add(function).await;
    };
    for (wrapper, name) in [("/opt/wrapper", "wrapper"), ("/var/task/own", "own")] {
        deploy(house.function("python", "app.handler"), wrapper).await;
        deploy(house.node("node", "app.handler"), wrapper).await;
        for language in ["python", "node"] {
            assert_eq!(house.returned(language, "{}").await, format!("\"{name}\""), "{language}");
        }
    }
    for (wrapper, problem) in [
        (
            "/opt/nothing",
            "AWS_LAMBDA_EXEC_WRAPPER is /opt/nothing, which is neither in its package",
        ),
        ("/var/task/plain", "its wrapper may not be executed: chmod +x "),
    ] {
        deploy(house.function("python", "app.handler"), wrapper).await;
        let error = house.invoke("python", "{}").await.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
