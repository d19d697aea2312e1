//! Plays a case: its steps, one after another.

mod calls;
mod clients;
mod program;
mod sightings;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use stillwire_testkit::{Client, Opening};

use crate::expect::Names;
use crate::sdk::Sdks;
use crate::steps::{Step, What, duration};
use crate::world::World;
use crate::{Result, checks};

/// How long anything may take that a step waits for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A case while it is played.
#[derive(Debug)]
pub(crate) struct Play<'w> {
    pub(crate) world: &'w World,
    sdks: &'w Sdks,
    /// The stage of connections that say no other.
    stage: &'w str,
    pub(crate) names: Names,
    connections: BTreeMap<String, Connection>,
    /// The connection that the last step was about.
    last: String,
    /// What tells this play's connections from all others.
    mark: &'w str,
}

/// A client, under its name.
#[derive(Debug)]
struct Connection {
    mark: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The handshake was sent and is not answered.
    Opening(Opening),
    Open(Box<Client>),
    /// It was refused, or has left.
    Over,
}

/// Plays the steps; what went wrong says in which of them.
pub(crate) fn play(
    world: &World,
    sdks: &Sdks,
    (stage, mark): (&str, &str),
    steps: &[Step],
) -> Result<()> {
    let mut names = Names::default();
    for (name, what) in
        [("api", "id"), ("http", "http"), ("https", "https"), ("ws", "ws"), ("wss", "wss")]
    {
        names.set(name, world.address(stage, what)?);
    }
    let ws = world.address(stage, "ws")?;
    let host = ws.split('/').nth(2).unwrap_or_default();
    names.set("host", host);
    names.set("port", host.rsplit(':').next().unwrap_or_default());
    names.set("aws", world.ready("aws_endpoint"));
    names.set("case", mark);
    let connections = BTreeMap::new();
    let mut play = Play { world, sdks, stage, names, connections, last: String::new(), mark };
    for (at, step) in steps.iter().enumerate() {
        play.step(step).map_err(|problem| format!("step {} `{}`: {problem}", at + 1, step.verb))?;
    }
    Ok(())
}

impl Play<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        let began = Instant::now();
        match &step.what {
            What::Connect(step) => self.connect(step)?,
            What::Send(step) => self.send(step)?,
            What::SendBytes(step) => self.send_bytes(step)?,
            What::Ping(step) => self.ping(step)?,
            What::Receive(step) => self.receive(step)?,
            What::Pong(step) => self.pong(step)?,
            What::Silence(step) => self.silence(step)?,
            What::Close(step) => self.close(step)?,
            What::Closed(step) => self.closed(step)?,
            What::Leave(step) => self.leave(step)?,
            What::Event(step) => self.event(step)?,
            What::NoEvent(step) => self.no_event(step)?,
            What::Request(step) => self.request(step)?,
            What::NoRequest(step) => self.no_request(step)?,
            What::Logged(step) => self.logged(step)?,
            What::Http(step) => self.http(step)?,
            What::Call(step) => self.call(step)?,
            What::Sign(step) => self.sign(step)?,
            What::Check(step) => checks::run(&step.check, self, &step.of)?,
            What::Holds(step) => self.holds(&step.holds)?,
            What::Wait(step) => std::thread::sleep(duration(&step.wait)?),
            What::Validate(step) => self.validate(step)?,
            What::Edit(step) => self.edit(step)?,
            What::Signal(step) => self.signal(step)?,
            What::AfterTheEnd(step) => self.after_the_end(step)?,
        }
        let took = began.elapsed();
        if let Some(least) = step.at_least.filter(|least| took < *least) {
            return Err(format!("expected it to take at least {least:?}, it took {took:?}"));
        }
        if let Some(most) = step.at_most.filter(|most| took > *most) {
            return Err(format!("expected it to take at most {most:?}, it took {took:?}"));
        }
        Ok(())
    }

    /// A stage's name, or the usual one.
    fn stage<'s>(&'s self, named: Option<&'s str>) -> &'s str {
        named.unwrap_or(self.stage)
    }

    /// Compares two values: `<a> < <b>`, `<a> = <b>`, `<a> != <b>`, as numbers where both are.
    fn holds(&self, comparison: &str) -> Result<()> {
        let mut words = comparison.split(' ');
        let (Some(left), Some(operator), Some(right), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("{comparison:?} is no comparison of two values"));
        };
        let (left, right) = (self.names.fill(left)?, self.names.fill(right)?);
        let order = match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) => left.partial_cmp(&right),
            _ => Some(left.cmp(&right)),
        };
        let holds = match operator {
            "<" => order.is_some_and(std::cmp::Ordering::is_lt),
            "<=" => order.is_some_and(std::cmp::Ordering::is_le),
            "=" => order.is_some_and(std::cmp::Ordering::is_eq),
            "!=" => order.is_some_and(std::cmp::Ordering::is_ne),
            other => return Err(format!("{other:?} compares nothing")),
        };
        if holds { Ok(()) } else { Err(format!("expected {comparison}, got {left} and {right}")) }
    }
}

/// Waits for a state.
fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Headers, written as a table or as a list of pairs.
fn pairs(written: &Value) -> Result<Vec<(String, String)>> {
    let text = |value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no header"))
    };
    match written {
        Value::Null => Ok(Vec::new()),
        Value::Object(members) => {
            members.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect()
        }
        Value::Array(items) => {
            items.iter().map(|pair| Ok((text(&pair[0])?, text(&pair[1])?))).collect()
        }
        other => Err(format!("{other} is no list of headers")),
    }
}
