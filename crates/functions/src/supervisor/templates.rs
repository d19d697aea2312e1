//! Templates as the supervisor sees them: sockets that take orders to fork, and tell what came of it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::protocol::{Channel, Fork, ForkOrder, TemplateReport};

/// Reports that may wait to be heard.
const REPORTS_MAX: usize = 64;
/// How long a template may take to take an order.
const ORDER_DEADLINE: Duration = Duration::from_secs(2);

/// A report of a template, or its end.
type Heard = (u64, Option<TemplateReport>);

/// The templates that run, by their ids.
#[derive(Debug)]
pub(super) struct Templates {
    running: HashMap<u64, Template>,
    /// One for each template: reads its socket to the end.
    readers: JoinSet<()>,
    reports: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
}

#[derive(Debug)]
struct Template {
    channel: Arc<Channel>,
    /// The environments that it was told to fork, and has not told of.
    forking: HashSet<u64>,
}

impl Templates {
    pub(super) fn new() -> Self {
        Self {
            running: HashMap::new(),
            readers: JoinSet::new(),
            reports: mpsc::channel(REPORTS_MAX),
        }
    }

    /// Listens to a template from now on.
    pub(super) fn add(&mut self, id: u64, socket: OwnedFd) {
        let channel = match Channel::new(socket) {
            Ok(channel) => Arc::new(channel),
            Err(error) => {
                tracing::warn!(%error, "a template cannot be heard");
                return; // it ends with its socket
            }
        };
        let (heard, reports) = (Arc::clone(&channel), self.reports.0.clone());
        self.readers.spawn(async move {
            loop {
                let report = match heard.receive().await {
                    Ok(report) => report.map(|(report, _)| report),
                    Err(error) => {
                        tracing::warn!(%error, "a report of a template could not be read");
                        None
                    }
                };
                let over = report.is_none();
                if reports.send((id, report)).await.is_err() || over {
                    return;
                }
            }
        });
        self.running.insert(id, Template { channel, forking: HashSet::new() });
    }

    /// The next report.
    ///
    /// # Cancel safety
    /// Cancel safe: a report is taken or stays in its queue.
    pub(super) async fn report(&mut self) -> Heard {
        // Readers that are done are let go; the queue never ends, for we hold a sender.
        while self.readers.try_join_next().is_some() {}
        match self.reports.1.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    /// Hands on an order to fork.
    pub(super) async fn fork(&mut self, fork: &Fork, fds: &[OwnedFd]) -> io::Result<()> {
        let gone = || io::Error::other("its template has ended");
        let template = self.running.get_mut(&fork.template).ok_or_else(gone)?;
        let order = ForkOrder { id: fork.id, env: &fork.env };
        let sent = tokio::time::timeout(ORDER_DEADLINE, template.channel.send(&order, fds)).await;
        sent.map_err(|_| io::Error::other("its template takes no orders"))??;
        template.forking.insert(fork.id);
        Ok(())
    }

    /// Nobody waits any more for what an order was to start.
    pub(super) fn forget(&mut self, id: u64) {
        for template in self.running.values_mut() {
            template.forking.remove(&id);
        }
    }

    /// An order was carried out, or could not be.
    pub(super) fn forked(&mut self, template: u64, id: u64) {
        if let Some(template) = self.running.get_mut(&template) {
            template.forking.remove(&id);
        }
    }

    /// Whether any order is on its way.
    pub(super) fn are_forking(&self) -> bool {
        self.running.values().any(|template| !template.forking.is_empty())
    }

    /// Forgets a template; gives the orders that it will not carry out any more.
    pub(super) fn remove(&mut self, id: u64) -> HashSet<u64> {
        self.running.remove(&id).map(|template| template.forking).unwrap_or_default()
    }
}
