//! A WebSocket echo on the very engine that holds an API's connections: for conformance suites and benchmarks.
//!
//! `echo [--port PORT] [--max-message BYTES] [--deflate on] [--tls FOLDER] [--shards N]`; prints its address. With
//! `--tls` the folder keeps a local authority, and the port speaks TLS too. `POST /broadcast` sends its body to
//! every connection, `POST /ID` to one; a new connection's id comes in the header `x-connection-id` of its 101.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the people of this project"
)]

mod service;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCertUsingSni;
use stillwire_drain::Drain;
use stillwire_gateway::engine::{Addresses, ConnectionLimits, Engine};
use stillwire_listen::{Authority, Capacity, Door};

use crate::service::EchoService;

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
    let (mut port, mut shards, mut tls) = (0, 1, None);
    let mut limits = ConnectionLimits { binary: true, ..ConnectionLimits::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("each option has a value")?;
        match word.as_str() {
            "--port" => port = value.parse()?,
            "--max-message" => {
                limits.message_bytes_max = value.parse()?;
                limits.frame_bytes_max = limits.message_bytes_max;
            }
            "--deflate" => limits.compression = value == "on",
            "--tls" => tls = Some(value),
            "--shards" => shards = value.parse()?,
            other => {
                return Err(format!(
                    "{other} is no option; the first lines of this file list them"
                )
                .into());
            }
        }
    }
    let mut runtime = if shards == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime.enable_all().build()?.block_on(async {
        let listener = stillwire_listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        println!("{}", listener.local_addr()?);
        let door = Door {
            listeners: vec![listener],
            tls: tls_config(tls.as_deref())?,
            capacity: Capacity::new(1 << 20),
        };
        let drain = Drain::new();
        let service = EchoService::new(limits);
        let addresses = Addresses::new().ok_or("no random source")?;
        let engine = Engine::start(Arc::new(service), addresses, shards, &drain)?;
        engine.open(door, Arc::new(()))?;
        drain.closing().await;
        Ok(())
    })
}

fn tls_config(folder: Option<&str>) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let Some(folder) = folder else {
        let nobody = Arc::new(ResolvesServerCertUsingSni::new());
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(nobody);
        return Ok(Arc::new(config));
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let authority = Authority::open(Path::new(folder), u64::try_from(now.as_millis())?)?;
    Ok(authority.tls)
}
