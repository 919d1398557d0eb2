//! What an attempt at a delivery means: for the delivery, and for its receiver.

use std::time::Duration;

use crate::backoff::{Jitter, delivery_delay};
use crate::retry_after::LONGEST_RETRY_AFTER;
use crate::timestamp::Timestamp;

/// The longest that all deliveries of a receiver wait because one was answered with 429, 502, 503
/// or 504.
const LONGEST_SLOWDOWN: Duration = Duration::from_secs(600);

/// After so long of nothing but failures an endpoint is disabled.
pub const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The receiver answered.
    Status {
        /// The HTTP status.
        code: u16,
        /// After how long it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    Not,
}

/// What an attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Any 2xx.
    Delivered,
    /// 410: the receiver wants nothing more.
    Gone,
    /// Everything else, redirects included.
    Failed {
        /// After how long to try again; `None` when this was the last attempt.
        retry_in: Option<Duration>,
        /// How long nothing else is sent to this receiver either: it is overloaded.
        slow_for: Option<Duration>,
    },
}

impl Verdict {
    /// Judges the attempt after `made` earlier ones of the schedule; `failures` attempts at this
    /// receiver failed in a row before it.
    #[must_use]
    pub fn of(answered: Answered, made: u32, failures: u32, jitter: Jitter) -> Self {
        let (code, retry_after) = match answered {
            Answered::Status {
                code: 200..=299, ..
            } => return Self::Delivered,
            Answered::Status { code: 410, .. } => return Self::Gone,
            Answered::Status { code, retry_after } => (Some(code), retry_after),
            Answered::Not => (None, None),
        };
        let overloaded = matches!(code, Some(429 | 502 | 503 | 504));
        let asked = retry_after.unwrap_or_default();
        // A second, doubling to a minute, unless the receiver names a time.
        let usual = Duration::from_secs(1 << failures.min(6)).min(Duration::from_secs(60));
        let slow_for = overloaded.then(|| retry_after.unwrap_or(usual).min(LONGEST_SLOWDOWN));
        let retry_in =
            delivery_delay(made + 1, jitter).map(|delay| delay.max(asked.min(LONGEST_RETRY_AFTER)));
        Self::Failed { retry_in, slow_for }
    }
}

/// Whether an endpoint has failed for so long that it is disabled.
#[must_use]
pub fn failed_too_long(failing_since: Timestamp, now: Timestamp) -> bool {
    now.since(failing_since) >= DISABLE_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: Jitter = Jitter(0.5);

    fn answer(code: u16, retry_after_s: Option<u64>) -> Answered {
        Answered::Status {
            code,
            retry_after: retry_after_s.map(Duration::from_secs),
        }
    }

    #[test]
    fn any_2xx_is_success_and_410_is_final() {
        for code in [200, 204, 299] {
            assert_eq!(
                Verdict::of(answer(code, Some(60)), 9, 9, MIDDLE),
                Verdict::Delivered
            );
        }
        assert_eq!(Verdict::of(answer(410, None), 0, 0, MIDDLE), Verdict::Gone);
    }

    #[test]
    fn failures_follow_the_schedule_and_overload_slows_the_receiver() {
        let s = Duration::from_secs;
        let cases = [
            (answer(500, None), 0, 0, Some(s(5)), None),
            (answer(302, None), 1, 0, Some(s(300)), None),
            (answer(400, None), 9, 0, None, None),
            (Answered::Not, 0, 3, Some(s(5)), None),
            (answer(503, None), 0, 0, Some(s(5)), Some(s(1))),
            (answer(502, None), 0, 3, Some(s(5)), Some(s(8))),
            (answer(504, None), 0, 99, Some(s(5)), Some(s(60))),
            (answer(429, Some(30)), 0, 0, Some(s(30)), Some(s(30))),
            (answer(429, Some(0)), 0, 0, Some(s(5)), Some(s(0))),
            (answer(503, Some(3600)), 1, 0, Some(s(3600)), Some(s(600))),
            (answer(500, Some(1_000_000_000)), 0, 0, Some(s(86400)), None),
        ];
        for (answered, made, failures, retry_in, slow_for) in cases {
            let verdict = Verdict::of(answered, made, failures, MIDDLE);
            assert_eq!(
                verdict,
                Verdict::Failed { retry_in, slow_for },
                "{answered:?} {made} {failures}"
            );
        }
    }
}
