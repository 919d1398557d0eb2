//! Wakes those who wait for an export: long polls and live streams.
//!
//! One task asks the database for the versions of all exports that somebody waits for, in one
//! statement, every [`INTERVAL`] and whenever a worker of this process has changed something. So a
//! change made by another replica is seen as well, no change is missed, and nobody waits means no
//! statement.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::ids::ExportId;
use crate::store::Store;
use crate::telemetry::error_chain::in_words;

/// How long a change made elsewhere may go unseen.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many of those who wait read at the same time: about as many as there are connections to the
/// database. When a thousand come or are woken at once, the others take no room for reading.
const READING: usize = 12;

/// How long one of them waits for its turn. Turns come late only if the database does not answer,
/// and then all should be told soon.
const TURN: Duration = Duration::from_secs(2);

/// Who waits for which export.
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

/// What a deleted export's version is said to be.
pub const GONE: i32 = i32::MAX;

impl Watcher {
    /// Waits for changes of an export from now on. The first value may be 0: not looked at yet.
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

    /// Reads what the caller waits for, when it is the caller's turn or that takes too long. Until
    /// then, and afterwards, it holds no room for reading.
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

    /// Looks until `stop`. `changed` is notified when a worker of this process changed an export.
    pub async fn run(&self, store: Store, changed: Arc<Notify>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let woken = changed.notified();
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
                // Whoever waits is told nothing now and something later; requests that need the
                // database report its absence.
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
