//! Addresses from which credentials come that are refused: after a burst of them such an address is
//! put off for a while.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::bucket::TokenBucket;
use crate::domain::timestamp::Timestamp;

/// How many may be refused at once.
const BURST: f64 = 20.0;
/// How many more a second.
const RATE_PER_S: f64 = 0.5;
/// How many addresses are remembered.
const MOST: usize = 10_000;

/// What was refused of late, by address.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Option<IpAddr>, TokenBucket>>);

impl Failures {
    /// How long this address must wait; nothing if it need not.
    pub(super) fn wait(&self, from: Option<IpAddr>, now: Timestamp) -> Option<Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = all.get_mut(&from.map(network))?;
        let left = bucket.fill(RATE_PER_S, now);
        (left < 1.0).then(|| bucket.until(1.0, RATE_PER_S))
    }

    /// One more was refused.
    pub(super) fn count(&self, from: Option<IpAddr>, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, bucket| bucket.fill(RATE_PER_S, now) < BURST);
            if all.len() >= MOST {
                all.clear();
            }
        }
        let bucket = all
            .entry(from.map(network))
            .or_insert_with(|| TokenBucket::full(BURST, now));
        bucket.fill(RATE_PER_S, now);
        bucket.take(1.0);
    }
}

/// Who holds an IPv6 address holds a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
