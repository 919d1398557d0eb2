//! The values that decisions take and return.

use std::time::Duration;

use crate::aws::arn::ExportArn;
use crate::export::Export;
use crate::export::event::EventKind;
use crate::ids::ClientToken;
use crate::lifecycle::backoff::{Jitter, PollBounds};
use crate::timestamp::Timestamp;

/// A claimed export and its row in the schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The export as it was when claimed.
    pub export: Export,
    /// The number of this claim. A write repeats it, so that an outdated claim writes nothing.
    pub claim: i32,
    /// Failed AWS calls in a row before this one.
    pub failures: u32,
    /// An earlier start may have been accepted although its answer was lost.
    pub in_doubt: bool,
    /// The delay until the next poll if nothing is written.
    pub planned_delay: Duration,
}

/// What a worker does with a claimed export.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Call ExportTableToPointInTime with this token.
    Start(ClientToken),
    /// Search AWS's lists for the export that carries this token.
    FindByToken(ClientToken),
    /// Call DescribeExport.
    Describe(ExportArn),
    /// Write this; no call is needed.
    Write(Box<Outcome>),
}

/// What to write after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// `None` if the export did not change.
    pub change: Option<Change>,
    pub next: NextPoll,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The export after it.
    pub export: Export,
    pub event: EventKind,
    pub detail: String,
}

/// When to poll an export next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextPoll {
    After {
        delay: Duration,
        /// Failed AWS calls in a row, this one included.
        failures: u32,
        /// A start may have been accepted although its answer was lost.
        in_doubt: bool,
    },
    Never,
}

/// Time, randomness and settings of a step.
#[derive(Debug, Clone)]
pub struct StepContext {
    pub now: Timestamp,
    /// Spreads the delays of this step.
    pub jitter: Jitter,
    pub bounds: PollBounds,
}
