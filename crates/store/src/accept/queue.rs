//! The queue of new exports: exports that are created at the same time are estimated and stored in
//! one batch.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Acceptance;
use super::insert::{InitialEvent, KeyedRequest, NewExport, insert};
use crate::batching::{BatchWriter, Queue};
use crate::estimates::{HistoryKey, past_exports};
use crate::{Store, StoreError};
use tableferry_domain::export::Export;
use tableferry_domain::export::estimate::{Prices, estimate};
use tableferry_domain::export::event::EventKind;
use tableferry_telemetry::metrics_catalog::{ACCEPT_GROUP, ACCEPTS_REFUSED};

/// The first event of each export of this queue.
const ACCEPTED: InitialEvent<'_> = InitialEvent {
    event: EventKind::Created,
    detail: "accepted by Tableferry",
    delay: Duration::ZERO,
};

/// The queue of new exports that wait to be stored. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AcceptQueue {
    store: Store,
    queue: Queue<AcceptWriter>,
}

/// Estimates and stores new exports.
#[derive(Debug)]
struct AcceptWriter {
    store: Store,
    prices: Arc<Prices>,
}

/// A new export of version 1.
#[derive(Debug)]
struct Accept {
    export: Export,
    key: Option<KeyedRequest>,
    table_size_bytes: Option<i64>,
}

impl AcceptQueue {
    /// Starts a queue and its writer, which ends when the last clone of the queue is dropped.
    #[must_use]
    pub fn start(store: Store, prices: Arc<Prices>) -> Self {
        Self {
            queue: Queue::start(AcceptWriter {
                store: store.clone(),
                prices,
            }),
            store,
        }
    }

    /// The number of exports that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// How long storing exports has been failing; see [`Queue::failing_for`].
    #[must_use]
    pub fn failing_for(&self) -> Option<Duration> {
        self.queue.failing_for()
    }

    /// Estimates and stores a new export of version 1 unless it conflicts with another. Returns the
    /// export with its estimate.
    ///
    /// Fails with [`StoreError::QueueFull`] if too many exports wait.
    pub async fn accept(
        &self,
        export: Export,
        key: Option<KeyedRequest>,
        table_size_bytes: Option<i64>,
    ) -> Result<(Export, Acceptance), StoreError> {
        let written = self
            .queue
            .write(Accept {
                export,
                key,
                table_size_bytes,
            })
            .await;
        let (Accept { export, key, .. }, stored) = written.inspect_err(|error| {
            if matches!(error, StoreError::QueueFull) {
                metrics::counter!(ACCEPTS_REFUSED).increment(1);
            }
        })?;
        let acceptance = if stored {
            Acceptance::Stored
        } else {
            Box::pin(self.store.conflicting(&export, key.as_ref())).await?
        };
        Ok((export, acceptance))
    }
}

impl BatchWriter for AcceptWriter {
    type Item = Accept;
    /// Whether the export was stored; if not, it conflicts with another.
    type Written = bool;
    /// About 10 KB each at most, because the size of a request's body is limited.
    const MAX_WAITING: usize = 4096;

    /// By idempotency key: batches of other replicas may hold the same keys.
    fn order(a: &Accept, b: &Accept) -> Ordering {
        a.key
            .as_ref()
            .map(|key| &key.key)
            .cmp(&b.key.as_ref().map(|key| &key.key))
    }

    async fn write(&self, accepts: &mut [Accept]) -> Result<Vec<bool>, StoreError> {
        metrics::histogram!(ACCEPT_GROUP).record(u32::try_from(accepts.len()).unwrap_or(u32::MAX));
        self.store.ensure_writable()?;
        let mut connection = self.store.pool.acquire().await?;
        let keys: HashSet<HistoryKey> = accepts
            .iter()
            .map(|one| HistoryKey::for_request(&one.export.request, one.table_size_bytes))
            .collect();
        let keys: Vec<HistoryKey> = keys.into_iter().collect();
        let past = past_exports(&mut connection, &keys).await?;
        let history: HashMap<HistoryKey, _> = keys.into_iter().zip(past).collect();
        for one in &mut *accepts {
            let request = &one.export.request;
            let past = history
                .get(&HistoryKey::for_request(request, one.table_size_bytes))
                .map(Vec::as_slice)
                .unwrap_or_default();
            one.export.estimate = Some(estimate(
                &request.kind,
                past,
                one.table_size_bytes,
                self.prices.per_gb(request.table_arn.region()),
            ));
        }
        let new: Vec<_> = accepts
            .iter()
            .map(|one| NewExport {
                export: &one.export,
                key: one.key.as_ref(),
            })
            .collect();
        let stored: HashSet<_> = insert(&mut connection, &new, ACCEPTED)
            .await?
            .into_iter()
            .collect();
        Ok(accepts
            .iter()
            .map(|one| stored.contains(&one.export.id))
            .collect())
    }
}
