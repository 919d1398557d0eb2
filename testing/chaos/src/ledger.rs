//! What the clients requested and which responses they got, kept outside of everything that is
//! broken.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The history of one idempotency key.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The body that is sent with the key.
    pub body: Value,
    pub attempts: u32,
    /// Every id in a 202 or 200 response.
    pub ids: Vec<String>,
    /// A cancellation was answered with 200.
    pub is_cancelled: bool,
    /// A deletion was sent; the export as it was before.
    pub deleted: Option<Value>,
    pub is_deleted: bool,
}

impl Order {
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.ids.first().map(String::as_str)
    }
}

/// A broken promise.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The row of the final table that it counts for.
    pub figure: &'static str,
    pub what: String,
    pub export_id: Option<String>,
}

/// All requests by idempotency key, and the violations that were seen during the run.
#[derive(Debug, Default)]
pub struct Ledger {
    orders: Mutex<BTreeMap<String, Order>>,
    violations: Mutex<Vec<Violation>>,
}

impl Ledger {
    /// Updates the history of a key.
    pub fn change<T>(&self, key: &str, change: impl FnOnce(&mut Order) -> T) -> T {
        change(
            self.orders
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.to_owned())
                .or_default(),
        )
    }

    #[must_use]
    pub fn orders(&self) -> BTreeMap<String, Order> {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The number of acknowledged keys.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .filter(|order| order.id().is_some())
            .count()
    }

    pub fn violated(&self, figure: &'static str, what: impl Into<String>, export_id: Option<&str>) {
        let violation = Violation {
            figure,
            what: what.into(),
            export_id: export_id.map(str::to_owned),
        };
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(violation);
    }

    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
