//! The service with a host that reads templates of a language of its own, and does as it is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use stillwire_cloudformation::{CloudFormation, Kept, Ports};
use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, Clock, DeclaredParameter, PinnedObject, ServiceApi as _, ServiceCaller,
    ServiceRequest, StackHost, StackName, StackObjects, StackOutput, StackParameter, StackProblem,
    StackReading, StackRequest, StackResource, TemplateSummary,
};

/// Templates are JSON: `resources` with their types and one property each, `outputs`, `imports`, `parameters` with defaults;
/// `broken` names a resource that cannot be read, `fails` one that cannot be made.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// What runs: the templates by the names of stacks.
    pub(crate) running: Mutex<BTreeMap<String, String>>,
}

impl StackHost for Host {
    fn summarize(&self, template: &str) -> Result<TemplateSummary, Vec<StackProblem>> {
        let template = parse(template)?;
        let parameters = object(&template, "parameters");
        Ok(TemplateSummary {
            parameters: parameters
                .map(|(key, default)| DeclaredParameter {
                    key: key.clone(),
                    default: default.as_str().map(str::to_owned),
                    ..DeclaredParameter::default()
                })
                .collect(),
            ..TemplateSummary::default()
        })
    }

    fn read(&self, stack: &StackRequest) -> Result<StackReading, Vec<StackProblem>> {
        let template = parse(&stack.template)?;
        if let Some(id) = template["broken"].as_str() {
            return Err(vec![problem(Some(id), "it cannot be read")]);
        }
        let resource = |(id, value): (&String, &Value)| StackResource {
            logical_id: id.clone(),
            physical_id: format!("{}-{id}", stack.name.name),
            resource_type: value[0].as_str().unwrap().to_owned(),
            fingerprints: [("Properties.Value".to_owned(), value[1].to_string())].into(),
            is_retained: value[2] == "retain",
            note: None,
        };
        let export = |(name, value): (&String, &Value)| StackOutput {
            key: name.clone(),
            value: value.as_str().unwrap().to_owned(),
            description: None,
            export: Some(name.clone()),
        };
        let parameter = |(key, default): (&String, &Value)| StackParameter {
            key: key.clone(),
            value: stack
                .parameters
                .get(key)
                .cloned()
                .unwrap_or_else(|| default.as_str().unwrap_or_default().to_owned()),
            resolved: None,
            no_echo: key == "Secret",
        };
        let imports = template["imports"].as_array().into_iter().flatten();
        Ok(StackReading {
            resources: object(&template, "resources").map(resource).collect(),
            outputs: object(&template, "outputs").map(export).collect(),
            parameters: object(&template, "parameters").map(parameter).collect(),
            imports: imports.map(|name| name.as_str().unwrap().to_owned()).collect(),
            ..StackReading::default()
        })
    }

    fn apply(
        &self,
        stack: &StackRequest,
    ) -> BoxFuture<'static, Result<StackReading, Vec<StackProblem>>> {
        let read = self.read(stack);
        let fails =
            parse(&stack.template).ok().and_then(|text| text["fails"].as_str().map(str::to_owned));
        if let Some(id) = fails {
            return Box::pin(async move { Err(vec![problem(Some(&id), "it cannot be made")]) });
        }
        let name = stack.name.name.to_string();
        self.running.lock().unwrap().insert(name, stack.template.to_string());
        Box::pin(async move { read })
    }

    fn remove(&self, stack: &StackName) -> BoxFuture<'static, Result<(), Vec<StackProblem>>> {
        self.running.lock().unwrap().remove(&*stack.name);
        Box::pin(async { Ok(()) })
    }
}

fn parse(template: &str) -> Result<Value, Vec<StackProblem>> {
    serde_json::from_str(template).map_err(|error| vec![problem(None, &error.to_string())])
}

fn object<'a>(template: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    template[name].as_object().into_iter().flatten()
}

fn problem(id: Option<&str>, message: &str) -> StackProblem {
    StackProblem {
        logical_id: id.map(str::to_owned),
        resource_type: id.map(|_| "Test::Type".to_owned()),
        message: message.to_owned(),
    }
}

/// One template was uploaded: that of this file.
#[derive(Debug)]
struct Uploaded(PathBuf);

impl StackObjects for Uploaded {
    fn find(&self, account: &str, bucket: &str, key: &str) -> Option<PathBuf> {
        (account == ACCOUNT && bucket == "bucket" && key == "t.json").then(|| self.0.clone())
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

/// A clock that a second passes on at each look.
#[derive(Debug, Default)]
struct Seconds(AtomicU64);

impl Clock for Seconds {
    fn epoch_millis(&self) -> u64 {
        1_700_000_000_000 + 1000 * self.0.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) const ACCOUNT: &str = "999999999999";

/// The service under test.
pub(crate) struct Service {
    pub(crate) host: Arc<Host>,
    api: CloudFormation,
    account: &'static str,
}

/// An answer: its status, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Service {
    /// With stacks in `folder`, and the upload `t.json` there.
    pub(crate) fn new(folder: &Path) -> Self {
        let kept = Kept::read(Some(folder.join("stacks"))).unwrap();
        let host = Arc::new(Host::default());
        for stack in kept.deployed() {
            let name = stack.name.name.to_string();
            host.running.lock().unwrap().insert(name, stack.template.to_string());
        }
        let ports = Ports {
            host: Arc::clone(&host) as Arc<dyn StackHost>,
            objects: Arc::new(Uploaded(folder.join("t.json"))),
            clock: Arc::new(Seconds::default()),
            drain: Drain::new(),
        };
        let api = CloudFormation::start(kept, ports);
        api.settle();
        Self { host, api, account: ACCOUNT }
    }

    /// The same service, as another account calls it.
    pub(crate) fn of_account(&self, account: &'static str) -> Self {
        Self { host: Arc::clone(&self.host), api: self.api.clone(), account }
    }

    pub(crate) async fn call(&self, action: &str, members: &[(&str, &str)]) -> Got {
        let mut form = format!("Action={action}&Version=2010-05-15");
        for (name, value) in members {
            let value: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            form.push_str(&format!("&{name}={value}"));
        }
        let request = ServiceRequest {
            caller: ServiceCaller {
                account: self.account.into(),
                region: "us-east-1".into(),
                access_key: self.account.to_owned(),
                function: None,
            },
            target: String::new(),
            query: String::new(),
            body: form.into(),
        };
        let reply = self.api.call(request).await;
        Got { status: reply.status, body: String::from_utf8(reply.body.to_vec()).unwrap() }
    }

    /// Waits until a stack has no operation on its way; gives its status.
    pub(crate) async fn settled(&self, stack: &str) -> String {
        for _ in 0..1000 {
            let got = self.call("DescribeStacks", &[("StackName", stack)]).await;
            let status = got.text("StackStatus");
            if status.is_empty() || !status.ends_with("_IN_PROGRESS") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{stack} does not come to its end");
    }

    /// The events of a stack, the oldest first: what, and how far.
    pub(crate) async fn events(&self, stack: &str) -> Vec<String> {
        let got = self.call("DescribeStackEvents", &[("StackName", stack)]).await;
        let ids = got.texts("LogicalResourceId");
        let statuses = got.texts("ResourceStatus");
        ids.iter().zip(statuses).rev().map(|(id, status)| format!("{id} {status}")).collect()
    }
}

impl Got {
    /// The text of the first element of this name; empty without one.
    pub(crate) fn text(&self, name: &str) -> String {
        self.texts(name).into_iter().next().unwrap_or_default()
    }

    /// The texts of all elements of this name.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.body.split(&begin).skip(1);
        parts.map(|part| part.split(&end).next().unwrap().to_owned()).collect()
    }
}
