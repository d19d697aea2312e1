//! The stores and the threads they run on.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use stillwire_model::{BoxFuture, Clock, Reply, Table, TableApi, TableStores};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::OnceCell;

use crate::durability::Durability;
use crate::errors::{Refusal, internal};
use crate::health::Health;
use crate::place::Place;
use crate::provision::{ProvisionError, Provisioned};
use crate::store::{Store, StoreError};

/// Where tables are kept, and whose they are.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the stores' files. What was acknowledged survives what the folder's file system survives.
    pub folder: PathBuf,
    /// The account and region of the app: its store is opened first, and has the file `tables.db`.
    pub account: String,
    /// See `account`.
    pub region: String,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Time, for expiry and the age of records.
    pub clock: Arc<dyn Clock>,
}

/// The tables cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file is no store, or cannot be read or written.
    #[error("cannot open the tables in {file}: {reason}")]
    Store {
        /// Which file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// Account or region are none.
    #[error("{account} in {region} is no account in a region, so it has no tables")]
    Place {
        /// What was given as the account.
        account: String,
        /// What was given as the region.
        region: String,
    },
    /// The engine's threads could not be had.
    #[error("cannot start the tables' engine")]
    Start(#[from] io::Error),
}

/// The stack of the engine's threads.
///
/// The engine walks expressions and values recursively and overflows the usual 2 MiB, which would abort the
/// process. Only what is used of it takes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The engine serialises all work behind one lock, so more threads would only wait.
const THREADS: usize = 2;

thread_local! {
    /// Whether this is a thread of the engine: what it is asked there needs no other.
    static OWN_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// How often expired items are looked for. Source: none; DynamoDB itself promises days.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// How long requests under way may take when the engine stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The most accounts and regions that are served. Source: none; each has a file, which nobody else is to make many of.
const STORES_MAX: usize = 64;

/// The running stores. Clones share them.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    home: Place,
    durability: Durability,
    clock: Arc<dyn Clock>,
    health: Health,
    stores: Mutex<HashMap<Place, Arc<Shelf>>>,
    /// The app's own.
    first: OnceLock<Arc<Shelf>>,
    threads: Handle,
    runtime: Option<Runtime>,
}

/// A store that is opened by its first request.
#[derive(Debug)]
struct Shelf {
    place: Place,
    file: PathBuf,
    store: OnceCell<Arc<Store>>,
}

impl Engine {
    /// Starts the engine's threads and opens the app's own store.
    ///
    /// # Errors
    /// When its file cannot be opened, or threads cannot be had.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let Config { folder, account, region, durability, clock } = config;
        let home = Place::new(&account, &region).ok_or(OpenError::Place { account, region })?;
        std::fs::create_dir_all(&folder)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("tables")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(|| OWN_THREAD.set(true))
            .enable_all()
            .build()?;
        let threads = runtime.handle().clone();
        let inner = Inner {
            folder,
            home: home.clone(),
            durability,
            clock,
            health: Health::default(),
            stores: Mutex::default(),
            first: OnceLock::new(),
            threads: threads.clone(),
            runtime: Some(runtime),
        };
        let engine = Self { inner: Arc::new(inner) };
        let shelf = engine.shelf(&home).unwrap_or_else(|| unreachable!("the first is no many"));
        let store = engine.inner.open(&shelf).map_err(|error| OpenError::Store {
            file: shelf.file.display().to_string(),
            reason: error.to_string(),
        })?;
        shelf.store.set(store).ok(); // nobody else has it yet
        engine.inner.first.set(shelf).ok();
        threads.spawn(tidy(Arc::downgrade(&engine.inner)));
        Ok(engine)
    }

    /// The engine's threads, for whoever mostly asks it: a request that comes on one of them is answered there. What else they do
    /// may wait for the engine's disk.
    pub fn threads(&self) -> &Handle {
        &self.inner.threads
    }

    /// Resolves once the disk has failed: what it holds is not to be trusted, and the program is to end.
    pub async fn failed(&self) {
        self.inner.health.failed().await;
    }

    /// Makes sure a declared table exists as it is declared, in the store of its account and region. Its items, if it
    /// has any, stay.
    ///
    /// # Errors
    /// What the engine refuses, and what cannot be changed.
    pub async fn provision(&self, table: &Table) -> Result<Provisioned, ProvisionError> {
        let place = Place::of_arn(&table.arn).unwrap_or_else(|| self.inner.home.clone());
        let label = table.stream_arn.rsplit_once("/stream/").map(|(_, label)| label.to_owned());
        if let (Some(shelf), Some(label)) = (self.shelf(&place), label) {
            let (inner, name) = (Arc::clone(&self.inner), table.name.clone());
            let labelling = self
                .inner
                .threads
                .spawn(async move { inner.store(&shelf).await?.label_stream(&name, &label) });
            if let Ok(Err(error)) = labelling.await {
                tracing::warn!(%error, table = table.name, "the label of its stream cannot be kept");
            }
        }
        let store = self.store(&place.account, &place.region);
        crate::provision::provision(store.as_ref(), table).await
    }

    fn shelf(&self, place: &Place) -> Option<Arc<Shelf>> {
        let mut stores = self.inner.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = stores.get(place) {
            return Some(Arc::clone(shelf));
        }
        if stores.len() >= STORES_MAX {
            return None;
        }
        let name = if *place == self.inner.home {
            "tables.db".to_owned()
        } else {
            format!("tables-{}-{}.db", place.account, place.region)
        };
        let file = self.inner.durability.place_of(&self.inner.folder.join(name));
        let shelf = Arc::new(Shelf { place: place.clone(), file, store: OnceCell::new() });
        stores.insert(place.clone(), Arc::clone(&shelf));
        Some(shelf)
    }
}

impl Inner {
    fn open(&self, shelf: &Shelf) -> Result<Arc<Store>, StoreError> {
        let (place, file) = (shelf.place.clone(), shelf.file.clone());
        let manner = (self.durability, Arc::clone(&self.clock));
        Store::open(place, file, manner, self.health.clone(), &self.threads).map(Arc::new)
    }

    fn open_stores(&self) -> Vec<Arc<Store>> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.values().filter_map(|shelf| shelf.store.get()).cloned().collect()
    }

    async fn store<'a>(&self, shelf: &'a Shelf) -> Result<&'a Arc<Store>, StoreError> {
        shelf.store.get_or_try_init(async || self.open(shelf)).await
    }
}

impl TableStores for Engine {
    fn store(&self, account: &str, region: &str) -> Arc<dyn TableApi> {
        // Most requests are for the app's own, which needs no look-up.
        let home = &self.inner.home;
        let shelf = match self.inner.first.get() {
            Some(first) if account == home.account && region == home.region => {
                Some(Arc::clone(first))
            }
            _ => Place::new(account, region).and_then(|place| self.shelf(&place)),
        };
        Arc::new(Served { inner: Arc::clone(&self.inner), shelf })
    }
}

/// A store as others see it.
#[derive(Debug)]
struct Served {
    inner: Arc<Inner>,
    /// None where there can be none.
    shelf: Option<Arc<Shelf>>,
}

impl TableApi for Served {
    fn call(&self, target: &str, body: Bytes) -> BoxFuture<'static, Reply> {
        let Some(shelf) = self.shelf.clone() else {
            let message = "Stillwire keeps no tables for this account and region: either is malformed, \
                or there are too many already";
            return Box::pin(std::future::ready(Refusal::validation(message).into()));
        };
        if OWN_THREAD.get()
            && let Some(store) = shelf.store.get()
        {
            // A panic of the engine is one failed request.
            let now = AssertUnwindSafe(|| store.answer_now(target, &body));
            match catch_unwind(now) {
                Ok(Some(reply)) => return Box::pin(std::future::ready(reply)),
                Ok(None) => {}
                Err(_) => return Box::pin(std::future::ready(internal(&"the engine panicked"))),
            }
            let (store, target) = (Arc::clone(store), target.to_owned());
            return self.spawn(async move { store.answer(&target, body).await });
        }
        let (inner, target) = (Arc::clone(&self.inner), target.to_owned());
        self.spawn(async move {
            let store = match inner.store(&shelf).await {
                Ok(store) => store,
                Err(error) => return internal(&error),
            };
            match store.answer_now(&target, &body) {
                Some(reply) => reply,
                None => store.answer(&target, body).await,
            }
        })
    }

    fn stream_changed(&self, table: &str) -> BoxFuture<'static, ()> {
        match self.shelf.as_ref().and_then(|shelf| shelf.store.get()) {
            Some(store) => Box::pin(store.written(table).notified_owned()),
            None => Box::pin(std::future::pending()),
        }
    }
}

impl Served {
    /// Answers by a task of the engine's own threads, so that a request runs on when its caller goes away.
    fn spawn(
        &self,
        answer: impl Future<Output = Reply> + Send + 'static,
    ) -> BoxFuture<'static, Reply> {
        let running = self.inner.threads.spawn(answer);
        Box::pin(async move {
            // A panic of the engine is one failed request.
            running.await.unwrap_or_else(|_| internal(&"the engine's task failed"))
        })
    }
}

/// Removes what is too old, until the engine is gone.
async fn tidy(inner: Weak<Inner>) {
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let (stores, threads) = (inner.open_stores(), inner.threads.clone());
        drop(inner); // what is tidied holds up no end
        // Not on the engine's own threads: who waits for a turn to write would keep them from requests.
        let tidied = threads.spawn_blocking(move || stores.iter().for_each(|store| store.tidy()));
        if let Err(error) = tidied.await {
            tracing::error!(%error, "what is too old could not be removed");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
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
