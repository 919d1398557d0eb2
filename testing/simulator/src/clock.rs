//! The simulator's clock: real time plus an offset. It can be frozen.
//!
//! This is the only file that reads the system time. All other code receives a [`Clock`] or a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

/// A clock that can be moved forward and frozen. Clones share the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    offset: time::Duration,
    frozen_at: Option<OffsetDateTime>,
}

impl Clock {
    /// A clock that is `offset` ahead of real time, running or frozen.
    #[must_use]
    pub fn new(offset: time::Duration, frozen: bool) -> Self {
        let frozen_at = frozen.then(|| whole_micros(Self::real_time() + offset));
        Self(Arc::new(Mutex::new(State { offset, frozen_at })))
    }

    /// The current time, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        let state = self.state();
        state
            .frozen_at
            .unwrap_or_else(|| whole_micros(Self::real_time() + state.offset))
    }

    /// Real time, independent of this clock. Presigned URLs are made by clients, which know only
    /// real time.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for the time"
    )]
    pub fn real_time() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    #[must_use]
    pub fn offset(&self) -> time::Duration {
        let state = self.state();
        state
            .frozen_at
            .map_or(state.offset, |at| at - Self::real_time())
    }

    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.state().frozen_at.is_some()
    }

    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        let mut state = self.state();
        match &mut state.frozen_at {
            Some(at) => *at = at.saturating_add(by),
            None => state.offset = state.offset.saturating_add(by),
        }
    }

    /// Freezes the clock, or lets it continue from where it stopped.
    pub fn freeze(&self, frozen: bool) {
        let mut state = self.state();
        match (frozen, state.frozen_at) {
            (true, None) => state.frozen_at = Some(whole_micros(Self::real_time() + state.offset)),
            (false, Some(at)) => {
                state.offset = at - Self::real_time();
                state.frozen_at = None;
            }
            _ => {}
        }
    }

    /// How long to sleep until `due`; `None` while frozen, because time does not pass then.
    #[must_use]
    pub fn until(&self, due: OffsetDateTime) -> Option<Duration> {
        (!self.is_frozen()).then(|| Duration::try_from(due - self.now()).unwrap_or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole_micros(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_microsecond(at.microsecond()).unwrap_or(at)
}

/// Microseconds since the epoch, the precision of item versions.
pub(crate) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// Seconds since the epoch with milliseconds, the form of AWS's JSON protocol.
pub(crate) fn epoch_seconds(at: OffsetDateTime) -> serde_json::Value {
    let millis = at.unix_timestamp_nanos() / 1_000_000;
    if millis % 1_000 == 0 {
        serde_json::json!(at.unix_timestamp())
    } else {
        #[expect(
            clippy::cast_precision_loss,
            reason = "13 digits of milliseconds fit a double"
        )]
        let seconds = millis as f64 / 1_000.0;
        serde_json::json!(seconds)
    }
}

/// A time from epoch seconds, with fractions to the microsecond; `None` if it is out of range.
pub(crate) fn from_epoch_seconds(seconds: f64) -> Option<OffsetDateTime> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an overflow saturates and the calendar refuses it"
    )]
    let micros = (seconds * 1e6).round() as i128;
    OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1_000)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let clock = Clock::new(time::Duration::ZERO, true);
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(clock.now(), before + time::Duration::hours(1));
        assert!(clock.until(before).is_none());
    }

    #[test]
    fn thawing_goes_on_from_where_it_stood() {
        let clock = Clock::new(time::Duration::ZERO, true);
        clock.advance(Duration::from_secs(1_000));
        let frozen = clock.now();
        clock.freeze(false);
        assert!(clock.now() >= frozen);
        assert!(clock.offset() > time::Duration::seconds(900));
    }

    #[test]
    fn epoch_seconds_keep_milliseconds() {
        let at = from_epoch_seconds(1_700_000_000.123).unwrap();
        assert_eq!(epoch_seconds(at).to_string(), "1700000000.123");
        let at = from_epoch_seconds(1_700_000_000.0).unwrap();
        assert_eq!(epoch_seconds(at).to_string(), "1700000000");
        assert!(from_epoch_seconds(1e300).is_none());
    }
}
