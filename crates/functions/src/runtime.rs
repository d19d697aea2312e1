//! How an environment hears its runtime, and answers it: over the socket of a bootstrap of ours, or at an address.

use std::io;

use tokio::sync::{mpsc, oneshot};

use crate::listener;
use crate::process::Door;
use crate::runtime_api::{Answer, Call, CallKind, Served};
use crate::runtime_link::Link;

/// Calls of a runtime that may wait; one connection asks one thing at a time.
const CALLS_MAX: usize = 4;

/// The way to a runtime. What there is no more of is `None`.
#[derive(Debug)]
pub(crate) enum Runtime {
    /// A bootstrap of ours.
    Ours(Option<Box<Link>>),
    /// Another.
    Foreign(Option<Box<Foreign>>),
}

/// The connections of a runtime that is not ours.
pub(crate) struct Foreign {
    calls: mpsc::Receiver<Call>,
    served: Served,
    /// Tells that nobody will come any more.
    process_ended: Option<oneshot::Sender<()>>,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Foreign").finish_non_exhaustive()
    }
}

/// Who asked, and waits for an answer.
#[derive(Debug)]
pub(crate) enum Asker {
    /// The bootstrap, which asks one thing after the other.
    Ours,
    /// A connection.
    Foreign(oneshot::Sender<Answer>),
}

impl Asker {
    /// Whether it hung up. A bootstrap that does so has ended its connection, which is noticed as such.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Ours => false,
            Self::Foreign(answer) => answer.is_closed(),
        }
    }
}

impl Runtime {
    pub(crate) fn open(door: Door) -> Self {
        match door {
            Door::Socket(stream) => Self::Ours(Some(Box::new(Link::new(stream)))),
            Door::Listener(listener, owner) => {
                let (sender, calls) = mpsc::channel(CALLS_MAX);
                let (process_ended, ended) = oneshot::channel();
                let served = listener::serve(listener, owner, sender, ended);
                let process_ended = Some(process_ended);
                Self::Foreign(Some(Box::new(Foreign { calls, served, process_ended })))
            }
        }
    }

    /// The next call, or once `None`: there will be none. After that it never resolves.
    ///
    /// # Cancel safety
    /// Cancel safe: what was read of a call is kept.
    pub(crate) async fn call(&mut self) -> Option<(CallKind, Asker)> {
        let call = match self {
            Self::Ours(Some(link)) => link.call().await.map(|kind| (kind, Asker::Ours)),
            Self::Foreign(Some(foreign)) => foreign.call().await,
            Self::Ours(None) | Self::Foreign(None) => std::future::pending().await,
        };
        if call.is_none() {
            self.close();
        }
        call
    }

    /// Answers a call.
    pub(crate) fn answer(&mut self, asker: Asker, answer: Answer) {
        let answered = match (asker, self) {
            (Asker::Ours, Self::Ours(Some(link))) => {
                link.answer(&answer);
                true
            }
            (Asker::Foreign(waiting), _) => waiting.send(answer).is_ok(),
            (Asker::Ours, _) => false,
        };
        if !answered {
            tracing::debug!("a runtime hung up before its answer");
        }
    }

    /// The same, at once.
    ///
    /// # Errors
    /// When a bootstrap is not there any more.
    pub(crate) fn send(&mut self, asker: Asker, answer: Answer) -> io::Result<()> {
        self.answer(asker, answer);
        self.flush()
    }

    /// Sends what a bootstrap was answered.
    ///
    /// # Errors
    /// When it is not there any more.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Ours(Some(link)) => link.flush(),
            _ => Ok(()),
        }
    }

    /// Whether it understands events that come before it asks, and has room for some now.
    pub(crate) fn takes_ahead(&self) -> bool {
        matches!(self, Self::Ours(Some(link)) if link.is_drained())
    }

    /// Answers two calls of a bootstrap of ours before they come: the outcome, and the wish for an event.
    pub(crate) fn answer_ahead(&mut self, event: Answer) {
        self.answer(Asker::Ours, Answer::accepted());
        self.answer(Asker::Ours, event);
    }

    /// No connection is left, and none will come.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Ours(None) | Self::Foreign(None))
    }

    /// The process has ended: what it sent before that is still served.
    pub(crate) fn process_ended(&mut self) {
        if let Self::Foreign(Some(foreign)) = self {
            foreign.process_ended = None;
        }
    }

    /// Ends what there is of connections.
    pub(crate) fn close(&mut self) {
        match self {
            Self::Ours(link) => *link = None,
            Self::Foreign(foreign) => *foreign = None,
        }
    }
}

impl Foreign {
    async fn call(&mut self) -> Option<(CallKind, Asker)> {
        tokio::select! {
            biased;
            Some(Call { kind, answer }) = self.calls.recv() => Some((kind, Asker::Foreign(answer))),
            () = &mut self.served => None,
        }
    }
}
