//! The only source of randomness: one seed decides everything in a run.

use std::time::Duration;

use tableferry::domain::lifecycle::backoff::Jitter;
use uuid::Uuid;

#[derive(Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    pub fn of_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.0.f64() < probability
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// A number in this range, both ends included.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.i64(from..=to)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A duration in this range of milliseconds, uniformly distributed.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.0.u64(from * 1000..to * 1000))
    }

    /// A duration in this range of seconds, log-uniformly distributed: 10 s to 100 s is as likely
    /// as 1 h to 10 h.
    pub fn any_scale(&mut self, from_s: f64, to_s: f64) -> Duration {
        let (low, high) = (from_s.ln(), to_s.ln());
        Duration::from_secs_f64((low + (high - low) * self.0.f64()).exp())
    }

    /// A probability: zero or small in most runs, large in some.
    pub fn probability(&mut self) -> f64 {
        self.pick(&[0.0, 0.0, 0.0, 0.02, 0.1, 0.3])
    }

    /// Randomness for the delays that the domain jitters.
    pub fn jitter(&mut self) -> Jitter {
        Jitter(self.0.f64())
    }

    /// A seed for another generator.
    pub fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u128(self.0.u128(..))
    }
}
