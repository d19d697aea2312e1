//! A house for tests: real processes, a folder of code, and the log in memory.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod nodes;
pub(crate) mod pair;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use stillwire_drain::Drain;
use stillwire_functions::supervisor::Supervisor;
use stillwire_functions::{Config, Functions, Sandbox};
use stillwire_model::{
    Clock, Code, Function, FunctionArn, FunctionLogs, Invocation, Invoke, InvokeError, LATEST,
    LogLine, LogSource, Logging, Outcome, Runtime,
};
use tempfile::TempDir;

pub(crate) const HOST: &str = env!("CARGO_BIN_EXE_functions-test-host");

#[derive(Debug, Default)]
pub(crate) struct Logs {
    lines: Mutex<Vec<LogLine>>,
    /// Whoever writes a line that begins so panics.
    pub(crate) trap: Mutex<Option<String>>,
}

impl FunctionLogs for Logs {
    fn line(&self, line: LogLine) {
        if std::env::var_os("SHOW_LOGS").is_some() {
            println!("{:?} {}", line.source, line.text);
        }
        let is_trapped = |start: &String| line.text.starts_with(start.as_str());
        let trapped = self.trap.lock().unwrap().as_ref().is_some_and(is_trapped);
        assert!(!trapped, "a fault, for a test");
        self.lines.lock().unwrap().push(line);
    }
}

impl Logs {
    pub(crate) fn all(&self) -> Vec<LogLine> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self, source: LogSource) -> Vec<String> {
        self.all().into_iter().filter(|line| line.source == source).map(|line| line.text).collect()
    }
}

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    fn epoch_millis(&self) -> u64 {
        let now = jiff::Timestamp::now().as_millisecond();
        u64::try_from(now).unwrap()
    }
}

type Deployed = (Arc<Function>, BTreeMap<String, String>);

pub(crate) struct House {
    pub(crate) functions: Functions,
    pub(crate) logs: Arc<Logs>,
    pub(crate) drain: Drain,
    pub(crate) code: TempDir,
    pub(crate) work: TempDir,
    pub(crate) supervisor_pid: u32,
    deployed: Mutex<Vec<Deployed>>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::supervised(&["supervise"], change)
    }

    /// The same, with another command line of the supervisor.
    pub(crate) fn supervised(args: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let work = tempfile::tempdir().unwrap();
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let path = std::env::var_os("PATH");
        let mut config = Config {
            cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
            work_dir: work.path().to_owned(),
            places: stillwire_functions::usual_places(path.as_deref(), home.as_deref()),
            cores: 2,
            environments_max: 64,
            idle_timeout: Duration::from_mins(5),
            debug: BTreeMap::new(),
            templates: true,
            hosts: Vec::new(),
            aws: "127.0.0.1:9".parse().unwrap(),
            sandbox: Sandbox::Usual,
            readable: Vec::new(),
            hidden: Vec::new(),
            processes_max: 1024,
            reload: false,
        };
        change(&mut config);
        let supervisor = Supervisor::launch(Path::new(HOST), args).unwrap();
        let supervisor_pid = supervisor.pid();
        let (logs, drain) = (Arc::new(Logs::default()), Drain::new());
        let functions = Functions::start(
            config,
            supervisor,
            Arc::clone(&logs) as Arc<dyn FunctionLogs>,
            Arc::new(WallClock),
            drain.clone(),
        )
        .unwrap();
        let code = tempfile::tempdir().unwrap();
        Self { functions, logs, drain, code, work, supervisor_pid, deployed: Mutex::default() }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.code.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn function(&self, name: &str, handler: &str) -> Function {
        Function {
            stack: "test".into(),
            logical_id: name.into(),
            arn: arn(name),
            version: LATEST.into(),
            role: "".into(),
            runtime: Runtime::Python(11),
            handler: handler.to_owned(),
            code: Code::Directory { root: self.code.path().to_owned(), source: None },
            layers: Vec::new(),
            environment: BTreeMap::new(),
            logging: Logging::default(),
            memory_mb: 128,
            timeout: Duration::from_secs(10),
            reserved_concurrency: None,
            snap_start: false,
        }
    }

    /// The same in Node.js.
    pub(crate) fn node(&self, name: &str, handler: &str) -> Function {
        Function { runtime: Runtime::Node(22), ..self.function(name, handler) }
    }

    /// Deploys a function besides those that are there, and waits until it is ready.
    pub(crate) async fn add(&self, function: Function) {
        self.add_with(function, &[]).await;
    }

    pub(crate) async fn add_with(&self, function: Function, variables: &[(&str, &str)]) {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let all = {
            let mut deployed = self.deployed.lock().unwrap();
            deployed.retain(|(known, _)| known.arn != function.arn);
            deployed.push((Arc::new(function), pairs.collect()));
            deployed.clone()
        };
        let releases = all.into_iter().map(|(function, variables)| (function.into(), variables));
        self.functions.deploy(releases.collect());
        self.functions.prepare().await;
    }

    pub(crate) async fn invoke(&self, name: &str, event: &str) -> Result<Outcome, InvokeError> {
        self.functions.invoke(invocation(name, event)).await.map(|invoked| invoked.outcome)
    }

    pub(crate) async fn returned(&self, name: &str, event: &str) -> String {
        match self.invoke(name, event).await.unwrap() {
            Outcome::Returned(body) => String::from_utf8(body.to_vec()).unwrap(),
            Outcome::Failed(body) => panic!("failed: {}", String::from_utf8_lossy(&body)),
        }
    }

    pub(crate) async fn failed(&self, name: &str, event: &str) -> Value {
        match self.invoke(name, event).await.unwrap() {
            Outcome::Failed(body) => serde_json::from_slice(&body).unwrap(),
            Outcome::Returned(body) => panic!("returned: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Waits until `holds`, at most ten seconds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; log: {:#?}", self.logs.all());
    }
}

pub(crate) fn arn(name: &str) -> FunctionArn {
    FunctionArn::new("aws", "eu-west-1", "123456789012", name)
}

pub(crate) fn invocation(name: &str, event: &str) -> Invocation {
    let payload = Bytes::copy_from_slice(event.as_bytes());
    let trace = Some("Root=1-2-3".into());
    let request_id = uuid::Uuid::new_v4().to_string().into();
    Invocation { trace, ..Invocation::new(request_id, arn(name), None, payload) }
}

pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

/// The processes that sleep for so long.
pub(crate) fn sleepers(seconds: &str) -> Vec<u32> {
    let line = format!("sleep\0{seconds}\0");
    processes("cmdline", |text| text == line.as_bytes())
}

/// The living processes whose file of this name in `/proc` holds such a text.
pub(crate) fn processes(file: &str, is_such: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let such = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|text| is_such(&text))
            && is_alive(*pid)
    };
    pids.filter(such).collect()
}

/// Polls all of them in order until all are done.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |context| {
        for (future, done) in &mut futures {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if futures.iter().all(|(_, done)| done.is_some()) {
            let outputs = futures.iter_mut().map(|(_, done)| done.take().unwrap());
            return std::task::Poll::Ready(outputs.collect());
        }
        std::task::Poll::Pending
    })
    .await
}
