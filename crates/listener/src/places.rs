//! How many connections there are, and who gives way when there are too many.
//!
//! When all places are taken, the connection that has been idle for longest is closed for the new
//! one. If none is idle, a few more are taken all the same, each for one request: health checks
//! must be answered, and everybody else is told to come back later. Above that a new connection is
//! closed at once: its client can try another replica, where a queue would leave it to guess.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::count_cut;
use super::visit::Visit;

/// How many connections above the limit are taken for one request each.
pub const SPARE: usize = 64;

/// All places.
#[derive(Debug)]
pub struct Places {
    most: usize,
    taken: Mutex<Taken>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    open: usize,
    tickets: u64,
    /// Who is idle, the longest first: tickets grow.
    idle: BTreeMap<u64, Arc<Visit>>,
}

/// One connection's place, until this is dropped.
#[derive(Debug)]
pub struct Place {
    visit: Arc<Visit>,
    /// Whether it is above the limit.
    pub crowded: bool,
}

impl Places {
    /// So many places.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// Takes a place; `None` if there is none, not even above the limit.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        let full = taken.open >= self.most;
        // Whoever is asked leaves at once: it has nothing in hand.
        let crowded = full && !let_go(&mut taken);
        if crowded && taken.open >= self.most + SPARE {
            return None;
        }
        taken.open += 1;
        drop(taken);
        Some(Place {
            visit: Visit::new(Arc::clone(self)),
            crowded,
        })
    }

    /// Lets the connection go that has been idle for longest, if any is.
    pub fn let_one_go(&self) {
        let_go(&mut self.taken());
    }

    /// Counts a connection among the idle; its ticket.
    pub fn rests(&self, visit: Arc<Visit>) -> u64 {
        let mut taken = self.taken();
        taken.tickets += 1;
        let ticket = taken.tickets;
        taken.idle.insert(ticket, visit);
        ticket
    }

    /// It is idle no longer.
    pub fn acts(&self, ticket: u64) {
        self.taken().idle.remove(&ticket);
    }

    /// Waits until nobody is left. For one caller.
    pub async fn all_left(&self) {
        while self.taken().open > 0 {
            self.left.notified().await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self) {
        self.taken().open -= 1;
        self.left.notify_one();
    }
}

fn let_go(taken: &mut Taken) -> bool {
    let Some((_, longest)) = taken.idle.pop_first() else {
        return false;
    };
    longest.ask_to_leave();
    count_cut("idle_gave_way");
    true
}

impl Place {
    /// What goes on at this place.
    pub fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.visit.end();
        self.visit.places().leave();
    }
}
