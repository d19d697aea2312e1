//! A room for tests: functions that answer as they are told, and services that note what they are sent.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stillwire_drain::Drain;
use stillwire_lambda::{Delays, Home, Kept, Lambda, Ports};
use stillwire_model::{
    BoxFuture, Clock, Code, Function, FunctionArn, FunctionDefinition, FunctionHost, FunctionPart,
    FunctionRelease, Invocation, Invoke, InvokeError, Invoked, LATEST, LambdaApi as _, LambdaReply,
    LambdaRequest, Logging, Outcome, PinnedObject, Runtime, StackName, StackObjects,
};
use stillwire_outbound::Outbound;
use tempfile::TempDir;

#[derive(Debug)]
struct NoTime;

impl Clock for NoTime {
    fn epoch_millis(&self) -> u64 {
        1_738_660_353_120
    }
}

#[derive(Debug)]
struct NoHost;

impl FunctionHost for NoHost {
    fn deploy(&self, _: Vec<FunctionRelease>) {}
}

/// What a function does next.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    Return(&'static str),
    Fail(&'static str),
    Throttle,
    Hang,
}

/// Answers in turn with what it is told; the last answer stays.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    script: Mutex<VecDeque<Does>>,
    calls: Mutex<Vec<Invocation>>,
}

impl Scripted {
    pub(crate) fn calls(&self) -> Vec<Invocation> {
        self.calls.lock().unwrap().clone()
    }
}

impl Invoke for Scripted {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Invoked, InvokeError>> {
        let function = invocation.function.clone();
        self.calls.lock().unwrap().push(invocation);
        let mut script = self.script.lock().unwrap();
        let does = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        Box::pin(async move {
            let outcome = match does.unwrap() {
                Does::Return(body) => Outcome::Returned(body.into()),
                Does::Fail(body) => Outcome::Failed(body.into()),
                Does::Throttle => {
                    return Err(InvokeError::Throttled { function, reason: "Too" });
                }
                Does::Hang => std::future::pending().await,
            };
            Ok(Invoked { outcome, version: LATEST.into(), log_tail: None })
        })
    }
}

pub(crate) struct Room {
    pub(crate) lambda: Lambda,
    pub(crate) functions: Arc<Scripted>,
    pub(crate) drain: Drain,
    _code: TempDir,
}

pub(crate) fn arn(name: &str) -> FunctionArn {
    FunctionArn::new("aws", "us-east-1", "123456789012", name)
}

/// A function with what a template says about its events.
pub(crate) fn function(name: &str, properties: &Value, events: &Value) -> FunctionDefinition {
    let members = |value: &Value| value.as_object().unwrap().clone();
    let function = Function {
        stack: "test".into(),
        logical_id: name.into(),
        arn: arn(name),
        version: LATEST.into(),
        role: "".into(),
        runtime: Runtime::Python(12),
        handler: "app.handler".to_owned(),
        code: Code::Inline { file_name: "app.py".to_owned(), text: String::new() },
        layers: Vec::new(),
        environment: BTreeMap::new(),
        logging: Logging::default(),
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        reserved_concurrency: None,
        snap_start: false,
    };
    let part = FunctionPart {
        kind: "EventInvokeConfig".to_owned(),
        id: "Events".to_owned(),
        properties: members(events),
    };
    FunctionDefinition {
        function: Arc::new(function),
        properties: members(properties),
        parts: vec![part],
    }
}

/// Nothing was uploaded.
#[derive(Debug)]
struct NoObjects;

impl StackObjects for NoObjects {
    fn find(&self, _: &str, _: &str, _: &str) -> Option<PathBuf> {
        None
    }

    fn keep_bucket(&self, _: &str, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn pin(&self, _: &StackName, _: &[PinnedObject]) -> Result<(), String> {
        Ok(())
    }

    fn pinned(&self, _: &StackName) -> Vec<PinnedObject> {
        Vec::new()
    }
}

impl Room {
    /// Functions that answer by this script, and the endpoints of services.
    pub(crate) fn new(
        definitions: &[FunctionDefinition],
        script: &[Does],
        endpoints: &[(&str, String)],
    ) -> Self {
        let code = tempfile::tempdir().unwrap();
        let functions = Arc::new(Scripted::default());
        functions.script.lock().unwrap().extend(script.iter().cloned());
        let drain = Drain::new();
        let ports = Ports {
            invoke: Arc::clone(&functions) as Arc<dyn Invoke>,
            host: Arc::new(NoHost),
            objects: Arc::new(NoObjects),
            clock: Arc::new(NoTime),
            drain: drain.clone(),
            outbound: Outbound::new(None),
            endpoints: endpoints
                .iter()
                .map(|(name, url)| ((*name).to_owned(), url.clone()))
                .collect(),
            delays: Delays {
                retry: [Duration::from_millis(1), Duration::from_millis(2)],
                throttle: Duration::from_millis(1),
            },
        };
        let home = Home { account: "123456789012".to_owned(), region: "us-east-1".to_owned() };
        let kept = Kept::read(None, code.path().to_owned()).unwrap();
        let lambda = Lambda::start(kept, (definitions, Vec::new()), home, ports);
        Self { lambda, functions, drain, _code: code }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> LambdaReply {
        let headers = headers.iter();
        let request = LambdaRequest {
            account: "123456789012".into(),
            region: "us-east-1".into(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: headers.map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.to_owned().into(),
        };
        self.lambda.call(request).await
    }

    /// Sends an event; the status of the answer.
    pub(crate) async fn event(&self, name: &str, event: &str) -> u16 {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        self.post(&path, &[("x-amz-invocation-type", "Event")], event).await.status
    }

    pub(crate) async fn until_called(&self, times: usize) -> Vec<Invocation> {
        for _ in 0..1000 {
            if self.functions.calls().len() >= times {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let calls = self.functions.calls();
        assert_eq!(calls.len(), times);
        calls
    }
}

/// A service that notes what it is sent: the request line with its headers, and the body.
pub(crate) fn service() -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) < 3 {
                    break;
                }
                if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            (&stream).write_all(answer).unwrap();
            if sender.send((head, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (url, received)
}

pub(crate) fn nothing() -> Value {
    json!({})
}
