//! Steps that look at what happened elsewhere: at functions, at backends, in logs.

use serde_json::Value;

use super::{PATIENCE, Play, until};
use crate::Result;
use crate::expect::{More, shown};
use crate::steps::{Event, Logged, NoEvent, NoRequest, Request, duration};

/// Whose events are looked for.
enum Owner {
    Anyone,
    /// The client that sent this mark; its first events are known by nothing else.
    Mark(String),
    Id(Value),
}

impl Play<'_> {
    pub(super) fn event(&mut self, step: &Event) -> Result<()> {
        let owner = self.owner(&step.event, step.of.as_deref())?;
        let more = if step.exactly { More::Refused } else { More::Allowed };
        let world = self.world;
        let candidates = || of_kind(world.events.all(), &step.event, &owner);
        let wanted = step.times.unwrap_or(1);
        until(PATIENCE, || {
            let fits =
                |event: &&Value| self.names.clone().expect(&step.is, Some(event), more).is_ok();
            (candidates().iter().filter(fits).count() >= wanted).then_some(())
        });
        if step.times.is_some() {
            // One more than there should be comes soon after.
            std::thread::sleep(duration("200ms")?);
        }
        let found = self.search(candidates(), &step.is, more)?;
        if let Some(times) = step.times.filter(|times| *times != found) {
            return Err(format!("expected {times} of {}, got {found}", step.event));
        }
        if self.names.get(&self.last).is_none() {
            self.learn_id();
        }
        Ok(())
    }

    pub(super) fn no_event(&mut self, step: &NoEvent) -> Result<()> {
        let owner = self.owner(&step.no_event, step.of.as_deref())?;
        let seen = until(duration(&step.within)?, || {
            let candidates = of_kind(self.world.events.all(), &step.no_event, &owner);
            candidates.into_iter().find(|event| {
                self.names.clone().expect(&step.is, Some(event), More::Allowed).is_ok()
            })
        });
        seen.map_or(Ok(()), |event| Err(format!("expected no such event, got {}", shown(&event))))
    }

    fn owner(&self, kind: &str, of: Option<&str>) -> Result<Owner> {
        let of = of.unwrap_or(&self.last);
        if of == "anyone" {
            return Ok(Owner::Anyone);
        }
        match (kind, self.mark_of(of)) {
            ("CONNECT" | "AUTHORIZER", Some(mark)) => Ok(Owner::Mark(mark.to_owned())),
            (_, Some(_)) => {
                let id = self.names.get(of).cloned();
                id.map(Owner::Id).ok_or_else(|| format!("the id of {of:?} is not known"))
            }
            _ => Ok(Owner::Id(self.names.fill(of)?.into())),
        }
    }

    pub(super) fn request(&mut self, step: &Request) -> Result<()> {
        let world = self.world;
        until(PATIENCE, || {
            let fits = |got: &Value| {
                self.names.clone().expect(&step.request, Some(got), More::Allowed).is_ok()
            };
            world.backend.requests().iter().any(fits).then_some(())
        });
        self.search(world.backend.requests(), &step.request, More::Allowed).map(|_| ())
    }

    pub(super) fn no_request(&mut self, step: &NoRequest) -> Result<()> {
        let seen = until(duration(&step.within)?, || {
            self.world.backend.requests().into_iter().find(|got| {
                self.names.clone().expect(&step.no_request, Some(got), More::Allowed).is_ok()
            })
        });
        seen.map_or(Ok(()), |got| Err(format!("expected no such request, got {}", shown(&got))))
    }

    pub(super) fn logged(&mut self, step: &Logged) -> Result<()> {
        let world = self.world;
        let more = if step.exactly { More::Refused } else { More::Allowed };
        until(PATIENCE, || {
            let fits =
                |line: &Value| self.names.clone().expect(&step.logged, Some(line), more).is_ok();
            world.access_logs().iter().any(fits).then_some(())
        });
        self.search(world.access_logs(), &step.logged, more).map(|_| ())
    }

    /// Takes the first candidate that fits; gives how many do. Where none does, what is wrong with the nearest.
    fn search(&mut self, candidates: Vec<Value>, expected: &Value, more: More) -> Result<usize> {
        let mut nearest = (0, "there is none".to_owned());
        let (mut found, known) = (0, self.names.clone());
        for candidate in &candidates {
            let mut trial = known.clone();
            match trial.expect(expected, Some(candidate), more) {
                Ok(()) if found == 0 => {
                    self.names = trial;
                    found = 1;
                }
                Ok(()) => found += 1,
                Err(problem) => {
                    let fitting = known.members_that_fit(expected, candidate);
                    if fitting >= nearest.0 {
                        nearest = (fitting, problem);
                    }
                }
            }
        }
        if found > 0 {
            Ok(found)
        } else {
            Err(format!("expected {}: {}", shown(expected), nearest.1))
        }
    }
}

/// The events of a kind that are an owner's.
fn of_kind(events: Vec<Value>, kind: &str, owner: &Owner) -> Vec<Value> {
    let is_of_kind = |event: &Value| match kind {
        "ANY" => true,
        "AUTHORIZER" => event["type"] == "REQUEST",
        kind => event["requestContext"]["eventType"] == kind && event.get("type").is_none(),
    };
    let is_owned = |event: &Value| match owner {
        Owner::Anyone => true,
        Owner::Mark(mark) => event["headers"]["X-Mark"] == mark.as_str(),
        Owner::Id(id) => event["requestContext"]["connectionId"] == *id,
    };
    events.into_iter().filter(|event| is_of_kind(event) && is_owned(event)).collect()
}
