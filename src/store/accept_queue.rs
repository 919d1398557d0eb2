//! Stores exports that are asked for at the same time together: one statement and one commit for all that wait.
//!
//! A commit waits for the disk, and on a small machine a statement for each request spends more on switching than on storing. So
//! requests queue, one task takes all that wait, stores them, and answers each after the commit; while it does, the next ones
//! gather. Nobody waits for a timer: a request that comes alone is stored alone, at once.
//!
//! The queue is bounded: one more than [`MOST_WAITING`] is refused ([`StoreError::Crowded`]). A row that Postgres refuses does not
//! fail its neighbours: then each is stored by a statement of its own. A caller who goes away while waiting is stored all the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::accept::{Acceptance, KeyedRequest};
use super::estimates::{Alike, past_exports};
use super::insert::{First, NewExport, insert};
use super::{Store, StoreError};
use crate::causes::in_words;
use crate::domain::estimate::{Prices, estimate};
use crate::domain::event::EventKind;
use crate::domain::export::Export;
use crate::measures::{ACCEPT_GROUP, ACCEPTS_REFUSED};

/// How many requests may wait. Some 10 KB each at most, as their bodies are bounded.
const MOST_WAITING: usize = 4096;

/// How many are stored by one statement.
const MOST_TOGETHER: usize = 256;

/// How the exports of this queue begin.
const FIRST: First<'_> = First { event: EventKind::Created, detail: "accepted by Tableferry", delay: Duration::ZERO };

/// Where new exports wait to be stored. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AcceptQueue {
    store: Store,
    waiting: mpsc::Sender<Waiting>,
}

/// A new export that somebody waits for.
#[derive(Debug)]
struct Waiting {
    export: Export,
    key: Option<KeyedRequest>,
    table_size_bytes: Option<i64>,
    answer: oneshot::Sender<Result<Written, StoreError>>,
}

/// What the writer did with it.
#[derive(Debug)]
struct Written {
    export: Export,
    key: Option<KeyedRequest>,
    stored: bool,
}

impl AcceptQueue {
    /// A queue with its writer, which ends with the last clone of the queue. Exports are estimated with these prices.
    #[must_use]
    pub fn start(store: Store, prices: Arc<Prices>) -> Self {
        let (waiting, mut queue) = mpsc::channel(MOST_WAITING);
        let writer = store.clone();
        tokio::spawn(async move {
            let mut group = Vec::new();
            while queue.recv_many(&mut group, MOST_TOGETHER).await > 0 {
                let (store, prices, group) = (writer.clone(), Arc::clone(&prices), std::mem::take(&mut group));
                // In a task of its own, so that a panic fails one group and not the queue.
                if let Err(error) = tokio::spawn(async move { store_group(&store, &prices, group).await }).await {
                    tracing::error!(error.message = in_words(&error), "a group of exports was not stored");
                }
            }
        });
        Self { store, waiting }
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.max_capacity() - self.waiting.capacity()
    }

    /// Estimates and stores a new export of version 1, or says why not. Returns it as it was stored.
    ///
    /// # Errors
    /// Too many wait, or the database did not take it.
    pub async fn accept(
        &self,
        export: Export,
        key: Option<KeyedRequest>,
        table_size_bytes: Option<i64>,
    ) -> Result<(Export, Acceptance), StoreError> {
        let (answer, written) = oneshot::channel();
        self.waiting.try_send(Waiting { export, key, table_size_bytes, answer }).map_err(|_| {
            metrics::counter!(ACCEPTS_REFUSED).increment(1);
            StoreError::Crowded
        })?;
        // Without an answer the writer has panicked.
        let Written { export, key, stored } = written.await.unwrap_or(Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)))?;
        let acceptance = if stored { Acceptance::Stored } else { Box::pin(self.store.conflicting(&export, key.as_ref())).await? };
        Ok((export, acceptance))
    }
}

async fn store_group(store: &Store, prices: &Prices, mut group: Vec<Waiting>) {
    metrics::histogram!(ACCEPT_GROUP).record(u32::try_from(group.len()).unwrap_or(u32::MAX));
    // Groups of other replicas may bring the same keys: all wait for each other in the same order, so never in a circle.
    group.sort_unstable_by(|a, b| a.key.as_ref().map(|key| &key.key).cmp(&b.key.as_ref().map(|key| &key.key)));
    match insert_group(store, prices, &mut group).await {
        Ok(stored) => {
            for one in group {
                let stored = stored.contains(&one.export.id.0);
                answer(one, |export, key| Ok(Written { export, key, stored }));
            }
        }
        Err(error) if error.is_unavailable() || group.len() == 1 => {
            let error = Arc::new(error);
            for one in group {
                answer(one, |_, _| Err(StoreError::Shared(Arc::clone(&error))));
            }
        }
        Err(error) => {
            tracing::warn!(
                error.message = in_words(&error),
                export.count = group.len(),
                "a group of exports was refused; storing each by itself"
            );
            for one in group {
                let new = NewExport { export: &one.export, key: one.key.as_ref() };
                let stored = insert(&store.pool, &[new], FIRST).await;
                answer(one, |export, key| stored.map(|ids| Written { export, key, stored: !ids.is_empty() }));
            }
        }
    }
}

/// Estimates and inserts all. The ids of those that were stored; the others conflict with something.
async fn insert_group(store: &Store, prices: &Prices, group: &mut [Waiting]) -> Result<HashSet<uuid::Uuid>, StoreError> {
    let mut connection = store.pool.acquire().await?;
    let asked: HashSet<Alike> = group.iter().map(|one| Alike::to(&one.export.request, one.table_size_bytes)).collect();
    let asked: Vec<Alike> = asked.into_iter().collect();
    let past = past_exports(&mut *connection, &asked).await?;
    let past: HashMap<Alike, _> = asked.into_iter().zip(past).collect();
    for one in &mut *group {
        let request = &one.export.request;
        let past = past.get(&Alike::to(request, one.table_size_bytes)).map(Vec::as_slice).unwrap_or_default();
        one.export.estimate = Some(estimate(&request.kind, past, one.table_size_bytes, prices.of(request.table_arn.region())));
    }
    let new: Vec<NewExport<'_>> = group.iter().map(|one| NewExport { export: &one.export, key: one.key.as_ref() }).collect();
    Ok(insert(&mut *connection, &new, FIRST).await?.into_iter().map(|id| id.0).collect())
}

fn answer(one: Waiting, result: impl FnOnce(Export, Option<KeyedRequest>) -> Result<Written, StoreError>) {
    let Waiting { export, key, answer, .. } = one;
    // A caller who is gone needs no answer.
    let _ = answer.send(result(export, key));
}
