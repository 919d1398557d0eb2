//! Credentials that were found good a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::caller::{Caller, CallerName};
use crate::domain::timestamp::Timestamp;

/// For how long credentials stay good without being looked up again: within this a key that was
/// revoked elsewhere is refused here.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// After this one request looks them up again, while the others go by what is known until [`FRESH`]
/// is over.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// How many are remembered.
const MOST: usize = 10_000;

/// Good credentials by the SHA-256 of them.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<[u8; 32], Good>>);

#[derive(Debug)]
struct Good {
    caller: Arc<Caller>,
    /// When they were last looked up and found good.
    found_at: Timestamp,
    /// When one request looks them up again.
    look_at: Timestamp,
    /// When they stop to be good by themselves.
    until: Option<Timestamp>,
}

impl Known {
    /// Whom these credentials stand for, if that was found out a moment ago. When it is time to
    /// look again one request does, and the others go by what is known; if it comes to nothing,
    /// they do so no longer than [`FRESH`].
    pub(super) fn fresh(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Caller>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = all.get_mut(digest)?;
        if good.until.is_some_and(|until| until <= now) || good.found_at.plus(FRESH) <= now {
            return None;
        }
        if good.look_at <= now {
            good.look_at = now.plus(LOOK_AGAIN);
            return None;
        }
        Some(Arc::clone(&good.caller))
    }

    /// Whether these were good when they were last looked up.
    pub(super) fn has(&self, digest: &[u8; 32]) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(digest)
    }

    pub(super) fn insert(
        &self,
        digest: [u8; 32],
        caller: Caller,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Arc<Caller> {
        let caller = Arc::new(caller);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, good| good.found_at.plus(FRESH) > now);
            if all.len() >= MOST {
                all.clear();
            }
        }
        all.insert(
            digest,
            Good {
                caller: Arc::clone(&caller),
                found_at: now,
                look_at: now.plus(LOOK_AGAIN),
                until,
            },
        );
        caller
    }

    pub(super) fn forget(&self, digest: &[u8; 32]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(digest);
    }

    /// Forgets every credential of a caller.
    pub(super) fn forget_caller(&self, name: &CallerName) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, good| good.caller.name.as_ref() != Some(name));
    }
}
