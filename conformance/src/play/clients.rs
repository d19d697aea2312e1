//! Steps of clients: they open connections, send and receive, and leave.

use std::path::Path;

use serde_json::{Map, Value};
use stillwire_testkit::{Client, Got, Opening, Refused};

use super::{Connection, PATIENCE, Play, State, pairs};
use crate::Result;
use crate::expect::{More, shown};
use crate::steps::{
    Close, Closed, Connect, Goodbye, Leave, Ping, Pong, Receive, Send, SendBytes, Silence, duration,
};

impl Play<'_> {
    pub(super) fn connect(&mut self, step: &Connect) -> Result<()> {
        let name = step.connect.clone();
        let scheme = step.scheme.as_deref().unwrap_or("ws");
        let mut url = match &step.url {
            None => self.world.address(self.stage(step.stage.as_deref()), scheme)?,
            Some(url) => self.names.fill(url)?,
        };
        url.push_str(&self.names.fill(&step.then)?);
        let mark = format!("{} {name}", self.mark);
        let mut headers = vec![("X-Mark".to_owned(), mark.clone())];
        for (header, wish) in [("X-Do", &step.does), ("X-Gate", &step.gate)] {
            if let Some(wish) = wish {
                headers.push((header.to_owned(), self.text_of(wish)?));
            }
        }
        for (header, value) in pairs(&step.headers)? {
            headers.push((header, self.names.fill(&value)?));
        }
        let ca = self.world.ready("ca");
        let opening = Opening::send(&url, &headers, Some(Path::new(&ca)));
        self.connections.insert(name.clone(), Connection { mark, state: State::Opening(opening) });
        self.last = name;
        if !step.answer {
            return Ok(());
        }
        let expected = step.status.unwrap_or(101);
        match self.answer()? {
            None if expected == 101 => self.check_101(step)?,
            None => return Err(format!("expected {expected}, got 101")),
            Some(refused) if refused.status == expected => {
                if let Some(body) = &step.body {
                    self.expect_text(body, &refused.body)?;
                }
            }
            Some(Refused { status, body }) => {
                return Err(format!("expected {expected}, got {status} {body:?}"));
            }
        }
        self.learn_id();
        Ok(())
    }

    /// Waits for the answer to the handshake of the last connection: `None` where it is accepted.
    fn answer(&mut self) -> Result<Option<Refused>> {
        let connection = self.connections.get_mut(&self.last).ok_or("there is no connection")?;
        match std::mem::replace(&mut connection.state, State::Over) {
            State::Opening(opening) => match opening.finish() {
                Ok(client) => {
                    connection.state = State::Open(Box::new(client));
                    Ok(None)
                }
                Err(refused) => Ok(Some(refused)),
            },
            _ => Err("it is answered already".to_owned()),
        }
    }

    fn check_101(&mut self, step: &Connect) -> Result<()> {
        let Some(expected) = &step.with else { return Ok(()) };
        let headers = &self.client(None)?.answer.headers;
        let headers: Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().into()))
            .collect();
        self.names.expect(expected, Some(&Value::Object(headers)), More::Allowed)
    }

    /// The connection's name stands for its id from the moment in which its event tells it.
    pub(super) fn learn_id(&mut self) {
        let Some(connection) = self.connections.get(&self.last) else { return };
        let is_its = |event: &Value| event["headers"]["X-Mark"] == connection.mark.as_str();
        if let Some(event) = self.world.events.all().into_iter().find(is_its) {
            let id = event["requestContext"]["connectionId"].clone();
            self.names.set(&self.last, id);
        }
    }

    pub(super) fn mark_of(&self, connection: &str) -> Option<&str> {
        self.connections.get(connection).map(|connection| connection.mark.as_str())
    }

    fn client(&mut self, named: Option<&str>) -> Result<&mut Client> {
        if let Some(name) = named {
            name.clone_into(&mut self.last);
        }
        let name = &self.last;
        let connection = self.connections.get_mut(name);
        match connection.map(|connection| &mut connection.state) {
            Some(State::Open(client)) => Ok(client),
            _ => Err(format!("no connection {name:?} is open")),
        }
    }

    /// A wish or a message: a text as it is, anything else as JSON.
    fn text_of(&self, written: &Value) -> Result<String> {
        match written {
            Value::String(text) => self.names.fill(text),
            other => Ok(self.names.fill_all(other)?.to_string()),
        }
    }

    pub(super) fn send(&mut self, step: &Send) -> Result<()> {
        let text = self.text_of(&step.send)?;
        self.client(step.by.as_deref())?.send_frames(&text, step.frames.unwrap_or(usize::MAX));
        Ok(())
    }

    pub(super) fn send_bytes(&mut self, step: &SendBytes) -> Result<()> {
        let digits: Vec<u8> = step
            .send_bytes
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("{:?} is not hexadecimal", step.send_bytes))?;
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        self.client(step.by.as_deref())?.send_raw(&bytes);
        Ok(())
    }

    pub(super) fn ping(&mut self, step: &Ping) -> Result<()> {
        self.client(step.by.as_deref())?.ping(step.ping.as_bytes());
        Ok(())
    }

    fn got(&mut self, named: Option<&str>) -> Result<Got> {
        let client = self.client(named)?;
        client.receive_within(PATIENCE).ok_or_else(|| format!("nothing came within {PATIENCE:?}"))
    }

    pub(super) fn receive(&mut self, step: &Receive) -> Result<()> {
        match self.got(step.by.as_deref())? {
            Got::Text(text) => self.expect_text(&step.receive, &text),
            other => Err(format!("expected {}, got {other:?}", shown(&step.receive))),
        }
    }

    /// Compares a text with a text, or what it is as JSON with anything else.
    pub(super) fn expect_text(&mut self, expected: &Value, got: &str) -> Result<()> {
        let got = match expected {
            Value::String(_) => got.into(),
            _ => serde_json::from_str(got).map_err(|_| format!("expected JSON, got {got:?}"))?,
        };
        self.names.expect(expected, Some(&got), More::Allowed)
    }

    pub(super) fn pong(&mut self, step: &Pong) -> Result<()> {
        match self.got(step.by.as_deref())? {
            Got::Pong(payload) if payload == step.pong.as_bytes() => Ok(()),
            other => Err(format!("expected a pong {:?}, got {other:?}", step.pong)),
        }
    }

    pub(super) fn silence(&mut self, step: &Silence) -> Result<()> {
        let time = duration(&step.silence)?;
        match self.client(step.by.as_deref())?.receive_within(time) {
            None => Ok(()),
            Some(got) => Err(format!("expected nothing, got {got:?}")),
        }
    }

    pub(super) fn close(&mut self, step: &Close) -> Result<()> {
        let code = (step.close != 1005).then_some((step.close, self.names.fill(&step.reason)?));
        self.client(step.by.as_deref())?;
        let connection = self.connections.get_mut(&self.last).ok_or("there is no connection")?;
        let State::Open(client) = std::mem::replace(&mut connection.state, State::Over) else {
            return Err("it is not open".to_owned());
        };
        match client.close(code.as_ref().map(|(code, reason)| (*code, reason.as_str()))) {
            Got::Close(echo, _) if echo == step.close => Ok(()),
            other => Err(format!("expected the echo of {}, got {other:?}", step.close)),
        }
    }

    pub(super) fn closed(&mut self, step: &Closed) -> Result<()> {
        let reason = step.reason.clone().unwrap_or_default();
        match self.got(step.by.as_deref())? {
            Got::Close(code, said)
                if code == step.closed && (step.reason.is_none() || said == reason) =>
            {
                Ok(())
            }
            other => {
                Err(format!("expected the close code {} {reason:?}, got {other:?}", step.closed))
            }
        }
    }

    pub(super) fn leave(&mut self, step: &Leave) -> Result<()> {
        if let Some(name) = &step.by {
            self.last.clone_from(name);
        }
        let connection = self.connections.get_mut(&self.last).ok_or("there is no connection")?;
        match (std::mem::replace(&mut connection.state, State::Over), step.leave) {
            (State::Open(client), Goodbye::Reset) => client.reset(),
            (State::Opening(opening), Goodbye::Reset) => opening.reset(),
            (State::Over, _) => return Err("it has left already".to_owned()),
            (left, Goodbye::End) => drop(left),
        }
        Ok(())
    }
}
