//! Writes the outcome of a step on a claimed export: the export, its event, its schedule, and what
//! the change brings along (webhook deliveries, a verification, the next attempt).

mod queue;
mod statement;

pub use queue::OutcomeQueue;
pub(crate) use statement::{Bodies, PreparedOutcome, write};
