//! SDK clients, one for each region and whose credentials they have, built when first needed.
//!
//! Each keeps connections open for its next calls. Connections that go silent without being closed
//! would cost one time-out each, one after the other; so the first timeout makes all clients
//! reconnect.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many clients of one service are kept.
const MOST_CLIENTS: usize = 1024;

/// The clients of one service.
#[derive(Debug)]
pub(super) struct Clients<C>(Mutex<Kept<C>>);

#[derive(Debug)]
struct Kept<C> {
    /// The generation in which they were built.
    generation: u64,
    clients: HashMap<(String, String), C>,
}

impl<C> Default for Clients<C> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            generation: 0,
            clients: HashMap::new(),
        }))
    }
}

/// How often all clients reconnected, and when last. Process-wide: all clients share the network
/// path.
static RECONNECTS: Mutex<(u64, Option<Instant>)> = Mutex::new((0, None));

/// A call that was begun at this time timed out: the connections of all clients may have gone
/// silent. A call that was begun before the last reconnect says nothing of those that were opened
/// since.
pub(super) fn timed_out(began: Instant) {
    let mut reconnects = RECONNECTS.lock().unwrap_or_else(PoisonError::into_inner);
    if reconnects.1.is_none_or(|at| began > at) {
        *reconnects = (reconnects.0 + 1, Some(Instant::now()));
        tracing::debug!("a call to AWS timed out; the next ones use new connections");
    }
}

impl<C: Clone> Clients<C> {
    /// The client for calls in this region with this account's role, or the process's own
    /// credentials.
    pub(super) fn get(&self, signer: &str, region: &str, build: impl FnOnce() -> C) -> C {
        // A poisoned lock still holds a usable map: nothing is left half done in it.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = RECONNECTS.lock().unwrap_or_else(PoisonError::into_inner).0;
        if kept.generation != generation {
            *kept = Kept {
                generation,
                clients: HashMap::new(),
            };
        }
        let clients = &mut kept.clients;
        let key = (signer.to_owned(), region.to_owned());
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        if clients.len() >= MOST_CLIENTS {
            // Each holds connections of its own, and callers can make up regions.
            clients.clear();
        }
        let client = build();
        clients.insert(key, client.clone());
        client
    }
}
