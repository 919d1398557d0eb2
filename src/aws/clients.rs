//! SDK clients, one for each region and whose credentials they have, built when first needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How many clients of one service are kept.
const MOST_CLIENTS: usize = 1024;

/// The clients of one service.
#[derive(Debug)]
pub(super) struct Clients<C>(Mutex<HashMap<(String, String), C>>);

impl<C> Default for Clients<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C: Clone> Clients<C> {
    /// The client for calls in this region with this account's role, or the process's own credentials.
    pub(super) fn get(&self, signer: &str, region: &str, build: impl FnOnce() -> C) -> C {
        // A poisoned lock still holds a usable map: nothing is left half done in it.
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
