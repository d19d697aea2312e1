//! What deploy tools speak to: CloudFormation, and what they expect of an account besides.
//!
//! It answers as soon as functions may call. Where stacks are applied is known a little later, when everything runs.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use stillwire_assets::Assets;
use stillwire_bootstrap::{Iam, Logs, Parameters, Repositories, Secrets, Sts};
use stillwire_cloudformation::{CloudFormation, Kept, Ports};
use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, LoggedLines, ServiceApi, StackHost, StackName, StackObjects, StackProblem,
    StackReading, StackRequest, StoredValue, TemplateSummary,
};

use crate::clock::SystemClock;
use crate::dev::data_dir::DataDir;
use crate::dev::stacks::Holdings;

/// What earlier runs have kept for deploy tools.
#[derive(Debug)]
pub(crate) struct Deployments {
    assets: Assets,
    parameters: Parameters,
    iam: Iam,
    stacks: Kept,
}

/// The services of deploy tools.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    /// Those that take requests whole, by their signing names.
    pub(crate) whole: BTreeMap<&'static str, Arc<dyn ServiceApi>>,
    pub(crate) assets: Assets,
    pub(crate) sts: Sts,
    pub(crate) values: Values,
    stacks: CloudFormation,
    host: Arc<Late>,
}

/// Where functions read values by name.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    parameters: Parameters,
    secrets: Secrets,
}

impl Values {
    /// These are all that are declared, from now on.
    pub(crate) fn declare(&self, values: &[StoredValue]) {
        self.parameters.declare(values);
        self.secrets.declare(values);
    }
}

impl Deployments {
    /// Reads what is kept in the data folder.
    pub(crate) fn open(data: &DataDir, in_memory: bool) -> Result<Self> {
        let folder = data.path().join("deployments");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let file = |name: &str| (!in_memory).then(|| folder.join(name));
        let clock = Arc::new(SystemClock);
        Ok(Self {
            assets: Assets::open(&folder.join("assets"), clock.clone())?,
            parameters: Parameters::open(file("parameters.json"), clock.clone())?,
            iam: Iam::open(file("iam.json"), clock)?,
            stacks: Kept::read(file("stacks"))?,
        })
    }

    /// What was uploaded.
    pub(crate) fn objects(&self) -> Arc<dyn StackObjects> {
        Arc::new(self.assets.clone())
    }

    /// What templates lead to.
    pub(crate) fn holdings(&self) -> Holdings {
        Holdings { objects: self.objects(), parameters: Arc::new(self.parameters.clone()) }
    }

    /// The stacks that are to run again.
    pub(crate) fn deployed(&self) -> Vec<StackRequest> {
        self.stacks.deployed()
    }

    /// The services. Stacks are deployed once there is a host for them.
    pub(crate) fn serve(
        self,
        data: &DataDir,
        in_memory: bool,
        lines: Arc<dyn LoggedLines>,
        drain: &Drain,
    ) -> Result<Services> {
        let clock = Arc::new(SystemClock);
        let host = Arc::new(Late::default());
        let ports = Ports {
            host: Arc::clone(&host) as Arc<dyn StackHost>,
            objects: self.objects(),
            clock: clock.clone(),
            drain: drain.clone(),
        };
        let stacks = CloudFormation::start(self.stacks, ports);
        let sts = Sts::new(clock.clone());
        let groups = (!in_memory).then(|| data.path().join("deployments/log-groups.json"));
        let values = Values { parameters: self.parameters, secrets: Secrets::default() };
        let whole: [(_, Arc<dyn ServiceApi>); 7] = [
            ("cloudformation", Arc::new(stacks.clone())),
            ("sts", Arc::new(sts.clone())),
            ("iam", Arc::new(self.iam)),
            ("ssm", Arc::new(values.parameters.clone())),
            ("secretsmanager", Arc::new(values.secrets.clone())),
            ("logs", Arc::new(Logs::open(groups, lines, clock)?)),
            ("ecr", Arc::new(Repositories)),
        ];
        Ok(Services { whole: whole.into(), assets: self.assets, sts, values, stacks, host })
    }
}

impl Services {
    /// Stacks are deployed from now on. Once: who deploys them is not changed.
    pub(crate) fn deploy_to(&self, host: Arc<dyn StackHost>) {
        if self.host.0.set(host).is_ok() {
            self.stacks.settle();
        }
    }
}

/// The host of stacks, once there is one.
#[derive(Debug, Default)]
struct Late(OnceLock<Arc<dyn StackHost>>);

impl Late {
    fn host(&self) -> Result<&Arc<dyn StackHost>, Vec<StackProblem>> {
        let message = "Stillwire is still starting: deploy again in a moment".to_owned();
        let early = StackProblem { logical_id: None, resource_type: None, message };
        self.0.get().ok_or_else(|| vec![early])
    }
}

impl StackHost for Late {
    fn summarize(&self, template: &str) -> Result<TemplateSummary, Vec<StackProblem>> {
        self.host()?.summarize(template)
    }

    fn read(&self, stack: &StackRequest) -> Result<StackReading, Vec<StackProblem>> {
        self.host()?.read(stack)
    }

    fn apply(
        &self,
        stack: &StackRequest,
    ) -> BoxFuture<'static, Result<StackReading, Vec<StackProblem>>> {
        match self.host() {
            Ok(host) => host.apply(stack),
            Err(problems) => Box::pin(async { Err(problems) }),
        }
    }

    fn remove(&self, stack: &StackName) -> BoxFuture<'static, Result<(), Vec<StackProblem>>> {
        match self.host() {
            Ok(host) => host.remove(stack),
            Err(problems) => Box::pin(async { Err(problems) }),
        }
    }
}
