//! What hostile clients do to a server of their own: its memory stays within its bound, and a bystander is served.
//!
//! The server is this test program again, in a process of its own, so that its memory is nobody else's. The classes
//! are those that became advisories of other WebSocket servers:
//!
//! | advisory | what happened there | test |
//! | --- | --- | --- |
//! | CVE-2024-37890 (ws) | too many headers, a crash | `bombs::headers` |
//! | CVE-2026-48779 (ws) | tiny fragments pin memory | `messages::tiny_fragments` |
//! | CVE-2023-43669 (tungstenite) | a dribbled header costs quadratic time | `bombs::dribbled_header` |
//! | CVE-2026-27571 (NATS) | inflating without a bound | `bombs::compression` |
//! | CVE-2026-33219 (NATS) | data before it is let in is buffered | `bombs::early_data` |
//! | CVE-2026-27889 (NATS) | frame lengths overflow | conformance, `limits::absurd_lengths…` |
//! | CVE-2026-1526, -1528, -2229 (undici) | illegal extension parameters | `bombs::extensions` |
//! | CVE-2026-1525 (undici) and others | request smuggling | conformance, `handshake::what_is_no_handshake…` |
//! | nginx issue 1472 | `Upgrade: h2c` passes | conformance, `handshake::an_upgrade_to_something_else…` |
//! | NATS issue 5553 | compression keeps memory for each client | `bombs::compression_at_rest` |

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::large_stack_arrays,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a broken test may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod bombs;
mod crowds;
mod messages;
mod readers;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stillwire_gateway::engine::ConnectionLimits;
use support::{Client, frame};

const MIB: u64 = 1 << 20;

/// Says in the environment of the server's process what it is.
const ROLE: &str = "STILLWIRE_TEST_SERVER";

/// Not a test: the server, when this program is started as one. Its limits are named in the environment.
#[test]
fn server() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let limits = ConnectionLimits {
        compression: role.contains("deflate"),
        controls_per_second_max: if role.contains("chatty") { u32::MAX } else { 100 },
        stall_timeout: Duration::from_secs(if role.contains("hasty") { 1 } else { 10 }),
        message_timeout: Some(Duration::from_secs(if role.contains("hasty") { 2 } else { 60 })),
        ..ConnectionLimits::default()
    };
    let most = if role.contains("small") { 50 } else { 1 << 20 };
    let address = support::serve(limits, most);
    eprintln!("listening on {address}");
    // It ends with the test that started it.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A server in a process of its own.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(role: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server", "--nocapture", "--test-threads", "1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().starts_with("listening on ")).unwrap();
        let address = line.unwrap().trim_start_matches("listening on ").parse().unwrap();
        // What else it says is read, so that it can go on saying it.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self { process, address };
        // Warm: what the first clients bring into memory for good is not the attack's.
        for _ in 0..20 {
            server.bystander();
        }
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Private memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap();
        let private = text.lines().filter(|line| line.starts_with("Private_"));
        private
            .map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap())
            .sum::<u64>()
            * 1024
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let nanos = tasks.map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Comes, says something, is answered, leaves: gives how long that took.
    pub(crate) fn bystander(&self) -> Duration {
        let began = Instant::now();
        let mut client = Client::connect(self.address);
        client.send(&frame(0x81, b"still there?"));
        assert_eq!(client.message().unwrap().payload, b"still there?");
        began.elapsed()
    }

    /// Does something to the server; its memory may grow by `bytes`, and bystanders are served meanwhile and after.
    pub(crate) fn endures<T>(&self, bytes: u64, attack: impl FnOnce() -> T) -> T {
        let before = self.memory();
        let done = attack();
        let slowest = (0..20).map(|_| self.bystander()).max().unwrap();
        let grown = self.memory().saturating_sub(before);
        assert!(grown <= bytes, "grew by {grown} bytes, {bytes} are allowed");
        assert!(slowest < Duration::from_millis(500), "a bystander waited {slowest:?}");
        done
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
