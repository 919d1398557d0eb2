//! Writes what waits at the same time in batches: one statement and one commit for many items.
//!
//! A commit waits for the disk, and on a small machine a statement per row spends more time on
//! switching than on storing. So items queue; one task takes all that wait, writes them, and
//! answers each caller after the commit. In the meantime the next batch gathers. There is no delay
//! for gathering: an item that comes alone is written alone, at once.
//!
//! A queue has a limit: beyond [`BatchWriter::MAX_WAITING`] items it refuses more
//! ([`StoreError::QueueFull`]). If Postgres refuses a batch, each of its items is written by a
//! statement of its own, so that one bad item does not fail the others. An item whose caller has
//! gone is still written.

use std::cmp::Ordering;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use tableferry_domain::error_chain::in_words;

/// How long an item may wait for its turn. Together with the time that writing may take, this is
/// well below the time limit of a request.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// How long a failure is reported if nothing else is written.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// Writes items of one kind.
pub(super) trait BatchWriter: Send + Sync + 'static {
    type Item: Send + 'static;
    /// The result for one item.
    type Written: Send + 'static;
    const MAX_WAITING: usize;
    /// Items per statement.
    const MAX_BATCH: usize = 256;

    /// The order in which items are written. Other processes may write items that lock the same
    /// rows: all must lock them in the same order, or they deadlock.
    fn order(a: &Self::Item, b: &Self::Item) -> Ordering;

    /// Writes all items or none; the results are in the order of the items.
    fn write(
        &self,
        items: &mut [Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Written>, StoreError>> + Send;
}

/// A queue of items that wait to be written. Cheap to clone.
#[derive(Debug)]
pub(super) struct Queue<T: BatchWriter> {
    waiting: mpsc::Sender<Waiting<T>>,
    progress: Arc<Mutex<Progress>>,
}

impl<T: BatchWriter> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            waiting: self.waiting.clone(),
            progress: Arc::clone(&self.progress),
        }
    }
}

/// Whether the batches of a queue succeed.
#[derive(Debug, Default)]
struct Progress {
    is_writing: bool,
    /// When the first of the batches began that have all failed since.
    failing_since: Option<Instant>,
    ended_at: Option<Instant>,
}

impl Progress {
    fn begin(&mut self, now: Instant) {
        // A failure long ago has nothing to do with this batch.
        if self
            .ended_at
            .is_some_and(|at| now.saturating_duration_since(at) >= FORGET_AFTER)
        {
            self.failing_since = None;
        }
        self.is_writing = true;
        self.failing_since.get_or_insert(now);
    }

    fn end(&mut self, written: bool, now: Instant) {
        self.is_writing = false;
        self.ended_at = Some(now);
        if written {
            self.failing_since = None;
        }
    }

    /// A failure says nothing about now once nothing has been tried for [`FORGET_AFTER`].
    fn failing_for(&self, now: Instant) -> Option<Duration> {
        let is_recent = self.is_writing
            || self
                .ended_at
                .is_some_and(|at| now.saturating_duration_since(at) < FORGET_AFTER);
        self.failing_since
            .filter(|_| is_recent)
            .map(|since| now.saturating_duration_since(since))
    }
}

/// An item, when it was queued, and where to send its result.
type Waiting<T> = (Instant, <T as BatchWriter>::Item, Answer<T>);
type Answer<T> =
    oneshot::Sender<Result<(<T as BatchWriter>::Item, <T as BatchWriter>::Written), StoreError>>;

impl<T: BatchWriter> Queue<T> {
    /// Starts a queue and the task that writes its items. The task ends when the last clone of the
    /// queue is dropped.
    pub(super) fn start(writer: T) -> Self {
        let (waiting, mut queue) = mpsc::channel(T::MAX_WAITING);
        let writer = Arc::new(writer);
        let progress = Arc::<Mutex<Progress>>::default();
        let handle = Self {
            waiting,
            progress: Arc::clone(&progress),
        };
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while queue.recv_many(&mut batch, T::MAX_BATCH).await > 0 {
                let (writer, batch) = (
                    Arc::clone(&writer),
                    only_recent::<T>(std::mem::take(&mut batch)),
                );
                progress
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .begin(Instant::now());
                // In a task of its own, so that a panic fails one batch and not the queue.
                let written = tokio::spawn(async move { write_batch(&*writer, batch).await })
                    .await
                    .unwrap_or_else(|error| {
                        tracing::error!(
                            error.message = in_words(&error),
                            "a batch was not written"
                        );
                        false
                    });
                progress
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .end(written, Instant::now());
            }
        });
        handle
    }

    /// How long writing has been failing; `None` if the last batch was written or nothing was
    /// written recently.
    pub(super) fn failing_for(&self) -> Option<Duration> {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failing_for(Instant::now())
    }

    /// The number of items that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.max_capacity() - self.waiting.capacity()
    }

    /// Writes an item in the next batch. Returns the item as it was written and its result.
    pub(super) async fn write(&self, item: T::Item) -> Result<(T::Item, T::Written), StoreError> {
        let (answer, written) = oneshot::channel();
        self.waiting
            .try_send((Instant::now(), item, answer))
            .map_err(|_| StoreError::QueueFull)?;
        // No answer means that the writer has panicked.
        written
            .await
            .unwrap_or(Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)))
    }
}

/// The items that have not waited too long. The callers of the others get an error at once: they
/// would have given up before their items are written.
fn only_recent<T: BatchWriter>(batch: Vec<Waiting<T>>) -> Vec<Waiting<T>> {
    let (recent, late): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .partition(|(since, ..)| since.elapsed() < MAX_WAIT);
    for (.., answer) in late {
        let _ = answer.send(Err(StoreError::QueueFull));
    }
    recent
}

/// Writes a batch. Returns false if the database was not available.
async fn write_batch<T: BatchWriter>(writer: &T, mut batch: Vec<Waiting<T>>) -> bool {
    batch.sort_by(|(_, a, _), (_, b, _)| T::order(a, b));
    let (mut items, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|(_, item, answer)| (item, answer))
        .unzip();
    if items.is_empty() {
        return false;
    }
    // A caller that has gone needs no answer.
    match writer.write(&mut items).await {
        Ok(written) => {
            for ((item, written), answer) in items.into_iter().zip(written).zip(answers) {
                let _ = answer.send(Ok((item, written)));
            }
            true
        }
        Err(error) if error.is_unavailable() || items.len() == 1 => {
            let database_answered = !error.is_unavailable();
            let error = Arc::new(error);
            for answer in answers {
                let _ = answer.send(Err(StoreError::Shared(Arc::clone(&error))));
            }
            database_answered
        }
        Err(error) => {
            tracing::warn!(
                error.message = in_words(&error),
                export.count = items.len(),
                "the database refused a batch; writing each item by itself"
            );
            let mut unavailable: Option<Arc<StoreError>> = None;
            for (mut item, answer) in items.into_iter().zip(answers) {
                if let Some(error) = &unavailable {
                    let _ = answer.send(Err(StoreError::Shared(Arc::clone(error))));
                    continue;
                }
                let written = match writer.write(std::slice::from_mut(&mut item)).await {
                    Err(error) if error.is_unavailable() => {
                        // The others would each wait for the database too.
                        let error = unavailable.insert(Arc::new(error));
                        Err(StoreError::Shared(Arc::clone(error)))
                    }
                    written => written,
                };
                let _ = answer.send(written.and_then(|mut written| {
                    Ok((item, written.pop().ok_or(StoreError::Conflict)?))
                }));
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_until_a_batch_is_written_or_none_is_tried() {
        let (mut progress, now) = (Progress::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(progress.failing_for(now), None);
        progress.begin(now);
        progress.end(false, after(4));
        progress.begin(after(4));
        assert_eq!(progress.failing_for(after(4)), Some(Duration::from_secs(4)));
        progress.end(true, after(5));
        assert_eq!(progress.failing_for(after(5)), None);
        progress.begin(after(5));
        progress.end(false, after(6));
        assert_eq!(progress.failing_for(after(3600)), None);
        progress.begin(after(3600));
        assert_eq!(progress.failing_for(after(3600)), Some(Duration::ZERO));
    }
}
