//! Tests of a connection without a socket: time is a number, and the wire is a vector.

use std::sync::Arc;

use stillwire_websocket::{CloseFrame, Role};

use super::*;
use crate::engine::bell::Bell;

const MINUTE: Millis = 60_000;

/// Echoes, and remembers.
struct Mirror {
    outbox: Outbox,
    heard: Vec<String>,
}

impl Session for Mirror {
    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn message(&mut self, message: Incoming<'_>, replies: &mut Replies<'_>) {
        match message {
            Incoming::Text(text) => {
                self.heard.push(text.to_owned());
                if text.starts_with("hold") {
                    self.outbox.begin_message();
                } else {
                    replies.text(text);
                }
            }
            Incoming::Binary(bytes) => replies.binary(bytes),
        }
    }

    fn ending(&mut self, _: &Ending, _: Option<ProtocolError>) {}

    fn ended(self, _: Ending) {}
}

/// A connection, and a socket that takes `takes` bytes.
struct Line {
    connection: Connection<Mirror>,
    now: Millis,
    /// What the client got.
    wire: Vec<u8>,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    takes: usize,
    taken_at: Millis,
}

impl Line {
    fn new(limits: ConnectionLimits) -> Self {
        let outbox = Outbox::new(Arc::new(limits), Arc::<Bell>::default(), 0);
        let session = Mirror { outbox, heard: Vec::new() };
        Self {
            connection: Connection::new(session, None, 0),
            now: 0,
            wire: Vec::new(),
            unsent: Vec::new(),
            takes: usize::MAX,
            taken_at: 0,
        }
    }

    fn usual() -> Self {
        Self::new(ConnectionLimits::default())
    }

    fn act(&mut self, act: impl FnOnce(&mut Connection<Mirror>, &mut Turn<'_>)) {
        let mut out = Vec::new();
        let unsent = self.unsent.len();
        act(&mut self.connection, &mut Turn { now: self.now, out: &mut out, unsent });
        if self.unsent.is_empty() && !out.is_empty() {
            self.taken_at = self.now;
        }
        self.unsent.extend(out);
        self.flush();
        // Written down and read back after every step: whatever it was about to do, it does.
        let written = serde_json::to_string(&self.connection.state).unwrap();
        self.connection.state = serde_json::from_str(&written).unwrap();
    }

    fn flush(&mut self) {
        let taken = self.takes.min(self.unsent.len());
        self.takes -= taken;
        if taken > 0 {
            self.taken_at = self.now;
        }
        self.wire.extend(self.unsent.drain(..taken));
    }

    /// Lets the socket take so much more, and the connection go on.
    fn takes(&mut self, bytes: usize) {
        self.takes = bytes;
        loop {
            let before = (self.wire.len(), self.unsent.len());
            self.flush();
            self.act(Connection::resume);
            if before == (self.wire.len(), self.unsent.len()) {
                return;
            }
        }
    }

    fn resume(&mut self) {
        self.takes(self.takes);
    }

    fn raw(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.act(|connection, turn| connection.receive(&mut bytes, turn));
    }

    fn text(&mut self, text: &str) {
        let mut bytes = Vec::new();
        encode_message(
            Opcode::Text,
            text.as_bytes(),
            32_768,
            Masking::Key([1, 2, 3, 4]),
            &mut bytes,
        );
        self.raw(&bytes);
    }

    fn post(&mut self, text: &str) {
        self.connection.session.outbox.post(Outgoing::Text(text.to_owned().into())).unwrap();
        self.resume();
    }

    fn due(&self) -> Option<Millis> {
        self.connection.due((!self.unsent.is_empty()).then_some(self.taken_at))
    }

    /// Lets time pass up to `until`, acting on every deadline.
    fn wait(&mut self, until: Millis) {
        while let Some(due) = self.due()
            && due <= until
            && !self.is_over()
        {
            self.now = due;
            let taken_at = (!self.unsent.is_empty()).then_some(self.taken_at);
            self.act(|connection, turn| connection.tick(taken_at, turn));
        }
        self.now = until;
    }

    fn is_over(&self) -> bool {
        self.connection.is_over(self.unsent.is_empty())
    }

    /// What the client got since the last look, as text; close frames as `close CODE REASON`.
    fn got(&mut self) -> Vec<String> {
        let limits = Limits { frame_bytes_max: 1 << 20, message_bytes_max: 1 << 20, binary: true };
        let mut decoder = Decoder::new(Role::Client);
        let mut wire = std::mem::take(&mut self.wire);
        let (mut at, mut got) = (0, Vec::new());
        while at < wire.len() {
            let decoded = decoder.decode(&limits, &mut wire[at..]).unwrap();
            at += decoded.consumed;
            match decoded.message {
                Some(Message::Text(text)) => got.push(text.into_owned()),
                Some(Message::Binary(bytes)) => got.push(format!("{bytes:?}")),
                Some(Message::Ping(_)) => got.push("ping".to_owned()),
                Some(Message::Pong(payload)) => {
                    got.push(format!("pong {}", String::from_utf8_lossy(&payload)));
                }
                Some(Message::Close(frame)) => got.push(match frame {
                    Some(CloseFrame { code, reason }) => format!("close {code} {reason}"),
                    None => "close".to_owned(),
                }),
                None => break,
            }
        }
        got
    }

    fn ending(self) -> Ending {
        self.connection.finish().1
    }
}

#[test]
fn an_idle_connection_is_closed_after_ten_minutes() {
    let mut line = Line::usual();
    line.wait(10 * MINUTE - 1);
    assert!(line.got().is_empty());
    line.wait(10 * MINUTE);
    assert_eq!(line.got(), ["close 1001 Going away"]);
    assert!(!line.is_over(), "the client may still answer");
    line.raw(b"\x88\x82\0\0\0\0\x03\xe9");
    assert!(line.is_over());
    assert_eq!(line.ending(), Ending::going_away());
}

#[test]
fn a_close_that_is_not_answered_ends_after_three_seconds() {
    let mut line = Line::usual();
    line.wait(10 * MINUTE + 2_999);
    assert!(!line.is_over());
    line.wait(10 * MINUTE + 3_000);
    assert!(line.is_over());
}

#[test]
fn a_post_keeps_a_connection_alive_and_a_ping_does_not() {
    let mut line = Line::usual();
    line.wait(9 * MINUTE);
    line.post("hello");
    line.wait(14 * MINUTE);
    line.raw(b"\x89\x81\0\0\0\0?");
    assert_eq!(line.got(), ["hello", "pong ?"]);
    line.wait(19 * MINUTE - 1);
    assert!(line.got().is_empty());
    line.wait(19 * MINUTE);
    assert_eq!(line.got(), ["close 1001 Going away"]);
}

#[test]
fn a_connection_ends_after_two_hours_even_with_traffic() {
    let mut line = Line::usual();
    for five in 1..24 {
        line.wait(five * 5 * MINUTE);
        line.text("tick");
    }
    assert_eq!(line.got(), ["tick"; 23]);
    line.wait(120 * MINUTE);
    assert_eq!(line.got(), ["close 1001 Going away"]);
}

#[test]
fn limits_that_are_lifted_never_fire() {
    let limits = ConnectionLimits {
        idle_timeout: None,
        lifetime_max: None,
        frame_bytes_max: usize::MAX,
        message_bytes_max: usize::MAX,
        binary: true,
        ..ConnectionLimits::default()
    };
    let mut line = Line::new(limits);
    assert_eq!(line.due(), None);
    line.text(&"x".repeat(300_000));
    line.raw(b"\x82\x81\0\0\0\0\x07");
    assert_eq!(line.got(), ["x".repeat(300_000), "[7]".to_owned()]);
    assert_eq!(line.due(), None);
}

#[test]
fn a_silent_client_is_pinged_and_a_deaf_one_is_lost() {
    let ping_interval = Some(Duration::from_secs(30));
    let mut line = Line::new(ConnectionLimits { ping_interval, ..ConnectionLimits::default() });
    line.wait(30_000);
    assert_eq!(line.got(), ["ping"]);
    line.wait(40_000);
    line.raw(b"\x8a\x80\0\0\0\0");
    line.wait(69_999);
    assert!(line.got().is_empty());
    line.wait(70_000);
    assert_eq!(line.got(), ["ping"]);
    line.wait(100_000);
    assert!(line.is_over());
    assert_eq!(line.ending(), Ending::lost());
}

#[test]
fn a_client_gets_its_own_close_code_back_and_the_ending_has_its_reason() {
    for (payload, echoed, code, reason) in [
        (b"".as_slice(), "close", 1005, "Client-side close frame status not set"),
        (b"\x03\xe9", "close 1001 ", 1001, ""),
        (b"\x0f\xa1bye", "close 4001 ", 4001, "bye"),
    ] {
        let mut line = Line::usual();
        let length = u8::try_from(payload.len()).unwrap();
        line.raw(&[&[0x88, 0x80 | length, 0, 0, 0, 0], payload].concat());
        assert_eq!(line.got(), [echoed]);
        assert!(line.is_over());
        let ending = line.ending();
        assert_eq!((ending.status_code, ending.reason.as_str()), (code, reason));
    }
}

#[test]
fn a_violation_closes_with_its_code_and_nothing_after_it_is_heard() {
    for (bytes, code) in [
        (b"\x82\x80\0\0\0\0".as_slice(), 1003),        // binary
        (b"\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0", 1009), // a frame of 64 KB
        (b"\x81\x02hi", 1002),                         // not masked
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),           // not UTF-8
    ] {
        let mut line = Line::usual();
        line.raw(bytes);
        line.text("more");
        assert!(line.connection.session.heard.is_empty());
        let got = line.got();
        assert!(got.len() == 1 && got[0].starts_with(&format!("close {code}")), "{got:?}");
        assert_eq!(line.ending().status_code, code);
    }
}

#[test]
fn a_client_that_vanishes_is_lost() {
    let mut line = Line::usual();
    line.act(Connection::lose);
    assert!(line.is_over());
    assert_eq!(line.ending(), Ending::lost());
}

#[test]
fn a_deleted_connection_sends_what_was_accepted_and_closes_with_1000() {
    let mut line = Line::usual();
    let outbox = &line.connection.session.outbox;
    outbox.post(Outgoing::Text("last".into())).unwrap();
    outbox.end(Ending::deleted()).unwrap();
    line.resume();
    assert_eq!(line.got(), ["last", "close 1000 "]);
}

#[test]
fn a_client_that_is_far_ahead_waits_until_the_application_catches_up() {
    let mut line = Line::usual();
    for _ in 0..40 {
        line.text("hold");
    }
    let at_once = line.connection.limits().in_flight_max;
    assert_eq!(line.connection.session.heard.len(), at_once);
    let wants_bytes = |line: &mut Line| {
        let mut wants = false;
        line.act(|connection, turn| wants = connection.wants_bytes(turn));
        wants
    };
    assert!(!wants_bytes(&mut line));
    for done in 1..=24 {
        line.connection.session.outbox.finish_message();
        line.resume();
        assert_eq!(line.connection.session.heard.len(), at_once + done);
    }
    assert!(!wants_bytes(&mut line));
    line.connection.session.outbox.finish_message();
    line.resume();
    assert!(wants_bytes(&mut line));
}

#[test]
fn a_client_that_takes_no_bytes_is_given_up() {
    let mut line = Line::usual();
    line.takes = 1000;
    line.post(&"x".repeat(100_000));
    line.wait(9_999);
    assert!(!line.is_over());
    line.takes(1000);
    line.wait(19_998);
    assert!(!line.is_over(), "the time counts from the last byte taken");
    line.wait(20_000);
    assert!(line.is_over());
    assert_eq!(line.ending().status_code, 1008);
}

#[test]
fn a_client_that_reads_again_gets_everything_that_was_accepted() {
    let mut line = Line::usual();
    line.takes = 0;
    let message = "x".repeat(4000);
    let mut due = 0;
    let post = |line: &Line| {
        let outbox = &line.connection.session.outbox;
        outbox.post(Outgoing::Text(message.clone().into())).is_ok()
    };
    while post(&line) {
        due += 1;
        line.resume();
    }
    assert!(due * 4000 > 512 * 1024, "{due}");
    assert!(line.unsent.len() < WRITE_AHEAD_BYTES + 5000, "what waits is in the outbox");
    line.takes(usize::MAX);
    assert_eq!(line.got().len(), due);
}

#[test]
fn a_client_that_reads_nothing_is_told_to_leave_within_the_time_for_it() {
    let mut line = Line::usual();
    line.takes = 0;
    for _ in 0..6 {
        line.post(&"x".repeat(131_072));
    }
    line.connection.session.outbox.end(Ending::going_away()).unwrap();
    line.resume();
    line.wait(10_000);
    assert!(line.is_over());
    assert_eq!(line.ending(), Ending::going_away());
}

#[test]
fn pings_of_a_client_that_does_not_read_are_not_read_either() {
    let limits = ConnectionLimits { controls_per_second_max: 9999, ..ConnectionLimits::default() };
    let mut line = Line::new(limits);
    line.takes = 0;
    for _ in 0..3 {
        line.text(&"x".repeat(32_000));
    }
    let unsent = line.unsent.len();
    line.raw(&b"\x89\x80\0\0\0\0".repeat(1000));
    assert_eq!(line.unsent.len(), unsent);
    line.takes(usize::MAX);
    assert_eq!(line.got().len(), 3 + 1000);
}

#[test]
fn a_flood_of_control_frames_ends_the_connection() {
    let mut line = Line::usual();
    for second in 0..5 {
        line.now = second * 1000;
        line.raw(&b"\x89\x80\0\0\0\0".repeat(100));
    }
    assert_eq!(line.got().len(), 500);
    line.raw(b"\x8a\x80\0\0\0\0");
    assert_eq!(line.got(), ["close 1008 too many control frames"]);
}

#[test]
fn a_message_that_is_not_finished_ends_the_connection_after_a_minute() {
    let mut line = Line::usual();
    line.raw(b"\x01\x81\0\0\0\0a");
    for second in 1..60 {
        line.now = second * 1000;
        line.raw(b"\x00\x81\0\0\0\0a");
    }
    line.wait(MINUTE - 1);
    assert!(line.got().is_empty());
    line.wait(MINUTE);
    assert_eq!(line.got(), ["close 1008 message unfinished"]);
    assert!(line.connection.unfinished().is_none());
}

#[test]
fn the_state_of_a_connection_is_small() {
    let size = size_of::<Connection<crate::session::ApiSession>>();
    assert!(size <= 112, "a connection's state has grown to {size} bytes");
}
