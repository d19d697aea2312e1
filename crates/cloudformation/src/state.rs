//! Stacks, their change sets and events.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use stillwire_model::{StackName, StackRequest};
use uuid::Uuid;

use crate::difference::Change;
use crate::error::{Answered, Refused};
use crate::limits;
use crate::reading::Reading;
use crate::status::Status;

/// Where a caller's stacks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

/// All stacks, by their ARNs: those that are there, and some that are gone.
#[derive(Debug, Default)]
pub(crate) struct State {
    stacks: BTreeMap<String, Stack>,
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stack {
    /// Its ARN.
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    /// In milliseconds since the Unix epoch, as all times here.
    pub(crate) created: u64,
    pub(crate) updated: Option<u64>,
    pub(crate) deleted: Option<u64>,
    /// What runs; of a stack that is gone, what ran last.
    pub(crate) deployed: Option<Deployed>,
    pub(crate) settings: Settings,
    pub(crate) is_protected: bool,
    pub(crate) policy: Option<String>,
    /// The ARN of the stack that declares it.
    pub(crate) parent: Option<String>,
    pub(crate) root: Option<String>,
    /// By their names.
    pub(crate) change_sets: BTreeMap<String, ChangeSet>,
    /// The last one that was executed: its name is free for another.
    pub(crate) executed: Option<ChangeSet>,
    /// The oldest first.
    pub(crate) events: VecDeque<Event>,
}

/// A stack as somebody wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) template: String,
    /// What was given for its parameters.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) settings: Settings,
}

/// What is said about a stack besides its template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) capabilities: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) timeout_minutes: Option<u32>,
    pub(crate) on_failure: OnFailure,
}

/// What becomes of a stack whose operation fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OnFailure {
    #[default]
    RollBack,
    DoNothing,
    Delete,
}

/// A stack as it was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployed {
    pub(crate) template: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) reading: Reading,
}

/// A change set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeSet {
    /// Its ARN.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) created: u64,
    pub(crate) is_creation: bool,
    pub(crate) wanted: Wanted,
    /// What the template comes to; `None` where it could not be read.
    pub(crate) reading: Option<Reading>,
    pub(crate) changes: Vec<Change>,
    /// Why it cannot be executed.
    pub(crate) failure: Option<String>,
    pub(crate) is_executed: bool,
    pub(crate) includes_nested: bool,
    /// What is wrong with its resources: events of the stack too.
    pub(crate) problems: Vec<Event>,
}

/// Something that happened to a stack or to a resource of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) time: u64,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    /// What the caller called the operation.
    pub(crate) token: Option<String>,
}

/// The type of stacks, as events and resources name it.
pub(crate) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

impl State {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Stack> {
        self.stacks.values()
    }

    /// The stacks of a place that are there.
    pub(crate) fn there(&self, place: &Place) -> impl Iterator<Item = &Stack> {
        self.stacks.values().filter(move |stack| stack.is_at(place) && !stack.is_gone())
    }

    /// A stack by its ARN, or one that is there by its name.
    pub(crate) fn find(&self, place: &Place, named: &str) -> Option<&Stack> {
        if named.starts_with("arn:") {
            return self.stacks.get(named).filter(|stack| stack.is_at(place));
        }
        self.there(place).find(|stack| stack.name == named)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Stack> {
        self.stacks.get(id)
    }

    /// Puts a stack in place of what it was.
    pub(crate) fn put(&mut self, stack: Stack) {
        self.stacks.insert(stack.id.clone(), stack);
    }

    /// Whether another stack has room.
    pub(crate) fn check_room(&self) -> Answered<()> {
        if self.stacks.values().filter(|stack| !stack.is_gone()).count() < limits::STACKS_MAX {
            return Ok(());
        }
        Err(Refused::limit(format!("Limit for stacks has been exceeded: {}", limits::STACKS_MAX)))
    }

    /// Forgets the stacks that are gone longest, where too many are remembered; gives their ARNs.
    pub(crate) fn forget_oldest(&mut self) -> Vec<String> {
        let mut gone: Vec<(u64, String)> = self
            .stacks
            .values()
            .filter_map(|stack| {
                Some((stack.deleted.filter(|_| stack.is_gone())?, stack.id.clone()))
            })
            .collect();
        gone.sort_unstable();
        let many = gone.len().saturating_sub(limits::DELETED_MAX);
        let oldest: Vec<String> = gone.into_iter().take(many).map(|(_, id)| id).collect();
        for id in &oldest {
            self.stacks.remove(id);
        }
        oldest
    }

    /// The stacks that import what others export, by the names of exports.
    pub(crate) fn importers<'a>(
        &'a self,
        place: &'a Place,
        export: &'a str,
    ) -> impl Iterator<Item = &'a Stack> {
        self.there(place).filter(move |stack| {
            let imports = stack.deployed.as_ref().map(|deployed| &deployed.reading.imports);
            imports.is_some_and(|imports| imports.iter().any(|import| import == export))
        })
    }
}

impl Stack {
    /// A stack that was just asked for.
    pub(crate) fn new(place: &Place, name: &str, status: Status, now: u64) -> Self {
        let Place { account, region } = place;
        let id =
            format!("arn:aws:cloudformation:{region}:{account}:stack/{name}/{}", Uuid::new_v4());
        Self {
            id,
            account: account.clone(),
            region: region.clone(),
            name: name.to_owned(),
            status,
            reason: None,
            created: now,
            updated: None,
            deleted: None,
            deployed: None,
            settings: Settings::default(),
            is_protected: false,
            policy: None,
            parent: None,
            root: None,
            change_sets: BTreeMap::new(),
            executed: None,
            events: VecDeque::new(),
        }
    }

    pub(crate) fn is_at(&self, place: &Place) -> bool {
        self.account == place.account && self.region == place.region
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.status == Status::DeleteComplete
    }

    pub(crate) fn place(&self) -> Place {
        Place { account: self.account.clone(), region: self.region.clone() }
    }

    pub(crate) fn stack_name(&self) -> StackName {
        StackName {
            account: self.account.as_str().into(),
            region: self.region.as_str().into(),
            name: self.name.as_str().into(),
        }
    }

    /// What the host is asked for.
    pub(crate) fn request(&self, wanted: &Wanted) -> StackRequest {
        StackRequest {
            name: self.stack_name(),
            id: self.id.as_str().into(),
            template: wanted.template.as_str().into(),
            parameters: wanted.parameters.clone(),
            tags: wanted.tags.clone(),
        }
    }

    /// What the host is asked for, to run what ran.
    pub(crate) fn deployed_request(&self) -> Option<StackRequest> {
        let deployed = self.deployed.as_ref()?;
        Some(StackRequest {
            name: self.stack_name(),
            id: self.id.as_str().into(),
            template: deployed.template.as_str().into(),
            parameters: deployed.parameters.clone(),
            tags: deployed.tags.clone(),
        })
    }

    /// What runs of it.
    pub(crate) fn reading(&self) -> Option<&Reading> {
        self.deployed.as_ref().map(|deployed| &deployed.reading)
    }

    /// Has another status from now on, and an event that says so.
    pub(crate) fn turn(
        &mut self,
        (status, reason): (Status, Option<String>),
        token: Option<&str>,
        now: u64,
    ) {
        self.status = status;
        self.reason.clone_from(&reason);
        self.add_event(Event {
            id: Uuid::new_v4().to_string(),
            time: now,
            logical_id: self.name.clone(),
            physical_id: self.id.clone(),
            kind: STACK_TYPE.to_owned(),
            status: status.as_str().to_owned(),
            reason,
            token: token.map(str::to_owned),
        });
    }

    /// Adds an event. No two have the same time: tools sort them by it.
    pub(crate) fn add_event(&mut self, mut event: Event) {
        if let Some(last) = self.events.back() {
            event.time = event.time.max(last.time + 1);
        }
        self.events.push_back(event);
        while self.events.len() > limits::EVENTS_MAX {
            self.events.pop_front();
        }
    }
}

impl Wanted {
    /// As it is kept once it runs.
    pub(crate) fn deployed(self, reading: Reading) -> Deployed {
        let Self { template, parameters, tags, settings: _ } = self;
        Deployed { template, parameters, tags, reading }
    }
}
