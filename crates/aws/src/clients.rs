//! SDK clients, one per region and credentials, built on first use.
//!
//! Each keeps connections open. Connections that went silent without being closed would cost one
//! time-out each, one after the other, so the first time-out makes all clients reconnect.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use quick_cache::unsync::Cache;

/// Maximum number of clients of one service. Each keeps connections open, and callers can make up
/// regions.
const MAX_CLIENTS: usize = 1024;

/// SDK clients of one service.
#[derive(Debug)]
pub(super) struct Clients<C>(Mutex<Kept<C>>);

#[derive(Debug)]
struct Kept<C> {
    /// The generation of these clients.
    generation: u64,
    clients: Cache<(String, String), C>,
}

impl<C> Default for Clients<C> {
    fn default() -> Self {
        Self(Mutex::new(Kept::new(0)))
    }
}

impl<C> Kept<C> {
    fn new(generation: u64) -> Self {
        Self {
            generation,
            clients: Cache::new(MAX_CLIENTS),
        }
    }
}

/// The number and time of reconnects. Process-wide, because all clients share the network path.
static RECONNECTS: Mutex<(u64, Option<Instant>)> = Mutex::new((0, None));

/// A call that began at this time timed out, so the connections of all clients may have gone
/// silent. A call that began before the last reconnect says nothing about the connections opened
/// since.
pub(super) fn timed_out(began: Instant) {
    let mut reconnects = RECONNECTS.lock().unwrap_or_else(PoisonError::into_inner);
    if reconnects.1.is_none_or(|at| began > at) {
        *reconnects = (reconnects.0 + 1, Some(Instant::now()));
        tracing::debug!("a call to AWS timed out; the next ones use new connections");
    }
}

impl<C: Clone> Clients<C> {
    /// The client for calls in this region with the credentials of `signer`.
    pub(super) fn get(&self, signer: &str, region: &str, build: impl FnOnce() -> C) -> C {
        // A poisoned lock still holds a usable map, because no update spans several steps.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = RECONNECTS.lock().unwrap_or_else(PoisonError::into_inner).0;
        if kept.generation != generation {
            *kept = Kept::new(generation);
        }
        let clients = &mut kept.clients;
        let key = (signer.to_owned(), region.to_owned());
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        let client = build();
        clients.insert(key, client.clone());
        client
    }
}
