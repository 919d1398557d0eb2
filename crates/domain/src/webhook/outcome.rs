//! The outcome of a delivery attempt, for the delivery and for its receiver.

use std::time::Duration;

use crate::lifecycle::backoff::{Jitter, delivery_delay};
use crate::retry_after::LONGEST_RETRY_AFTER;
use crate::timestamp::Timestamp;

/// Maximum slowdown of a receiver that answered 429, 502, 503 or 504.
const LONGEST_SLOWDOWN: Duration = Duration::from_secs(600);

/// Endpoints with only failures for this long are disabled.
pub const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);

/// The result of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    Status {
        code: u16,
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    NoAnswer,
}

/// What an attempt means for its delivery and receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Any 2xx.
    Delivered,
    /// 410: the receiver wants no more deliveries.
    Gone,
    /// Everything else, redirects included.
    Failed {
        /// Delay before the next attempt; `None` after the last one.
        retry_in: Option<Duration>,
        /// Delay of all deliveries to this receiver, because it is overloaded.
        slow_for: Option<Duration>,
    },
}

impl DeliveryOutcome {
    /// The outcome of the attempt after `made` earlier ones of the schedule. `failures` counts the
    /// failed attempts in a row at this receiver before it.
    #[must_use]
    pub fn from_attempt(result: AttemptResult, made: u32, failures: u32, jitter: Jitter) -> Self {
        let (code, retry_after) = match result {
            AttemptResult::Status {
                code: 200..=299, ..
            } => return Self::Delivered,
            AttemptResult::Status { code: 410, .. } => return Self::Gone,
            AttemptResult::Status { code, retry_after } => (Some(code), retry_after),
            AttemptResult::NoAnswer => (None, None),
        };
        let overloaded = matches!(code, Some(429 | 502 | 503 | 504));
        let asked = retry_after.unwrap_or_default();
        // A second, doubling to a minute, unless the receiver sends `Retry-After`.
        let usual = Duration::from_secs(1 << failures.min(6)).min(Duration::from_secs(60));
        let slow_for = overloaded.then(|| retry_after.unwrap_or(usual).min(LONGEST_SLOWDOWN));
        let retry_in =
            delivery_delay(made + 1, jitter).map(|delay| delay.max(asked.min(LONGEST_RETRY_AFTER)));
        Self::Failed { retry_in, slow_for }
    }
}

/// Whether an endpoint has failed long enough to be disabled.
#[must_use]
pub fn failed_too_long(failing_since: Timestamp, now: Timestamp) -> bool {
    now.since(failing_since) >= DISABLE_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: Jitter = Jitter(0.5);

    fn answer(code: u16, retry_after_s: Option<u64>) -> AttemptResult {
        AttemptResult::Status {
            code,
            retry_after: retry_after_s.map(Duration::from_secs),
        }
    }

    #[test]
    fn any_2xx_is_success_and_410_is_final() {
        for code in [200, 204, 299] {
            assert_eq!(
                DeliveryOutcome::from_attempt(answer(code, Some(60)), 9, 9, MIDDLE),
                DeliveryOutcome::Delivered
            );
        }
        assert_eq!(
            DeliveryOutcome::from_attempt(answer(410, None), 0, 0, MIDDLE),
            DeliveryOutcome::Gone
        );
    }

    #[test]
    fn failures_follow_the_schedule_and_overload_slows_the_receiver() {
        let s = Duration::from_secs;
        let cases = [
            (answer(500, None), 0, 0, Some(s(5)), None),
            (answer(302, None), 1, 0, Some(s(300)), None),
            (answer(400, None), 9, 0, None, None),
            (AttemptResult::NoAnswer, 0, 3, Some(s(5)), None),
            (answer(503, None), 0, 0, Some(s(5)), Some(s(1))),
            (answer(502, None), 0, 3, Some(s(5)), Some(s(8))),
            (answer(504, None), 0, 99, Some(s(5)), Some(s(60))),
            (answer(429, Some(30)), 0, 0, Some(s(30)), Some(s(30))),
            (answer(429, Some(0)), 0, 0, Some(s(5)), Some(s(0))),
            (answer(503, Some(3600)), 1, 0, Some(s(3600)), Some(s(600))),
            (answer(500, Some(1_000_000_000)), 0, 0, Some(s(86400)), None),
        ];
        for (answered, made, failures, retry_in, slow_for) in cases {
            let verdict = DeliveryOutcome::from_attempt(answered, made, failures, MIDDLE);
            assert_eq!(
                verdict,
                DeliveryOutcome::Failed { retry_in, slow_for },
                "{answered:?} {made} {failures}"
            );
        }
    }
}
