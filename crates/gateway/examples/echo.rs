//! A WebSocket echo on the very engine that holds an API's connections: for conformance suites and benchmarks.
//!
//! `cargo run --release -p stillwire-gateway --example echo -- [--port PORT] [--max-message BYTES]`; prints its address.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the people of this project"
)]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use stillwire_drain::Drain;
use stillwire_gateway::ConnectionLimits;
use stillwire_gateway::engine::{Connection, Ending, Outbox, Replies, Session};
use stillwire_websocket::{ProtocolError, RequestHead, Upgrade};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends every message back, with the write that follows the read.
#[derive(Default)]
struct Echo(Outbox);

impl Session for Echo {
    fn outbox(&self) -> &Outbox {
        &self.0
    }

    fn message(&mut self, text: &str, replies: &mut Replies<'_>) {
        replies.send(text);
    }

    fn active(&mut self) {}

    fn ending(&mut self, _: &Ending, _: Option<ProtocolError>) {}
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut port, mut limits) = (0, ConnectionLimits::default());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("each option has a value")?;
        match word.as_str() {
            "--port" => port = value.parse()?,
            "--max-message" => {
                limits.message_bytes_max = value.parse()?;
                limits.frame_bytes_max = limits.message_bytes_max;
            }
            other => return Err(format!("{other} is not --port or --max-message").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = stillwire_listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        println!("{}", listener.local_addr()?);
        let drain = Drain::new();
        loop {
            let (stream, _) = listener.accept().await?;
            drain.spawn("echo", serve(stream, limits.clone()));
        }
    })
}

async fn serve(mut stream: TcpStream, limits: ConnectionLimits) {
    let opened = Box::pin(open(&mut stream)).await;
    if let Ok(unread) = opened {
        Connection::new(stream, Echo::default(), limits, unread).await;
    }
}

/// The handshake; gives what the client sent after it.
async fn open(stream: &mut TcpStream) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(1024);
    let end = loop {
        let seen = bytes.len();
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err("the client has left".into());
        }
        if let Some(end) = RequestHead::find_end(&bytes, seen)? {
            break end;
        }
    };
    let head = RequestHead::parse(bytes.get(..end).unwrap_or_default())?;
    let answer = match Upgrade::check(&head) {
        Ok(upgrade) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            upgrade.accept
        ),
        Err(refusal) => {
            let answer =
                format!("HTTP/1.1 {} Refused\r\nContent-Length: 0\r\n\r\n", refusal.status());
            stream.write_all(answer.as_bytes()).await?;
            return Err(refusal.into());
        }
    };
    stream.write_all(answer.as_bytes()).await?;
    Ok(bytes.split_off(end))
}
