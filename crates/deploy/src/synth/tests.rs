//! Synthesis with shell commands for apps.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    environments: Option<PathBuf>,
}

impl Fixture {
    fn new(command: &str) -> (Self, CdkApp) {
        let dir = tempfile::tempdir().unwrap();
        let app = CdkApp {
            dir: dir.path().to_owned(),
            command: Some(command.to_owned()),
            assembly: None,
        };
        (Self { dir, environments: None }, app)
    }

    async fn run(&self, app: &CdkApp) -> (Result<PathBuf, SynthError>, Vec<String>) {
        let lines = Mutex::new(Vec::new());
        let options = SynthOptions {
            program: PathBuf::from("/usr/bin/stillwire"),
            out_dir: self.dir.path().join("private/assembly"),
            environments: self.environments.clone(),
        };
        let progress = |told: Told<'_>| {
            let (Told::Step(text) | Told::Line(text)) = told;
            lines.lock().unwrap().push(text.to_owned());
        };
        let result = synthesize(app, &options, &progress).await;
        (result, lines.into_inner().unwrap())
    }
}

#[tokio::test]
async fn the_app_is_told_where_to_write_and_what_to_use_for_docker() {
    let (fixture, app) =
        Fixture::new("env | sort > seen; echo hello; echo '{}' > \"$CDK_OUTDIR/manifest.json\"");
    fs::write(app.dir.join("cdk.json"), r#"{"context": {"a": "mine", "b": 1}}"#).unwrap();
    fs::write(app.dir.join("cdk.context.json"), r#"{"a": "looked up", "c": true}"#).unwrap();
    fs::create_dir_all(app.dir.join(".venv/bin")).unwrap();
    let (result, lines) = fixture.run(&app).await;
    assert_eq!(result.unwrap(), app.dir.join("private/assembly"));
    assert_eq!(lines, ["hello"]);
    let seen = fs::read_to_string(app.dir.join("seen")).unwrap();
    let value = |name: &str| {
        let prefix = format!("{name}=");
        seen.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
    };
    assert!(value("PATH").starts_with(&format!("{}/.venv/bin:", app.dir.display())));
    let context: Value = serde_json::from_str(&value("CDK_CONTEXT_JSON")).unwrap();
    assert_eq!(
        (&context["a"], &context["b"], &context["c"]),
        (&json!("mine"), &json!(1), &json!(true))
    );
    assert_eq!(context["aws:cdk:disable-asset-staging"], true);
    assert_eq!(context["aws:cdk:bundling-stacks"], json!(["**"]));
    let docker = fs::read_to_string(value("CDK_DOCKER")).unwrap();
    assert_eq!(docker, "#!/bin/sh\nexec '/usr/bin/stillwire' bundle \"$@\"\n");
}

#[tokio::test]
async fn an_app_that_fails_gives_the_end_of_its_output() {
    let (fixture, app) = Fixture::new("echo 'NameError: oops' >&2; exit 3");
    match fixture.run(&app).await.0 {
        Err(SynthError::Failed { status, output }) => {
            assert_eq!((status.code(), output.as_str()), (Some(3), "NameError: oops"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_installed_is_told_apart_from_the_apps_own_errors() {
    for (command, expected) in [
        ("echo \"ModuleNotFoundError: No module named 'aws_cdk'\"; exit 1", Some("aws_cdk")),
        ("echo \"ModuleNotFoundError: No module named 'my_stack'\"; exit 1", None),
        ("echo \"Error: Cannot find module 'aws-cdk-lib'\"; exit 1", Some("aws-cdk-lib")),
        ("echo \"Error: Cannot find module './stack'\"; exit 1", None),
        ("stillwire-no-such-command", Some("not found")),
    ] {
        let (fixture, app) = Fixture::new(command);
        match (fixture.run(&app).await.0, expected) {
            (Err(SynthError::CdkMissing { reason, .. }), Some(text)) => {
                assert!(reason.contains(text), "{reason}");
            }
            (Err(SynthError::Failed { .. }), None) => {}
            (other, _) => panic!("{command}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_python_environment_is_made_once_in_the_cache() {
    // The module that the app wants is a package of its own: nothing is fetched.
    let (mut fixture, app) = Fixture::new(
        "python3 -c 'import aws_cdk_toy' && echo '{}' > \"$CDK_OUTDIR/manifest.json\"",
    );
    let package = app.dir.join("toy");
    fs::create_dir(&package).unwrap();
    fs::write(package.join("aws_cdk_toy.py"), "").unwrap();
    let setup = "from setuptools import setup; setup(name='toy', py_modules=['aws_cdk_toy'])";
    fs::write(package.join("setup.py"), setup).unwrap();
    fs::write(app.dir.join("requirements.txt"), "./toy\n").unwrap();
    assert!(matches!(fixture.run(&app).await.0, Err(SynthError::CdkMissing { .. })));
    fixture.environments = Some(app.dir.join("cache"));
    let (made, lines) = fixture.run(&app).await;
    made.unwrap();
    assert!(lines.iter().any(|line| line.starts_with("installing what ")), "{lines:?}");
    let (again, lines) = fixture.run(&app).await;
    again.unwrap();
    assert!(!lines.iter().any(|line| line.starts_with("installing what ")), "{lines:?}");
    assert!(!app.dir.join(".venv").exists());
}

#[tokio::test]
async fn missing_packages_are_there_for_the_time_of_a_synthesis() {
    let (mut fixture, app) = Fixture::new(
        "test -d node_modules/aws-cdk-lib && echo '{}' > \"$CDK_OUTDIR/manifest.json\"",
    );
    let library = app.dir.join("library");
    fs::create_dir(&library).unwrap();
    fs::write(library.join("package.json"), r#"{"name": "aws-cdk-lib", "version": "2.0.0"}"#)
        .unwrap();
    let archive = std::process::Command::new("npm")
        .args(["pack", "--silent"])
        .current_dir(&library)
        .output()
        .unwrap();
    assert!(archive.status.success());
    let archive = library.join(String::from_utf8(archive.stdout).unwrap().trim());
    let packages =
        json!({ "dependencies": { "aws-cdk-lib": format!("file:{}", archive.display()) } });
    fs::write(app.dir.join("package.json"), packages.to_string()).unwrap();
    assert!(matches!(fixture.run(&app).await.0, Err(SynthError::CdkMissing { .. })));
    fixture.environments = Some(app.dir.join("cache"));
    fixture.run(&app).await.0.unwrap();
    assert!(!app.dir.join("node_modules").exists());
    assert!(!app.dir.join("node_modules").is_symlink());
}

#[tokio::test]
async fn an_app_that_writes_nothing_or_needs_an_account_gives_no_assembly() {
    let (fixture, app) = Fixture::new("true");
    assert!(matches!(fixture.run(&app).await.0, Err(SynthError::NoAssembly(_))));
    let (fixture, app) =
        Fixture::new("echo '{\"missing\": [{\"key\": \"vpc\"}]}' > \"$CDK_OUTDIR/manifest.json\"");
    match fixture.run(&app).await.0 {
        Err(SynthError::MissingContext(names)) => assert_eq!(names, ["vpc"]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dropping_the_synthesis_ends_everything_it_started() {
    let (fixture, app) = Fixture::new("sleep 60 & echo $! > pid; wait");
    let pid_file = app.dir.join("pid");
    let ready = async {
        loop {
            match fs::read_to_string(&pid_file) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let pid = tokio::select! {
        _ = fixture.run(&app) => panic!("it does not end by itself"),
        pid = ready => pid,
    };
    // The grandchild is gone, or a zombie that nobody has reaped yet.
    let gone = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    for _ in 0..1000 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("process {pid} still runs");
}

#[test]
fn a_path_with_a_quote_stays_one_word() {
    assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
}

#[test]
fn a_synthesis_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let (_fixture, app) = Fixture::new("true");
    let options =
        SynthOptions { program: PathBuf::new(), out_dir: PathBuf::new(), environments: None };
    is_send(&synthesize(&app, &options, &|_| {}));
}
