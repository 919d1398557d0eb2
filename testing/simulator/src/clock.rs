//! The simulator's clock: real time plus an offset, and a way to stand still.
//!
//! This is the only file that asks the system for the time. Everything else is handed a [`Clock`]
//! or a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

/// A clock that can be moved forward and frozen. Clones share one time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    offset: time::Duration,
    frozen_at: Option<OffsetDateTime>,
}

impl Clock {
    /// A clock that is `offset` ahead of real time, running or frozen.
    #[must_use]
    pub fn new(offset: time::Duration, frozen: bool) -> Self {
        let frozen_at = frozen.then(|| whole_micros(Self::wall() + offset));
        Self(Arc::new(Mutex::new(Hands { offset, frozen_at })))
    }

    /// The time now, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        let hands = self.hands();
        hands
            .frozen_at
            .unwrap_or_else(|| whole_micros(Self::wall() + hands.offset))
    }

    /// Real time, whatever this clock says: presigned URLs are made by clients, which know no
    /// other.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for the time"
    )]
    pub fn wall() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    /// How far this clock is ahead of real time.
    #[must_use]
    pub fn offset(&self) -> time::Duration {
        let hands = self.hands();
        hands.frozen_at.map_or(hands.offset, |at| at - Self::wall())
    }

    /// Whether the clock stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.hands().frozen_at.is_some()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        let mut hands = self.hands();
        match &mut hands.frozen_at {
            Some(at) => *at = at.saturating_add(by),
            None => hands.offset = hands.offset.saturating_add(by),
        }
    }

    /// Stops the clock, or lets it run on from where it stands.
    pub fn freeze(&self, frozen: bool) {
        let mut hands = self.hands();
        match (frozen, hands.frozen_at) {
            (true, None) => hands.frozen_at = Some(whole_micros(Self::wall() + hands.offset)),
            (false, Some(at)) => {
                hands.offset = at - Self::wall();
                hands.frozen_at = None;
            }
            _ => {}
        }
    }

    /// How long to sleep until `due`; `None` while frozen, since no sleep would bring it nearer.
    #[must_use]
    pub fn until(&self, due: OffsetDateTime) -> Option<Duration> {
        (!self.is_frozen()).then(|| Duration::try_from(due - self.now()).unwrap_or_default())
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole_micros(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_microsecond(at.microsecond()).unwrap_or(at)
}

/// Microseconds since the epoch: the precision in which item versions are kept.
pub(crate) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// Seconds since the epoch with milliseconds, as AWS's JSON protocol writes a time.
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

/// A time from epoch seconds, fractions to the microsecond; `None` when no calendar has it.
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
