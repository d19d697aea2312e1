//! Values that are made once, however many ask for them at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Values by their key. A failure is not kept: the next one who asks tries again.
#[derive(Debug)]
pub(crate) struct Once<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    /// The value, made by `make` unless it is there.
    ///
    /// # Errors
    /// What `make` says.
    pub(crate) async fn get<F>(&self, key: K, make: impl FnOnce() -> F) -> Result<V, String>
    where
        F: Future<Output = Result<V, String>>,
    {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_try_init(make).await.cloned()
    }
}
