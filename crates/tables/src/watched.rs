//! Who waits for records of which table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A bell for each table that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<HashMap<String, Arc<Notify>>>);

impl Watched {
    /// The bell of a table.
    pub(crate) fn of(&self, table: &str) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(table) {
            return Arc::clone(bell);
        }
        // Whoever waits holds a bell too: without, nobody does.
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        let bell = Arc::<Notify>::default();
        bells.insert(table.to_owned(), Arc::clone(&bell));
        bell
    }

    /// Rings for the tables that were written to.
    pub(crate) fn ring(&self, written: impl Fn(&str) -> bool) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, bell) in bells.iter().filter(|(table, _)| written(table)) {
            bell.notify_waiters();
        }
    }

    /// Rings for the tables that a request may have written to: those whose names stand in it. A word in vain does no
    /// harm; reading the request once more would cost every write.
    pub(crate) fn ring_for(&self, request: &[u8]) {
        // An escape could spell any name.
        let text = str::from_utf8(request).ok().filter(|text| !text.contains("\\u"));
        self.ring(|table| text.is_none_or(|text| text.contains(table)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request rings for each of these tables.
    fn rings(request: &str, tables: &[&str]) -> Vec<bool> {
        let watched = Watched::default();
        let waiting: Vec<_> =
            tables.iter().map(|table| watched.of(table).notified_owned()).collect();
        watched.ring_for(request.as_bytes());
        let rung = |waiting: tokio::sync::futures::OwnedNotified| {
            let mut waiting = std::pin::pin!(waiting);
            waiting.as_mut().enable()
        };
        waiting.into_iter().map(rung).collect()
    }

    #[test]
    fn a_write_rings_for_the_tables_that_it_names() {
        let tables = ["Chat", "Log", "Else"];
        for (request, expected) in [
            (r#"{"TableName":"Chat"}"#, [true, false, false]),
            (r#"{"RequestItems":{"Chat":[],"Log":[]}}"#, [true, true, false]),
            (r#"{"Statement":"DELETE FROM Log WHERE id = 1"}"#, [false, true, false]),
            (r#"{"TableName":"Ch\u0061t"}"#, [true, true, true]),
        ] {
            assert_eq!(rings(request, &tables), expected, "{request}");
        }
    }

    #[test]
    fn bells_go_with_those_who_wait() {
        let watched = Watched::default();
        let held = watched.of("held");
        for number in 0..100 {
            watched.of(&format!("table {number}"));
        }
        assert_eq!(watched.0.lock().unwrap().len(), 2);
        assert!(Arc::ptr_eq(&held, &watched.of("held")));
    }
}
