//! The faults of a run and their rates: drawn once from the seed, so that some runs are calm and
//! some are wild.

use std::time::Duration;

use tableferry::domain::lifecycle::timing::AWS_CALL_TIMEOUT;

use super::dice::Dice;

/// The delivery of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// AWS handles it and the worker receives the response.
    Answered {
        /// From sending to handling.
        done_after: Duration,
    },
    /// AWS handles it, but the worker gets no response: it times out, or the connection breaks
    /// before or after the handling.
    Unheard {
        /// From sending to handling.
        done_after: Duration,
        /// From sending until the worker gives up.
        given_up_after: Duration,
    },
    /// The call never arrives.
    Lost {
        /// From sending until the worker gives up.
        given_up_after: Duration,
    },
}

/// A fault of AWS for a call that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsFault {
    /// ThrottlingException: not handled.
    Throttled,
    /// LimitExceededException: not started.
    LimitExceeded,
    /// AccessDeniedException or ExpiredTokenException: not handled.
    Denied,
    /// InternalServerError, not handled.
    ErrorBefore,
    /// InternalServerError, but handled.
    ErrorAfter,
    /// ExportNotFoundException for an export that exists.
    NotFound,
    /// A page token of a list is rejected.
    PageRefused,
}

/// The fate of a database write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Committed, and the writer knows.
    Known,
    /// Committed, but the response is lost.
    Unheard,
    /// Not committed.
    Failed,
}

/// The rate of each fault.
#[derive(Debug, Clone)]
pub struct Faults {
    lost: f64,
    unheard: f64,
    unheard_starts: f64,
    aws: [(AwsFault, f64); 7],
    commit_failed: f64,
    commit_unheard: f64,
    /// A worker is paused at one of its events.
    pub pause: f64,
    /// A worker is killed at one of its events.
    pub crash: f64,
    short_pauses: bool,
    /// A claimed start is released without a call, because its lane is throttled.
    pub handed_back: f64,
    /// The probability that a list does not contain an export.
    pub hidden: f64,
    /// All responses of AWS take seconds. This is not a fault, so it is never healed.
    slow_aws: bool,
}

impl Faults {
    pub fn draw(dice: &mut Dice) -> Self {
        let kinds = [
            AwsFault::Throttled,
            AwsFault::LimitExceeded,
            AwsFault::Denied,
            AwsFault::ErrorBefore,
            AwsFault::ErrorAfter,
            AwsFault::NotFound,
            AwsFault::PageRefused,
        ];
        Self {
            lost: dice.probability(),
            unheard: dice.probability(),
            unheard_starts: dice.probability(),
            aws: kinds.map(|kind| (kind, dice.probability() / 2.0)),
            commit_failed: dice.probability() / 2.0,
            commit_unheard: dice.probability() / 2.0,
            pause: dice.probability() / 4.0,
            crash: dice.probability() / 8.0,
            short_pauses: false,
            handed_back: dice.probability(),
            hidden: dice.probability(),
            slow_aws: dice.chance(0.1),
        }
    }

    /// Many responses are lost, exports are not found, and workers are sometimes paused.
    pub fn stir(&mut self) {
        for (_, probability) in self
            .aws
            .iter_mut()
            .filter(|(kind, _)| *kind == AwsFault::NotFound)
        {
            *probability = probability.max(0.2);
        }
        self.unheard_starts = self.unheard_starts.max(0.4);
        self.pause = self.pause.max(0.02);
    }

    /// The only faults: responses to starts are lost, and workers are paused for about the duration
    /// of a lease.
    pub fn only_doubt(&mut self) {
        self.heal();
        (self.unheard_starts, self.pause, self.short_pauses) = (0.5, 0.03, true);
    }

    /// No pause is much longer than a lease.
    pub fn keep_pauses_short(&mut self) {
        self.short_pauses = true;
    }

    /// From now on there are no faults.
    pub fn heal(&mut self) {
        *self = Self {
            lost: 0.0,
            unheard: 0.0,
            unheard_starts: 0.0,
            aws: self.aws.map(|(kind, _)| (kind, 0.0)),
            commit_failed: 0.0,
            commit_unheard: 0.0,
            pause: 0.0,
            crash: 0.0,
            short_pauses: self.short_pauses,
            handed_back: 0.0,
            hidden: 0.0,
            slow_aws: self.slow_aws,
        };
    }

    /// The delivery of a call that is sent now.
    pub fn travel(&self, is_start: bool, dice: &mut Dice) -> Travel {
        let done_after = match dice.below(10) {
            // Two calls take longer than a lease.
            _ if self.slow_aws => dice.millis(7600, 9500),
            0 => dice.millis(1000, 9500),
            _ => dice.millis(5, 300),
        };
        let given_up_after = if dice.chance(0.5) {
            AWS_CALL_TIMEOUT
        } else {
            dice.any_scale(0.005, 10.0)
        };
        if dice.chance(self.lost) {
            Travel::Lost { given_up_after }
        } else if dice.chance(if is_start {
            self.unheard_starts
        } else {
            self.unheard
        }) {
            let done_after = if dice.chance(0.5) {
                dice.millis(5, 9900)
            } else {
                done_after
            };
            Travel::Unheard {
                done_after,
                given_up_after,
            }
        } else {
            Travel::Answered { done_after }
        }
    }

    /// AWS's fault, if any, for the call that it is handling now.
    pub fn at_aws(&self, dice: &mut Dice) -> Option<AwsFault> {
        self.aws
            .iter()
            .find(|(_, probability)| dice.chance(*probability))
            .map(|(kind, _)| *kind)
    }

    pub fn commit(&self, dice: &mut Dice) -> Commit {
        if dice.chance(self.commit_failed) {
            Commit::Failed
        } else if dice.chance(self.commit_unheard) {
            Commit::Unheard
        } else {
            Commit::Known
        }
    }

    /// How long a worker is paused: often about the duration of a lease.
    pub fn pause_length(&self, dice: &mut Dice) -> Duration {
        match dice.below(if self.short_pauses { 2 } else { 4 }) {
            0 => dice.millis(1000, 6000),
            1 => dice.millis(13_000, 18_000),
            2 => dice.any_scale(18.0, 600.0),
            _ => dice.any_scale(600.0, 10.0 * 3600.0),
        }
    }
}
