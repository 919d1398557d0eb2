//! Writes what is to be written at the same time together: one statement and one commit for all
//! that waits.
//!
//! A commit waits for the disk, and on a small machine a statement for each row spends more on
//! switching than on storing. So what is to be written queues, one task takes all that waits,
//! writes it, and answers each after the commit; while it does, the next ones gather. Nobody waits
//! for a timer: what comes alone is written alone, at once.
//!
//! A queue is bounded: one more than [`Together::MOST_WAITING`] is refused
//! ([`StoreError::Crowded`]). What Postgres refuses does not fail its neighbours: then each is
//! written by a statement of its own. What nobody waits for any more is written all the same.

use std::cmp::Ordering;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use tableferry_telemetry::error_chain::in_words;

/// How long something may wait for its turn. With the time that writing may take, callers are
/// answered well within a request's time.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// For how long a failure counts if nothing else is to be written.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// How to write things of one kind.
pub(super) trait Together: Send + Sync + 'static {
    /// What is written.
    type Item: Send + 'static;
    /// What became of it.
    type Written: Send + 'static;
    /// How many may wait.
    const MOST_WAITING: usize;
    /// How many are written by one statement.
    const MOST_TOGETHER: usize = 256;

    /// In which order they are written. Other processes may write what touches the same rows: all
    /// must take them in the same order, so that none waits for each other in a circle.
    fn order(a: &Self::Item, b: &Self::Item) -> Ordering;

    /// Writes all or nothing: what became of each, in their order.
    fn write(
        &self,
        items: &mut [Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Written>, StoreError>> + Send;
}

/// Where things wait to be written. Cheap to clone.
#[derive(Debug)]
pub(super) struct Queue<T: Together> {
    waiting: mpsc::Sender<Waiting<T>>,
    progress: Arc<Mutex<Progress>>,
}

impl<T: Together> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            waiting: self.waiting.clone(),
            progress: Arc::clone(&self.progress),
        }
    }
}

/// How the groups of a queue fare.
#[derive(Debug, Default)]
struct Progress {
    is_writing: bool,
    /// Since when no group has been written although some were begun.
    failing_since: Option<Instant>,
    ended_at: Option<Instant>,
}

impl Progress {
    fn begin(&mut self, now: Instant) {
        // What failed long ago has nothing to do with this one.
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

    /// A failure of before says nothing of now once nobody has tried for a while.
    fn failing_for(&self, now: Instant) -> Option<Duration> {
        let is_news = self.is_writing
            || self
                .ended_at
                .is_some_and(|at| now.saturating_duration_since(at) < FORGET_AFTER);
        self.failing_since
            .filter(|_| is_news)
            .map(|since| now.saturating_duration_since(since))
    }
}

/// Something that somebody waits for, and where to send the answer.
type Waiting<T> = (Instant, <T as Together>::Item, Answer<T>);
type Answer<T> =
    oneshot::Sender<Result<(<T as Together>::Item, <T as Together>::Written), StoreError>>;

impl<T: Together> Queue<T> {
    /// A queue with its writer, which ends with the last clone of the queue.
    pub(super) fn start(writer: T) -> Self {
        let (waiting, mut queue) = mpsc::channel(T::MOST_WAITING);
        let writer = Arc::new(writer);
        let progress = Arc::<Mutex<Progress>>::default();
        let handle = Self {
            waiting,
            progress: Arc::clone(&progress),
        };
        tokio::spawn(async move {
            let mut group = Vec::new();
            while queue.recv_many(&mut group, T::MOST_TOGETHER).await > 0 {
                let (writer, group) = (
                    Arc::clone(&writer),
                    only_recent::<T>(std::mem::take(&mut group)),
                );
                progress
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .begin(Instant::now());
                // In a task of its own, so that a panic fails one group and not the queue.
                let written = tokio::spawn(async move { write_group(&*writer, group).await })
                    .await
                    .unwrap_or_else(|error| {
                        tracing::error!(
                            error.message = in_words(&error),
                            "a group was not written"
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

    /// For how long nothing could be written although something waits, or waited a moment ago.
    pub(super) fn failing_for(&self) -> Option<Duration> {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failing_for(Instant::now())
    }

    /// How many wait now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.max_capacity() - self.waiting.capacity()
    }

    /// Writes one, together with others: itself, as it was written, and what became of it.
    ///
    /// # Errors
    /// Too many wait, or the database did not take it.
    pub(super) async fn write(&self, item: T::Item) -> Result<(T::Item, T::Written), StoreError> {
        let (answer, written) = oneshot::channel();
        self.waiting
            .try_send((Instant::now(), item, answer))
            .map_err(|_| StoreError::Crowded)?;
        // Without an answer the writer has panicked.
        written
            .await
            .unwrap_or(Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)))
    }
}

/// Those that have not waited for too long. The others are answered at once: their callers would be
/// gone before they are written.
fn only_recent<T: Together>(group: Vec<Waiting<T>>) -> Vec<Waiting<T>> {
    let (recent, late): (Vec<_>, Vec<_>) = group
        .into_iter()
        .partition(|(since, ..)| since.elapsed() < LONGEST_WAIT);
    for (.., answer) in late {
        let _ = answer.send(Err(StoreError::Crowded));
    }
    recent
}

/// Whether the database took it, or refused some for a reason of theirs.
async fn write_group<T: Together>(writer: &T, mut group: Vec<Waiting<T>>) -> bool {
    group.sort_by(|(_, a, _), (_, b, _)| T::order(a, b));
    let (mut items, answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|(_, item, answer)| (item, answer))
        .unzip();
    if items.is_empty() {
        return false;
    }
    // A caller who is gone needs no answer.
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
                "a group was refused; writing each by itself"
            );
            let mut away: Option<Arc<StoreError>> = None;
            for (mut item, answer) in items.into_iter().zip(answers) {
                if let Some(error) = &away {
                    let _ = answer.send(Err(StoreError::Shared(Arc::clone(error))));
                    continue;
                }
                let written = match writer.write(std::slice::from_mut(&mut item)).await {
                    Err(error) if error.is_unavailable() => {
                        // The others would each wait for it too.
                        let error = away.insert(Arc::new(error));
                        Err(StoreError::Shared(Arc::clone(error)))
                    }
                    written => written,
                };
                let _ =
                    answer.send(written.and_then(|mut written| {
                        Ok((item, written.pop().ok_or(StoreError::Stale)?))
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
    fn failures_count_until_one_is_written_or_nobody_tries() {
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
