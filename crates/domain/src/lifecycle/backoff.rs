//! Delays before the next poll, call or attempt. Pure; randomness is an argument.

use std::time::Duration;

use crate::export::estimate::LikelyEnd;

/// A random number in `0.0..1.0`.
#[derive(Debug, Clone, Copy)]
pub struct Jitter(pub f64);

impl Jitter {
    /// Spreads a delay evenly by ± `share` of itself.
    #[must_use]
    pub fn spread(self, delay: Duration, share: f64) -> Duration {
        delay.mul_f64(1.0 + share * (2.0 * self.0.clamp(0.0, 1.0) - 1.0))
    }
}

/// Bounds of the delay between two polls of one export.
#[derive(Debug, Clone, Copy)]
pub struct PollBounds {
    pub min: Duration,
    pub max: Duration,
}

/// The age of the first poll of an export whose end is not likely yet, in case AWS fails it early.
/// The next such polls come at four times that age, and so on.
const EARLY_POLL: Duration = Duration::from_secs(60);

/// Maximum number of polls in the period in which the end is likely.
const POLLS_WHILE_LIKELY: u32 = 9;

/// Minimum interval of polls while the end is likely, as a fraction of the latest likely age: 14 s
/// for 12 minutes.
const MIN_INTERVAL_DIVISOR: u32 = 50;

/// The delay until the next poll of an export that has run for `age`.
///
/// Without a likely end: a tenth of the age, within the bounds. The end is noticed at most a tenth
/// late, and a long export is not polled every few seconds.
///
/// With a likely end: almost no polls before it, regular polls within it, then polls at growing
/// intervals. The upper bound applies only once the end is likely; an earlier poll could find
/// nothing but an early failure.
#[must_use]
pub fn poll_delay(
    age: Duration,
    likely_end: Option<LikelyEnd>,
    bounds: PollBounds,
    jitter: Jitter,
) -> Duration {
    let Some(likely) = likely_end else {
        return jitter.spread((age / 10).clamp(bounds.min, bounds.max), 0.1);
    };
    let step = ((likely.to.saturating_sub(likely.from)) / POLLS_WHILE_LIKELY)
        .max(likely.to / MIN_INTERVAL_DIVISOR)
        .clamp(bounds.min, bounds.max);
    if age < likely.from {
        // The first poll within the likely period comes within half a step, so that exports that
        // run side by side are not polled at the same time.
        let until_likely = likely.from - age + step.mul_f64(jitter.0.clamp(0.0, 1.0) / 2.0);
        return until_early_poll(age)
            .filter(|early| *early * 3 < until_likely * 2)
            .unwrap_or(until_likely)
            .max(bounds.min);
    }
    let late = age.saturating_sub(likely.to) / 4;
    jitter.spread((step + late).min(bounds.max), 0.1)
}

/// Time until the next poll for early failures.
fn until_early_poll(age: Duration) -> Option<Duration> {
    let mut at = EARLY_POLL;
    while at <= age {
        at = at.checked_mul(4)?;
    }
    Some(at - age)
}

/// The delay until the next poll of a TIMED_OUT export: from a minute, growing to six hours.
#[must_use]
pub fn slow_poll_delay(age: Duration, jitter: Jitter) -> Duration {
    jitter.spread(
        (age / 10).clamp(Duration::from_secs(60), Duration::from_secs(6 * 3600)),
        0.1,
    )
}

/// The delay after the nth failed AWS call in a row (from 1): doubling from a second to five
/// minutes, ± 30 %.
#[must_use]
pub fn retry_delay(failures: u32, jitter: Jitter) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(16));
    jitter.spread(doubled.min(Duration::from_secs(300)), 0.3)
}

/// The delay before the next attempt after `made` failed ones: doubling from 30 seconds to half an
/// hour, ± 30 %, but at most a quarter of `timeouts.create`, because that time-out includes the
/// delay.
#[must_use]
pub fn next_attempt_delay(made: u32, create_timeout: Duration, jitter: Jitter) -> Duration {
    let doubled = Duration::from_secs(30).saturating_mul(1 << made.saturating_sub(1).min(16));
    jitter
        .spread(doubled.min(Duration::from_secs(1800)), 0.3)
        .min(create_timeout / 4)
}

/// Delays in seconds before each attempt of a webhook delivery: ten attempts over 75 h 35 min, the
/// example schedule of Standard Webhooks 1.0.0.
const DELIVERY_DELAYS_S: [u64; 10] = [
    0,
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
];

pub const MAX_DELIVERY_ATTEMPTS: u32 = 10;

/// The delay before the next attempt of a delivery after `made` attempts, ± 20 %; `None` after the
/// last.
#[must_use]
pub fn delivery_delay(made: u32, jitter: Jitter) -> Option<Duration> {
    let seconds = DELIVERY_DELAYS_S.get(usize::try_from(made).ok()?)?;
    Some(jitter.spread(Duration::from_secs(*seconds), 0.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: Jitter = Jitter(0.5);

    #[test]
    fn a_poll_waits_a_tenth_of_the_age_within_bounds() {
        let bounds = PollBounds {
            min: Duration::from_secs(2),
            max: Duration::from_secs(30),
        };
        for (age_s, delay_s) in [(0, 2), (60, 6), (200, 20), (4000, 30)] {
            assert_eq!(
                poll_delay(Duration::from_secs(age_s), None, bounds, MIDDLE),
                Duration::from_secs(delay_s)
            );
        }
    }

    #[test]
    fn polls_gather_where_the_end_is_likely() {
        let bounds = PollBounds {
            min: Duration::from_secs(2),
            max: Duration::from_secs(30),
        };
        let likely = LikelyEnd {
            from: Duration::from_secs(400),
            to: Duration::from_secs(490),
        };
        // Early failures first, then the beginning of what is likely, then steps of a ninth of it,
        // then ever longer ones.
        for (age_s, delay_s) in [
            (0, 60),
            (60, 180),
            (240, 162),
            (402, 10),
            (480, 10),
            (530, 20),
            (600, 30),
        ] {
            let delay = poll_delay(Duration::from_secs(age_s), Some(likely), bounds, MIDDLE);
            assert!(
                delay.abs_diff(Duration::from_secs(delay_s)) < Duration::from_secs(1),
                "{age_s} {delay:?}"
            );
        }
        let soon = LikelyEnd {
            from: Duration::from_secs(1),
            to: Duration::from_secs(2),
        };
        for age_ms in (0..10_000).step_by(100) {
            let delay = poll_delay(Duration::from_millis(age_ms), Some(soon), bounds, MIDDLE);
            assert!(
                (bounds.min..=bounds.max).contains(&delay),
                "{age_ms} {delay:?}"
            );
        }
    }

    #[test]
    fn retries_double_to_five_minutes() {
        for (failures, delay_s) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (4, 8),
            (9, 256),
            (10, 300),
            (u32::MAX, 300),
        ] {
            assert_eq!(
                retry_delay(failures, MIDDLE),
                Duration::from_secs(delay_s),
                "{failures}"
            );
        }
    }

    #[test]
    fn attempts_double_to_half_an_hour_within_the_time_out() {
        for (made, timeout_s, delay_s) in [
            (1, 3600, 30),
            (2, 3600, 60),
            (5, 3600, 480),
            (9, 86_400, 1800),
            (9, 3600, 900),
            (1, 8, 2),
        ] {
            let delay = next_attempt_delay(made, Duration::from_secs(timeout_s), MIDDLE);
            assert_eq!(delay, Duration::from_secs(delay_s), "{made} {timeout_s}");
        }
    }

    #[test]
    fn deliveries_end_after_ten_attempts_over_75_hours_and_a_half() {
        let total: Duration = (0..MAX_DELIVERY_ATTEMPTS)
            .map(|made| delivery_delay(made, MIDDLE).unwrap())
            .sum();
        assert_eq!(total, Duration::from_secs(75 * 3600 + 35 * 60 + 5));
        assert_eq!(delivery_delay(MAX_DELIVERY_ATTEMPTS, MIDDLE), None);
    }
}
