//! What the daemon and the supervisor say to each other.
//!
//! One message is one packet of a `SOCK_SEQPACKET` socket: JSON text, and with a spawn request three file
//! descriptors (`SCM_RIGHTS`). The kernel keeps the boundaries, so a message is whole or absent.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::sandbox::Confinement;

/// The largest packet. Lambda allows 4 KB of variables; ours and a long command line fit many times.
const PACKET_BYTES_MAX: usize = 160 * 1024;

/// What the daemon asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Start a process. Carries three descriptors: standard input (or the runtime socket), output and error.
    Spawn(Spawn),
    /// Let a template fork a process. Carries three descriptors: the runtime socket, output and error.
    Fork(Fork),
    /// Kill the process with this id, and all that descends from it.
    Kill(u64),
}

/// A process to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// The daemon's name for it; never used twice.
    pub(crate) id: u64,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its whole environment; `None` is a tool that inherits the daemon's.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Its working directory.
    pub(crate) cwd: PathBuf,
    /// What it is.
    pub(crate) role: Role,
    /// What it is confined to, in a strict sandbox.
    pub(crate) confinement: Option<Confinement>,
}

/// What a process is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// A tool: its first descriptor is its standard input.
    Tool,
    /// An environment: its first descriptor is its runtime socket.
    Environment,
    /// An environment whose runtime is not ours: its first descriptor is its standard input.
    Guest,
    /// A template, from which environments are forked: it talks to the supervisor, and has no first descriptor.
    Template,
}

/// An environment to be forked from a template.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fork {
    /// The daemon's name for it; never used twice.
    pub(crate) id: u64,
    /// The template's name.
    pub(crate) template: u64,
    /// Those of its variables that differ from the template's, which has all their names.
    pub(crate) env: BTreeMap<String, String>,
}

/// What a template is told.
#[derive(Debug, Serialize)]
pub(super) struct ForkOrder<'a> {
    pub(super) id: u64,
    pub(super) env: &'a BTreeMap<String, String>,
}

/// What a template says.
#[derive(Debug, Deserialize)]
pub(super) enum TemplateReport {
    /// It can fork; or it cannot, and ends, for this reason.
    Ready { problem: Option<String> },
    /// An environment runs.
    Forked { id: u64, pid: u32 },
    /// An environment could not be forked.
    Failed { id: u64, reason: String },
}

/// What the supervisor reports.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The process runs.
    Spawned { id: u64, pid: u32 },
    /// A template can fork; or cannot, for this reason.
    Ready { id: u64, problem: Option<String> },
    /// The process could not be started.
    Failed { id: u64, reason: String },
    /// The process ended, and nothing of its tree is left.
    Exited { id: u64, exit: Exit },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Two connected ends.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

/// One end of the conversation.
///
/// A datagram socket to the type system, which has no word for a sequence of packets; readiness is the same.
#[derive(Debug)]
pub(super) struct Channel(UnixDatagram);

impl Channel {
    /// Wraps a socket of [`pair`]; needs a runtime around it.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self(UnixDatagram::from_std(socket.into())?))
    }

    /// Sends one message, waiting while the peer is behind.
    pub(super) async fn send<T: Serialize>(&self, message: &T, fds: &[OwnedFd]) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        if text.len() > PACKET_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("command line and variables take {} bytes", text.len()),
            ));
        }
        self.0.async_io(Interest::WRITABLE, || send(self.0.as_fd(), &text, fds)).await
    }

    /// The next message; `None` when the peer is gone.
    ///
    /// # Cancel safety
    /// Cancel safe: a packet is taken whole or stays in the socket.
    pub(super) async fn receive<T: DeserializeOwned>(
        &self,
    ) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let received = self.0.async_io(Interest::READABLE, || receive(self.0.as_fd())).await?;
        let Some((text, fds)) = received else { return Ok(None) };
        Ok(Some((serde_json::from_slice(&text)?, fds)))
    }
}

fn send(socket: BorrowedFd<'_>, text: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

type Packet = (Vec<u8>, Vec<OwnedFd>);

fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Packet>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = vec![0; PACKET_BYTES_MAX];
    let received = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    );
    let bytes = match received {
        Ok(message) => message.bytes,
        // The peer was killed with unread packets: as gone as an end of file.
        Err(rustix::io::Errno::CONNRESET) => 0,
        Err(error) => return Err(error.into()),
    };
    if bytes == 0 {
        return Ok(None);
    }
    text.truncate(bytes);
    let fds = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    Ok(Some((text, fds)))
}
