//! How the API and the workers of a process notify each other. Other processes are not reached:
//! their workers and watchers poll the database.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

/// Cheap to clone; clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// An export may be started or polled at once.
    pub export_due: Wake,
    /// A worker or a caller changed an export.
    pub export_changed: Broadcast,
    /// A webhook delivery was stored, or a receiver can get more.
    pub delivery_due: Wake,
    /// A webhook job was stored.
    pub job_due: Wake,
    /// A verification was requested.
    pub verification_due: Wake,
    /// Cancelled when the process begins to stop.
    pub stopping: CancellationToken,
}

/// Wakes one loop. A signal sent while the loop is busy is kept for its next wait.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    pub fn send(&self) {
        self.0.notify_one();
    }

    pub fn received(&self) -> Notified<'_> {
        self.0.notified()
    }
}

/// Wakes every task that waits. A task waits from the moment it calls
/// [`received`](Self::received); nothing is kept for later ones.
#[derive(Debug, Clone, Default)]
pub struct Broadcast(Arc<Notify>);

impl Broadcast {
    pub fn send(&self) {
        self.0.notify_waiters();
    }

    pub fn received(&self) -> Notified<'_> {
        self.0.notified()
    }
}
