//! CloudWatch Logs: log groups, and what functions wrote.
//!
//! A function's group is there without being made. Groups are made by calls too, and hold nothing then: nobody writes to them.

mod filter;
mod groups;
mod reading;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use stillwire_keep::StateFile;
use stillwire_model::{BoxFuture, Clock, LoggedLines, ServiceApi, ServiceReply, ServiceRequest};

use crate::error::{Answered, Refused};
use crate::json::{self, Members};
use crate::place::Place;
use groups::State;

/// The version of the file's form.
const VERSION: u32 = 1;

/// The service. Clones share everything.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Room>);

#[derive(Debug)]
struct Room {
    state: Mutex<State>,
    store: StateFile,
    lines: Arc<dyn LoggedLines>,
    clock: Arc<dyn Clock>,
}

impl Logs {
    /// What is kept in `file`, and what functions write. Without a file, nothing was kept and nothing will be.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(
        file: Option<PathBuf>,
        lines: Arc<dyn LoggedLines>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let store = StateFile::new(file, VERSION);
        let state = Mutex::new(store.read()?);
        Ok(Self(Arc::new(Room { state, store, lines, clock })))
    }
}

impl ServiceApi for Logs {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let room = Arc::clone(&self.0);
        json::answer_from_disk(request, move |place, operation, members| {
            room.operate(place, operation, members)
        })
    }
}

impl Room {
    fn operate(&self, place: &Place, operation: &str, members: &Members) -> Answered<Value> {
        match operation {
            "FilterLogEvents" => reading::filter(self, place, members),
            "GetLogEvents" => reading::get(self, place, members),
            "DescribeLogStreams" => reading::streams(self, place, members),
            _ => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let mut next = state.clone();
                let now = self.clock.epoch_millis();
                let written = self.lines.groups(&place.account, &place.region);
                let answer = next.operate(place, (operation, members), &written, now)?;
                if next != *state {
                    self.store.write(&next).map_err(|error| Refused::not_kept(&error))?;
                    *state = next;
                }
                Ok(answer)
            }
        }
    }

    /// Checks that a group is there, made or written to.
    fn check_group(&self, place: &Place, group: &str) -> Answered<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = state.has(place, group)
            || self.lines.groups(&place.account, &place.region).iter().any(|one| one == group);
        if is_there { Ok(()) } else { Err(groups::no_group()) }
    }
}

fn group_arn(place: &Place, group: &str) -> String {
    place.arn("logs", &format!("log-group:{group}"))
}

/// The group that a request names, by its name or ARN.
fn group_of(members: &Members) -> Answered<&str> {
    let named = match members.text("logGroupName")? {
        Some(name) => name,
        None => members.needed("logGroupIdentifier")?,
    };
    Ok(group_name(named))
}

/// The name of a group that is given by name or ARN.
fn group_name(named: &str) -> &str {
    let name = named.split_once(":log-group:").map_or(named, |(_, name)| name);
    name.strip_suffix(":*").unwrap_or(name)
}
