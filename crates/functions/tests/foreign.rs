//! Java, .NET and Ruby by their published runtime clients: programs of the same names and files stand in for them, and tell
//! by which command line they were started. And what is said where something is missing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use common::House;
use serde_json::Value;
use stillwire_model::{Code, Function, Runtime};
use tempfile::TempDir;

/// Serves as these clients do, by the address in the variable; each answer is the event and how it was started.
const CLIENT: &str = r#"
import http.client, json, os, sys
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
PATH = "/2018-06-01/runtime/invocation/"
while True:
    connection.request("GET", PATH + "next")
    response = connection.getresponse()
    event = json.loads(response.read())
    seen = {"event": event, "args": sys.argv[1:], "folder": os.getcwd(), "env": dict(os.environ)}
    connection.request("POST", PATH + response.getheader("Lambda-Runtime-Aws-Request-Id") + "/response", json.dumps(seen))
    connection.getresponse().read()
"#;

/// A house whose machine has these programs and no others.
fn house_with(programs: &[&str]) -> (House, TempDir) {
    let places = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap();
    let python = String::from_utf8(output.stdout).unwrap();
    for program in programs {
        let path = places.path().join(program);
        std::fs::write(&path, format!("#!{}\n{CLIENT}", python.trim())).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let house = House::with(|config| config.places = vec![places.path().to_owned()]);
    (house, places)
}

fn function(house: &House, runtime: &str, handler: &str) -> Function {
    let runtime = Runtime::parse(runtime).unwrap();
    Function { runtime, ..house.function("f", handler) }
}

/// A jar with the client's program in it.
fn jar(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut jar = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let class = "com/amazonaws/services/lambda/runtime/api/client/AWSLambda.class";
    jar.start_file(class, zip::write::SimpleFileOptions::default()).unwrap();
    jar.write_all(b"x").unwrap();
    jar.finish().unwrap();
}

/// How it was started, without the folder of the code.
async fn started(house: &House, function: Function, folder: &Path) -> (Vec<String>, Value) {
    house.add(function).await;
    let text = house.returned("f", r#"{"a": "é"}"#).await;
    let seen: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(seen["event"], serde_json::json!({"a": "é"}));
    let folder = std::fs::canonicalize(folder).unwrap();
    assert_eq!(seen["folder"], folder.to_str().unwrap());
    let args = seen["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let root = folder.to_str().unwrap();
    (args.map(|arg| arg.replace(root, "ROOT")).collect(), seen["env"].clone())
}

const JAVA: [&str; 2] = ["com.amazonaws.services.lambda.runtime.api.client.AWSLambda", "x.Y::z"];

#[tokio::test(flavor = "multi_thread")]
async fn java_runs_by_its_client_in_the_package() {
    let (house, _places) = house_with(&["java"]);
    jar(&house.code.path().join("lib/aws-lambda-java-runtime-interface-client-2.6.0.jar"));
    let function = function(&house, "java21", "x.Y::z");
    let (args, env) = started(&house, function, house.code.path()).await;
    // Of 128 MB; the rest is for the virtual machine itself.
    assert_eq!(args, ["-Xmx102m", "-cp", "ROOT:ROOT/*:ROOT/lib/*", JAVA[0], JAVA[1]]);
    for (name, value) in [("AWS_EXECUTION_ENV", "AWS_Lambda_java21"), ("_HANDLER", "x.Y::z")] {
        assert_eq!(env[name], value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn java_finds_its_client_in_a_layer() {
    let (house, _places) = house_with(&["java"]);
    jar(&house.code.path().join("layer/java/lib/client.jar"));
    house.write("function/x/Y.class", "x");
    let folder = |name: &str| -> PathBuf { house.code.path().join(name) };
    let code = |name: &str| Code::Directory { root: folder(name), source: None };
    let function = Function {
        code: code("function"),
        layers: vec![code("layer")],
        ..function(&house, "java17", "x.Y::z")
    };
    let (args, _) = started(&house, function, &folder("function")).await;
    let path: Vec<&str> = args[2].split(':').collect();
    assert_eq!(path[..3], ["ROOT", "ROOT/*", "ROOT/lib/*"]);
    assert!(path[3..].iter().any(|entry| entry.ends_with("/java/lib/*")), "{args:?}");
    assert_eq!(args[3..], JAVA);
}

#[tokio::test(flavor = "multi_thread")]
async fn net_runs_a_class_library_or_a_program_by_its_client() {
    let (house, _places) = house_with(&["dotnet"]);
    house.write("Amazon.Lambda.RuntimeSupport.dll", "x");
    let library = function(&house, "dotnet8", "Chat::Chat.Function::Handle");
    let (args, _) = started(&house, library, house.code.path()).await;
    assert_eq!(
        args,
        [
            "exec",
            "--depsfile",
            "ROOT/Chat.deps.json",
            "--runtimeconfig",
            "ROOT/Chat.runtimeconfig.json",
            "ROOT/Amazon.Lambda.RuntimeSupport.dll",
            "Chat::Chat.Function::Handle"
        ]
    );
    let program = function(&house, "dotnet8", "Chat");
    let (args, env) = started(&house, program, house.code.path()).await;
    assert_eq!(args, ["ROOT/Chat.dll"]);
    assert_eq!(env["AWS_EXECUTION_ENV"], "AWS_Lambda_dotnet8");
}

#[tokio::test(flavor = "multi_thread")]
async fn ruby_runs_by_its_client() {
    let (house, _places) = house_with(&["aws_lambda_ric"]);
    house.write("app.rb", "");
    let function = function(&house, "ruby3.4", "app.Chat::Function.handle");
    let (args, env) = started(&house, function, house.code.path()).await;
    assert_eq!(args, ["app.Chat::Function.handle"]);
    assert_eq!(env["AWS_EXECUTION_ENV"], "AWS_Lambda_ruby3.4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_with_the_way_to_get_it() {
    for (programs, runtime, remedy) in [
        (&[][..], "java21", "there is no Java on this machine; install java21"),
        (
            &["java"][..],
            "java21",
            "java21 needs its runtime client in the package: add \
             com.amazonaws:aws-lambda-java-runtime-interface-client to the dependencies",
        ),
        (&[][..], "dotnet8", "there is no .NET on this machine; install dotnet8"),
        (
            &["dotnet"][..],
            "dotnet8",
            "dotnet8 needs its runtime client in the package: dotnet add package Amazon.Lambda.RuntimeSupport",
        ),
        (&[][..], "ruby3.4", "ruby3.4 needs its runtime client: gem install aws_lambda_ric"),
    ] {
        let (house, _places) = house_with(programs);
        house.write("app", "");
        house.add(function(&house, runtime, "x.Y::z")).await;
        let problem = house.invoke("f", "{}").await.unwrap_err().to_string();
        assert!(problem.ends_with(remedy), "{problem}");
        let told: Vec<String> =
            house.functions.prepare().await.into_iter().map(|problem| problem.text).collect();
        assert!(told.iter().any(|text| text.ends_with(remedy)), "at the start as well: {told:?}");
    }
}
