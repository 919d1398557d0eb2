//! What the clients asked for and what they were told, kept outside of everything that is broken.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// What one idempotency key stands for.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The body that is sent with the key.
    pub body: Value,
    /// How often it was sent.
    pub attempts: u32,
    /// Every id that a 202 or 200 named.
    pub ids: Vec<String>,
    /// A cancellation was answered with 200.
    pub is_cancelled: bool,
    /// A deletion was sent; the export as it stood before.
    pub deleted: Option<Value>,
    /// The deletion was answered.
    pub is_deleted: bool,
}

impl Order {
    /// The acknowledged id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.ids.first().map(String::as_str)
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The figure of the final table that it counts for.
    pub figure: &'static str,
    /// What is wrong.
    pub what: String,
    /// The export it is about.
    pub export_id: Option<String>,
}

/// Everything that was asked for, by idempotency key, and what was seen to be wrong on the way.
#[derive(Debug, Default)]
pub struct Ledger {
    orders: Mutex<BTreeMap<String, Order>>,
    violations: Mutex<Vec<Violation>>,
}

impl Ledger {
    /// Changes what is known of a key.
    pub fn change<T>(&self, key: &str, change: impl FnOnce(&mut Order) -> T) -> T {
        change(
            self.orders
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.to_owned())
                .or_default(),
        )
    }

    /// Everything that was asked for.
    #[must_use]
    pub fn orders(&self) -> BTreeMap<String, Order> {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many keys were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .filter(|order| order.id().is_some())
            .count()
    }

    /// Notes a promise that was not kept.
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

    /// Every promise that was not kept.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
