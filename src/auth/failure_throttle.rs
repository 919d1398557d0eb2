//! Slows down addresses that send bad credentials: after a burst of refusals, an address must wait.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::unsync::Cache;

use crate::domain::rate::token_bucket::TokenBucket;
use crate::domain::timestamp::Timestamp;

/// How many refusals an address may have in a row.
const BURST: f64 = 20.0;
/// How many more per second.
const RATE_PER_S: f64 = 0.5;
const MAX_ADDRESSES: usize = 10_000;

/// Recent refusals by address.
#[derive(Debug)]
pub(super) struct FailureThrottle(Mutex<Cache<Option<IpAddr>, TokenBucket>>);

impl FailureThrottle {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Cache::new(MAX_ADDRESSES)))
    }

    /// How long this address must wait. `None` if it need not.
    pub(super) fn wait(&self, from: Option<IpAddr>, now: Timestamp) -> Option<Duration> {
        let mut buckets = self.buckets();
        let mut bucket = buckets.get_mut(&from.map(network))?;
        let left = bucket.fill(RATE_PER_S, now);
        (left < 1.0).then(|| bucket.until(1.0, RATE_PER_S))
    }

    /// Counts a refusal.
    pub(super) fn count(&self, from: Option<IpAddr>, now: Timestamp) {
        let mut buckets = self.buckets();
        let address = from.map(network);
        if let Some(mut bucket) = buckets.get_mut(&address) {
            bucket.fill(RATE_PER_S, now);
            bucket.take(1.0);
            return;
        }
        let mut bucket = TokenBucket::full(BURST, now);
        bucket.take(1.0);
        buckets.insert(address, bucket);
    }

    fn buckets(&self) -> MutexGuard<'_, Cache<Option<IpAddr>, TokenBucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv6 client usually has a whole /64, so the network counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_addresses_do_not_make_one_forgotten_that_fails_again_and_again() {
        let now = Timestamp::from_unix_seconds(0.0).unwrap();
        let throttle = FailureThrottle::new();
        let bad = Some(IpAddr::from([203, 0, 113, 7]));
        for _ in 0..40 {
            throttle.count(bad, now);
        }
        assert!(throttle.wait(bad, now).is_some());
        for other in 0..100_000_u32 {
            throttle.count(Some(IpAddr::from(other.to_be_bytes())), now);
            if other % 5000 == 0 {
                assert!(throttle.wait(bad, now).is_some(), "{other}");
            }
        }
        assert!(throttle.buckets().len() <= MAX_ADDRESSES);
    }
}
