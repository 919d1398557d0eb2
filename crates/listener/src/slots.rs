//! Connection slots: how many connections may be open, and which one is closed when there are too
//! many.
//!
//! When all slots are taken, the connection that has been idle longest is closed for the new one.
//! If none is idle, [`SPARE`] more connections are accepted for one request each: health checks
//! must be answered, and other callers are asked to come back later. Above that a new connection
//! is closed at once, so that its client can try another replica instead of waiting in a queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tableferry_telemetry::reasons::CutReason;
use tokio::sync::Notify;

/// How many connections above the limit are accepted, for one request each.
pub const SPARE: usize = 64;

/// Marks requests on a connection above the limit. Only health checks and metrics are answered;
/// other requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverCapacity;

#[derive(Debug)]
pub struct ConnectionSlots {
    max: usize,
    taken: Mutex<Taken>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    open: usize,
    last_ticket: u64,
    /// What asks an idle connection to close, by ticket. Tickets grow, so the first one has been
    /// idle longest.
    idle: BTreeMap<u64, Arc<Notify>>,
}

/// One connection's slot. Released when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<ConnectionSlots>,
    pub over_capacity: bool,
}

impl ConnectionSlots {
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            taken: Mutex::default(),
            released: Notify::new(),
        })
    }

    /// Takes a slot. `None` if the spare ones are taken too.
    pub fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut taken = self.taken();
        let full = taken.open >= self.max;
        // An idle connection closes as soon as it is asked to: it has no request to finish.
        let over_capacity = full && !close_longest_idle(&mut taken);
        if over_capacity && taken.open >= self.max + SPARE {
            return None;
        }
        taken.open += 1;
        drop(taken);
        Some(Slot {
            slots: Arc::clone(self),
            over_capacity,
        })
    }

    /// Closes the connection that has been idle longest, if any is idle.
    pub fn close_longest_idle(&self) {
        close_longest_idle(&mut self.taken());
    }

    /// Adds a connection to the idle ones. Returns its ticket. `close` is notified when its slot
    /// is needed.
    pub fn add_idle(&self, close: Arc<Notify>) -> u64 {
        let mut taken = self.taken();
        taken.last_ticket += 1;
        let ticket = taken.last_ticket;
        taken.idle.insert(ticket, close);
        ticket
    }

    pub fn remove_idle(&self, ticket: u64) {
        self.taken().idle.remove(&ticket);
    }

    /// Waits until all slots are released. For one caller only.
    pub async fn all_released(&self) {
        while self.taken().open > 0 {
            self.released.notified().await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection was idle.
fn close_longest_idle(taken: &mut Taken) -> bool {
    let Some((_, close)) = taken.idle.pop_first() else {
        return false;
    };
    close.notify_one();
    CutReason::IdleGaveWay.count();
    true
}

impl Slot {
    pub fn slots(&self) -> &Arc<ConnectionSlots> {
        &self.slots
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().open -= 1;
        self.slots.released.notify_one();
    }
}
