//! Wakes requests that wait for a change of an export: long polls and live streams.
//!
//! One task reads the versions of all watched exports from the database, in one statement, every
//! [`INTERVAL`] and whenever a worker of this process has changed an export. So changes by other
//! replicas are seen too, no change is missed, and no statement is sent if no request waits.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use crate::domain::error_chain::in_words;
use crate::domain::ids::ExportId;
use crate::signals::Signals;
use crate::store::Store;

/// The maximum delay for a change that another replica made.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many waiting requests read at the same time: about as many as there are connections to the
/// database. If a thousand arrive or are woken at once, the others need no memory for reading.
const READING: usize = 12;

/// How long a request waits for its turn. Turns are late only if the database does not answer, and
/// then every request should fail soon.
const TURN: Duration = Duration::from_secs(2);

/// The exports that requests wait for.
#[derive(Debug, Clone)]
pub struct Watcher {
    exports: Arc<Mutex<HashMap<Uuid, watch::Sender<i32>>>>,
    arrived: Arc<Notify>,
    turns: Arc<Semaphore>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self {
            exports: Arc::default(),
            arrived: Arc::default(),
            turns: Arc::new(Semaphore::new(READING)),
        }
    }
}

/// Stands for the version of a deleted export.
pub const GONE: i32 = i32::MAX;

impl Watcher {
    /// Waits for changes of an export from now on. The first value may be 0: not read yet.
    #[must_use]
    pub fn watch(&self, id: ExportId) -> watch::Receiver<i32> {
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = exports
            .entry(id.0)
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe();
        self.arrived.notify_one();
        receiver
    }

    /// Reads when it is the request's turn, or when its turn takes too long. The memory for reading
    /// is allocated only then.
    pub async fn in_turn<F: Future>(&self, read: impl FnOnce() -> F) -> F::Output {
        let _turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        Box::pin(read()).await
    }

    fn watched(&self) -> Vec<Uuid> {
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        exports.retain(|_, sender| sender.receiver_count() > 0);
        exports.keys().copied().collect()
    }

    fn tell(&self, asked: &[Uuid], found: &[(ExportId, i32)]) {
        let found: HashMap<Uuid, i32> =
            found.iter().map(|(id, version)| (id.0, *version)).collect();
        let exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        for id in asked {
            if let Some(sender) = exports.get(id) {
                let version = found.get(id).copied().unwrap_or(GONE);
                sender.send_if_modified(|seen| std::mem::replace(seen, version) != version);
            }
        }
    }

    /// Runs until `signals.stopping`. `signals.export_changed` wakes it.
    pub async fn run(&self, store: Store, signals: &Signals) {
        let stop = &signals.stopping;
        while !stop.is_cancelled() {
            let woken = signals.export_changed.received();
            let asked = self.watched();
            if asked.is_empty() {
                tokio::select! {
                    () = self.arrived.notified() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            match store.versions(&asked).await {
                Ok(found) => self.tell(&asked, &found),
                // Waiting requests are woken later; requests that need the database report that it
                // is unavailable.
                Err(error) => {
                    tracing::debug!(error.message = in_words(&error), "versions cannot be read")
                }
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
