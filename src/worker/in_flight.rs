//! How many attempts this process has in flight at each receiver.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::webhook::share::{MAX_PER_RECEIVER, ReceiverLoad};
use crate::signals::Wake;

/// Cheap to clone; clones share their state.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<HashMap<String, ReceiverLoad>>>);

/// Counts one attempt until it is dropped, however the work ends.
#[derive(Debug)]
pub(super) struct InFlightGuard {
    in_flight: InFlight,
    delivery_due: Wake,
    receiver: String,
}

impl InFlight {
    /// Counts an attempt. `failing`: the receiver's last attempt failed.
    pub(super) fn begin(
        &self,
        receiver: &str,
        failing: bool,
        delivery_due: &Wake,
    ) -> InFlightGuard {
        let mut loads = self.lock();
        let load = loads.entry(receiver.to_owned()).or_default();
        load.count += 1;
        load.failing = failing;
        InFlightGuard {
            in_flight: self.clone(),
            delivery_due: delivery_due.clone(),
            receiver: receiver.to_owned(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, ReceiverLoad>> {
        // A poisoned lock still holds a usable map: no change of it is left incomplete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut loads = self.in_flight.lock();
        if let Some(load) = loads.get_mut(&self.receiver) {
            if load.count >= MAX_PER_RECEIVER || load.failing {
                // More deliveries may be due that were left out because of the maximum.
                self.delivery_due.send();
            }
            load.count -= 1;
            if load.count == 0 {
                loads.remove(&self.receiver);
            }
        }
    }
}
