//! The engine and the threads it runs on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dynoxide::Database;
use stillwire_model::{BoxFuture, Reply, TableApi};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};

use crate::guard;
use crate::names::Names;
use crate::wire::Wire;

/// Where items are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a file; what was acknowledged survives a crash.
    File(PathBuf),
    /// In memory; nothing survives.
    Memory,
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is no store, or cannot be read or written.
    #[error("cannot open the tables in {path}: {reason}")]
    Store {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The engine's threads or its internal address could not be had.
    #[error("cannot start the tables' engine")]
    Start(#[from] io::Error),
}

/// The stack of the engine's threads.
///
/// The engine walks expressions and values recursively and overflows the usual 2 MiB, which would abort the
/// process. Only what is used of it takes memory.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// The engine serialises all work behind one lock, so more threads would only wait.
const THREADS: usize = 2;

/// How often expired items are looked for. Source: none; DynamoDB itself promises days.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How long requests under way may take when the engine stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The running engine. Clones share it.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    wire: Wire,
    names: Names,
    written: Arc<Notify>,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
}

impl Engine {
    /// Opens the store and starts the engine's threads.
    pub fn open(storage: &Storage) -> Result<Self, OpenError> {
        let opened = match storage {
            Storage::Memory => Database::memory(),
            Storage::File(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                Database::new(&path.to_string_lossy())
            }
        };
        let database = opened.map_err(|error| OpenError::Store {
            path: match storage {
                Storage::File(path) => path.display().to_string(),
                Storage::Memory => "memory".to_owned(),
            },
            reason: error.to_string(),
        })?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("tables")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        let listener = secret_listener()?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        {
            let _entered = runtime.enter();
            let listener = TcpListener::from_std(listener)?;
            runtime.spawn(sweep(database.clone()));
            runtime.spawn(async move {
                // Stopped by a word or by the end of the one who could say it.
                let stopped = async {
                    stopped.await.ok();
                };
                if let Err(error) =
                    dynoxide::server::serve_with_shutdown(listener, database, stopped).await
                {
                    tracing::error!(%error, "the tables' engine has stopped");
                }
            });
        }
        let wire = Wire::new(address, runtime.handle().clone());
        let inner = Inner {
            wire,
            names: Names::default(),
            written: Arc::default(),
            runtime: Some(runtime),
            stop: Some(stop),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The names by which tables are known outside.
    pub(crate) fn names(&self) -> &Names {
        &self.inner.names
    }
}

impl TableApi for Engine {
    fn call(&self, target: &str, body: Bytes) -> BoxFuture<'static, Reply> {
        if let Some(refusal) = guard::refuse(&body) {
            return Box::pin(std::future::ready(refusal));
        }
        let engine = self.clone();
        let target = target.to_owned();
        // A task of the engine's own threads, so that a request runs on when its caller goes away.
        let running = self.inner.wire.runtime().spawn(async move {
            let names = &engine.inner.names;
            let translated = Names::is_translated(&target);
            let body = if translated { names.inward(body) } else { body };
            let mut reply = engine.inner.wire.call(&target, body).await;
            if translated {
                reply.body = names.outward(reply.body);
            }
            if reply.status == 200 {
                engine.inner.written.notify_waiters();
            }
            reply
        });
        Box::pin(async move {
            running.await.unwrap_or_else(|_| internal_error("the engine's task failed"))
        })
    }

    fn stream_changed(&self, _table: &str) -> BoxFuture<'static, ()> {
        let written = Arc::clone(&self.inner.written).notified_owned();
        Box::pin(written)
    }
}

/// Listens at an address that nobody can guess.
///
/// The engine's own front answers anybody, also web pages of other origins. A page that looked for it would have
/// to try sixteen million addresses of the loopback network, each with its ports.
fn secret_listener() -> io::Result<std::net::TcpListener> {
    let mut random = [0; 3];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random source"))?;
    let [b, c, d] = random;
    std::net::TcpListener::bind((std::net::Ipv4Addr::new(127, b, c, d.clamp(1, 254)), 0))
}

/// An answer that SDKs retry.
pub(crate) fn internal_error(reason: &str) -> Reply {
    tracing::error!(reason, "a table request failed");
    let text = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"The request processing has failed because of an unknown error"}"#;
    Reply { status: 500, body: Bytes::from_static(text.as_bytes()) }
}

async fn sweep(database: Database) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = database.sweep_ttl() {
            tracing::warn!(%error, "expired items could not be removed");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok(); // the engine may have stopped by itself
        }
        if let Some(runtime) = self.runtime.take() {
            // Waiting is for a thread that may wait: this may be dropped on one that serves connections.
            let waiter = std::thread::Builder::new()
                .name("tables-stop".to_owned())
                .spawn(move || runtime.shutdown_timeout(STOP_TIMEOUT));
            if let Err(error) = waiter {
                tracing::warn!(%error, "the tables' engine was stopped without waiting");
            }
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
