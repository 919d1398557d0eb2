//! Stores exports that are asked for at the same time [`together`](super::together).

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::accept::{Acceptance, KeyedRequest};
use super::estimates::{Alike, past_exports};
use super::insert::{First, NewExport, insert};
use super::together::{Queue, Together};
use super::{Store, StoreError};
use tableferry_domain::estimate::{Prices, estimate};
use tableferry_domain::event::EventKind;
use tableferry_domain::export::Export;
use tableferry_telemetry::metrics_catalog::{ACCEPT_GROUP, ACCEPTS_REFUSED};

/// How the exports of this queue begin.
const FIRST: First<'_> = First {
    event: EventKind::Created,
    detail: "accepted by Tableferry",
    delay: Duration::ZERO,
};

/// Where new exports wait to be stored. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AcceptQueue {
    store: Store,
    queue: Queue<Accepts>,
}

/// Estimates and stores new exports.
#[derive(Debug)]
struct Accepts {
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
    /// A queue with its writer, which ends with the last clone of the queue. Exports are estimated
    /// with these prices.
    #[must_use]
    pub fn start(store: Store, prices: Arc<Prices>) -> Self {
        Self {
            queue: Queue::start(Accepts {
                store: store.clone(),
                prices,
            }),
            store,
        }
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// For how long no export could be stored although some were asked for.
    #[must_use]
    pub fn failing_for(&self) -> Option<Duration> {
        self.queue.failing_for()
    }

    /// Estimates and stores a new export of version 1, or says why not. Returns it as it was
    /// stored.
    ///
    /// # Errors
    /// Too many wait, or the database did not take it.
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
            if matches!(error, StoreError::Crowded) {
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

impl Together for Accepts {
    type Item = Accept;
    /// Whether it was stored; else it conflicts with something.
    type Written = bool;
    /// Some 10 KB each at most, as their bodies are bounded.
    const MOST_WAITING: usize = 4096;

    /// Groups of other replicas may bring the same keys.
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
        let asked: HashSet<Alike> = accepts
            .iter()
            .map(|one| Alike::to(&one.export.request, one.table_size_bytes))
            .collect();
        let asked: Vec<Alike> = asked.into_iter().collect();
        let past = past_exports(&mut connection, &asked).await?;
        let past: HashMap<Alike, _> = asked.into_iter().zip(past).collect();
        for one in &mut *accepts {
            let request = &one.export.request;
            let past = past
                .get(&Alike::to(request, one.table_size_bytes))
                .map(Vec::as_slice)
                .unwrap_or_default();
            one.export.estimate = Some(estimate(
                &request.kind,
                past,
                one.table_size_bytes,
                self.prices.of(request.table_arn.region()),
            ));
        }
        let new: Vec<_> = accepts
            .iter()
            .map(|one| NewExport {
                export: &one.export,
                key: one.key.as_ref(),
            })
            .collect();
        let stored: HashSet<_> = insert(&mut connection, &new, FIRST)
            .await?
            .into_iter()
            .collect();
        Ok(accepts
            .iter()
            .map(|one| stored.contains(&one.export.id))
            .collect())
    }
}
