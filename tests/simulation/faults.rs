//! What can go wrong in a run, and how much of it does: drawn once from the seed, so that some runs
//! are calm and some wild.

use std::time::Duration;

use tableferry::domain::timing::AWS_CALL_TIMEOUT;

use super::dice::Dice;

/// How one call travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// AWS does it and the worker hears the answer.
    Answered {
        /// From the sending to the doing.
        done_after: Duration,
    },
    /// AWS does it, but the worker hears nothing of it: its time-out passes, or the connection
    /// breaks before or after the doing.
    Unheard {
        /// From the sending to the doing.
        done_after: Duration,
        /// From the sending to the worker's giving up.
        given_up_after: Duration,
    },
    /// The call never arrives.
    Lost {
        /// From the sending to the worker's giving up.
        given_up_after: Duration,
    },
}

/// What AWS itself does wrong with a call that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsFault {
    /// ThrottlingException: not looked at.
    Throttled,
    /// LimitExceededException: not started.
    LimitExceeded,
    /// AccessDeniedException or ExpiredTokenException: not looked at.
    Denied,
    /// InternalServerError, and nothing was done.
    ErrorBefore,
    /// InternalServerError, but it was done.
    ErrorAfter,
    /// ExportNotFoundException for an export that is there.
    NotFound,
    /// A page token of a list is refused.
    PageRefused,
}

/// What becomes of a write to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Committed, and the writer knows.
    Known,
    /// Committed, but the answer is lost.
    Unheard,
    /// Not committed.
    Failed,
}

/// How often each thing goes wrong.
#[derive(Debug, Clone)]
pub struct Faults {
    lost: f64,
    unheard: f64,
    unheard_starts: f64,
    aws: [(AwsFault, f64); 7],
    commit_failed: f64,
    commit_unheard: f64,
    /// A worker is paused at an event of its own.
    pub pause: f64,
    /// A worker is killed at an event of its own.
    pub crash: f64,
    short_pauses: bool,
    /// A claimed start is handed back unasked, because its lane is throttled.
    pub handed_back: f64,
    /// How likely a list does not show an export.
    pub hidden: f64,
    /// All of AWS's answers take seconds. This is no fault: it never heals.
    slow_aws: bool,
}

impl Faults {
    /// Draws the faults of a run.
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

    /// Many answers are lost, exports are not found, and workers are paused now and then.
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

    /// Nothing goes wrong but that answers to starts are lost and workers paused for about as long
    /// as a claim holds.
    pub fn only_doubt(&mut self) {
        self.heal();
        (self.unheard_starts, self.pause, self.short_pauses) = (0.5, 0.03, true);
    }

    /// No pause is much longer than a claim holds.
    pub fn keep_pauses_short(&mut self) {
        self.short_pauses = true;
    }

    /// From now on nothing goes wrong.
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

    /// How a call travels that is sent now.
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

    /// What AWS does wrong with a call that it is doing now.
    pub fn at_aws(&self, dice: &mut Dice) -> Option<AwsFault> {
        self.aws
            .iter()
            .find(|(_, probability)| dice.chance(*probability))
            .map(|(kind, _)| *kind)
    }

    /// What becomes of a write to the database.
    pub fn commit(&self, dice: &mut Dice) -> Commit {
        if dice.chance(self.commit_failed) {
            Commit::Failed
        } else if dice.chance(self.commit_unheard) {
            Commit::Unheard
        } else {
            Commit::Known
        }
    }

    /// How long a worker is paused: often just about as long as a claim holds.
    pub fn pause_length(&self, dice: &mut Dice) -> Duration {
        match dice.below(if self.short_pauses { 2 } else { 4 }) {
            0 => dice.millis(1000, 6000),
            1 => dice.millis(13_000, 18_000),
            2 => dice.any_scale(18.0, 600.0),
            _ => dice.any_scale(600.0, 10.0 * 3600.0),
        }
    }
}
