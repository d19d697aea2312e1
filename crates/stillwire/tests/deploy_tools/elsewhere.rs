//! A Stillwire that other machines reach, and those machines: in a network of their own, where they have an address.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use stillwire_testkit::{Stillwire, example, tools};

use crate::support::{Done, PROGRAM, run};

/// The address of the machine, as `apart.py` gives it.
const ADDRESS: &str = "10.77.0.1";

/// What may deploy.
const KEY: (&str, &str) = ("AKIADEPLOYER", "its secret");

/// What may post, and nothing else.
const POSTER: (&str, &str) = ("AKIAPOSTER", "another secret");

const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

/// A network that nobody else is in.
struct Network(Child);

impl Network {
    /// `None` where the system has none to give.
    fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let mut process = command
            .args(["--net", "python3"])
            .arg(tools::client("apart.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (line == "ready\n").then_some(Self(process))
    }

    /// A command in it.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.0.id().to_string(), "--net"]);
        if !rustix::process::geteuid().is_root() {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A command with a key in its environment, and nothing else of AWS.
fn signed_with((key, secret): (&str, &str), mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn serve(network: &Network, folder: &Path, listen: &str) -> Stillwire {
    let settings = folder.join("stillwire.toml");
    let keys = format!(
        "{} = \"{}\"\n[keys.{}]\nsecret = \"{}\"\npolicy = '{POLICY}'\n",
        KEY.0, KEY.1, POSTER.0, POSTER.1
    );
    std::fs::write(&settings, format!("{listen}[keys]\n{keys}")).unwrap();
    let mut command = Stillwire::command(PROGRAM);
    command.args(["serve", "--port", "0", "--verbose", "--data-dir"]).arg(folder.join("data"));
    command.arg("--config").arg(settings);
    Stillwire::start(network.inside(&command))
}

#[test]
fn another_machine_deploys_and_posts_with_a_key_that_is_known_and_connects_without() {
    let Some(network) = Network::new() else {
        println!("skipped: no network of its own here");
        return;
    };
    let (state, app) = (tempfile::tempdir().unwrap(), example("sam-chat"));
    let listen = format!("[listen]\naddress = \"{ADDRESS}\"\nhost = \"chat.example.com\"\n");
    let stillwire = serve(&network, state.path(), &listen);
    let endpoint = stillwire.ready()["aws_endpoint"].as_str().unwrap();
    let endpoint = endpoint.replace("localhost", ADDRESS);
    let own = |key, arguments: &[&str]| {
        let mut command = Stillwire::command(PROGRAM);
        command.current_dir(app.path()).args(arguments);
        run(network.inside(&signed_with(key, command)))
    };
    let aws = |key, endpoint: &str, arguments: &[&str]| {
        let mut command = Command::new(tools::aws_command());
        command.args(["--endpoint-url", endpoint]).args(arguments);
        run(network.inside(&signed_with(key, command)))
    };

    // Nobody deploys with a secret that is wrong, nor with the keys that programs of this machine have.
    let deploy = ["deploy", "template.yaml", "--to", &endpoint];
    let refused = |done: Done| {
        assert_eq!(done.code, Some(1), "{}", done.text);
        done.wrote("The request signature we calculated does not match");
    };
    refused(own((KEY.0, "wrong"), &deploy));
    let deployed = own(KEY, &deploy).well();
    assert!(deployed.stdout.contains("wss://chat.example.com:"), "{}", deployed.text);
    let stacks = ["cloudformation", "describe-stacks", "--query", "Stacks[].StackName"];
    aws(KEY, &endpoint, &stacks).well().wrote("sam-chat");
    for key in [("000000000000", "stillwire"), ("AKIANOBODY", "x"), POSTER] {
        assert_ne!(aws(key, &endpoint, &stacks).code, Some(0), "{key:?}");
    }

    // The function posts to the address that clients know, and finds it on its own machine.
    let api = stillwire.ready_now()["apis"][0].clone();
    assert!(api["wss"].as_str().unwrap().starts_with("wss://chat.example.com:"), "{api}");
    let url = api["ws"].as_str().unwrap().replace("chat.example.com", ADDRESS);
    let message = json!({ "message": "sendmessage", "data": "hello" }).to_string();
    own(KEY, &["connect", &url, "-x", &message, "--wait", "20"]).well().wrote("< hello");

    // What is only for the machine itself.
    let stage = url.replace("ws://", "http://");
    let post = ["apigatewaymanagementapi", "post-to-connection", "--data", "aGk="];
    let post = [post.as_slice(), &["--connection-id", "AAAAAAAAAAAAAAA="]].concat();
    let unsigned = aws(KEY, &stage, &[post.as_slice(), &["--no-sign-request"]].concat());
    assert_ne!(unsigned.code, Some(0));
    unsigned.wrote("Missing Authentication Token");
    aws(("000000000000", "stillwire"), &stage, &post).wrote("UnrecognizedClientException");
    for key in [KEY, POSTER] {
        let gone = aws(key, &stage, &post);
        let is_gone = gone.text.contains("GoneException") || gone.text.contains("(400)");
        assert!(is_gone, "{}", gone.text);
    }
    let mut curl = Command::new("python3");
    let get = "import sys,urllib.request as r\nr.urlopen(sys.argv[1])";
    curl.args(["-c", get, &format!("{endpoint}/metrics")]);
    run(network.inside(&curl)).wrote("403");
    // A proxy on this machine lets others in by the name that they know.
    let here = stillwire.ready()["aws_endpoint"].as_str().unwrap();
    let get = "import sys,urllib.request as r\nq=r.Request(sys.argv[1],headers={'Host':'chat.example.com'})\nr.urlopen(q)";
    let mut proxied = Command::new("python3");
    proxied.args(["-c", get, &format!("{here}/metrics")]);
    run(network.inside(&proxied)).wrote("403");
}

#[test]
fn nobody_is_let_in_from_elsewhere_who_could_not_sign() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("stillwire.toml");
    for (listen, expected) in [
        ("address = \"0.0.0.0\"\nhost = \"chat.example.com\"", "there is no key in [keys]"),
        ("address = \"everywhere\"", "invalid IP address"),
        ("host = \"https://chat.example.com\"", "without scheme and port"),
    ] {
        std::fs::write(&settings, format!("[listen]\n{listen}\n")).unwrap();
        let mut command = Stillwire::command(PROGRAM);
        command.args(["serve", "--port", "0", "--in-memory", "--config"]).arg(&settings);
        let done = run(command);
        assert_eq!(done.code, Some(1), "{}", done.text);
        done.wrote(expected);
    }
}
