//! The Runtime API at an address of its own: one listener per environment, for runtimes that are not ours.
//!
//! Runtime clients know nothing but an address, so the port says whose environment it is, and any process of the
//! machine could ask there for its events. Only connections of processes that belong to the environment are served.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::runtime_api::{Call, Served};
use crate::runtime_http;
use crate::supervisor::Owner;

/// Connections of one environment at a time; a runtime needs one, and its extensions some.
const CONNECTIONS_MAX: usize = 16;
/// The pause after an accept that failed, which it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves an environment until its process has ended and no connection is left.
///
/// `ended` resolves with the process's end; what it sent before is served still.
pub(crate) fn serve(
    listener: TcpListener,
    owner: Owner,
    calls: mpsc::Sender<Call>,
    mut ended: oneshot::Receiver<()>,
) -> Served {
    Box::pin(async move {
        let mut connections = JoinSet::new();
        let mut open = true;
        while open || !connections.is_empty() {
            tokio::select! {
                accepted = listener.accept(), if open => match accepted {
                    Ok((stream, peer)) if connections.len() < CONNECTIONS_MAX => {
                        connections.spawn(connection(stream, peer, owner, calls.clone()));
                    }
                    Ok((_, peer)) => tracing::debug!(%peer, "too many connections of a runtime"),
                    Err(error) => {
                        tracing::warn!(%error, "a runtime's connection was not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = &mut ended, if open => open = false,
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

async fn connection(stream: TcpStream, peer: SocketAddr, owner: Owner, calls: mpsc::Sender<Call>) {
    let Ok(here) = stream.local_addr() else { return };
    let look = tokio::task::spawn_blocking(move || belongs(peer, here, owner));
    if !look.await.unwrap_or(false) {
        tracing::warn!(%peer, "a process of no concern asked for a function's events: refused");
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a runtime's connection");
    }
    runtime_http::serve(stream, calls).await;
}

/// Whether the other end of a connection is held by a process of the environment.
fn belongs(peer: SocketAddr, here: SocketAddr, owner: Owner) -> bool {
    // A socket of both families is in the second table.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    let Some(inode) = texts.into_iter().find_map(|text| inode(&text, peer, here)) else {
        return false;
    };
    let name = format!("socket:[{inode}]");
    owner.pids().any(|pid| holds(pid, &name))
}

fn holds(pid: i32, socket: &str) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|link| link.as_os_str() == socket)
}

/// The inode of the socket at `local` that is connected to `remote`, from one of the kernel's tables.
///
/// Source: Linux, `proc_net_tcp`: addresses in hexadecimal, in the order of the machine's bytes.
fn inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let (local, remote) = (shown(local)?, shown(remote)?);
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, ..] = fields.as_slice() else { return None };
        (from.ends_with(&local) && to.ends_with(&remote)).then_some(())?;
        fields.get(9)?.parse().ok().filter(|inode| *inode != 0)
    })
}

fn shown(address: SocketAddr) -> Option<String> {
    match address {
        SocketAddr::V4(v4) => {
            let word = u32::from_ne_bytes(v4.ip().octets());
            Some(format!("{word:08X}:{:04X}", v4.port()))
        }
        SocketAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:B2C4 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 42 1 0 20 4 30 10 -1
   2: 0000000000000000FFFF00000100007F:B2C5 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 43 1";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_peers_socket_is_found_in_either_family() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(inode(TABLE, at(0xB2C4), at(0x1F90)), Some(42));
        assert_eq!(inode(TABLE, at(0xB2C5), at(0x1F90)), Some(43));
        assert_eq!(inode(TABLE, at(0xB2C4), at(0x1F91)), None);
        assert_eq!(inode(TABLE, at(0x1F90), at(0xB2C4)), None);
    }
}
