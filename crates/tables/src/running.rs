//! The engine as it runs: its database, and its own HTTP front at an address that nobody else knows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::durability::Durability;
use crate::store::StoreError;
use crate::wire::Wire;

/// The engine's own front, and the way past it. Replaced where a fault has made the engine useless.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) database: Database,
    pub(crate) wire: Arc<Wire>,
    /// Stops the front, when the last clone is gone.
    _stop: Arc<oneshot::Sender<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl Running {
    /// Opens a file, or makes it, and starts the front on these threads.
    pub(crate) fn start(
        file: &Path,
        durability: Durability,
        threads: &Handle,
    ) -> Result<Self, StoreError> {
        let database = Database::new(&file.to_string_lossy())?;
        durability.apply_to_engine(&database)?;
        let listener = secret_listener()?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = {
            let _entered = threads.enter();
            TcpListener::from_std(listener)?
        };
        let served = database.clone();
        threads.spawn(async move {
            // Stopped by the end of whoever could say it.
            let stopped = async {
                stopped.await.ok();
            };
            if let Err(error) =
                dynoxide::server::serve_with_shutdown(listener, served, stopped).await
            {
                tracing::error!(%error, "the tables' engine has stopped");
            }
        });
        let wire = Arc::new(Wire::new(address, threads.clone()));
        Ok(Self { database, wire, _stop: Arc::new(stop) })
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
