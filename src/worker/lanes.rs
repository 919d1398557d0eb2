//! Lanes: one per account and region, so that one lane's trouble never slows another.
//!
//! A lane paces the starts and the looks of its account and region ([`Pace`]), lets at most so many
//! exports be in flight, and has a bounded number of steps in hand. Paces live in this process:
//! with many replicas each begins a little slower than AWS allows, and throttling brings all of
//! them down together. How many exports are in flight is counted in the database, which replicas
//! share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::backoff::Jitter;
use crate::domain::pace::{LaneLimits, Pace};
use crate::domain::timestamp::Timestamp;
use crate::store::schedule::{DueLane, Kind, Phase, Quota};

/// How many looks of one lane are in hand at once: a lane whose calls hang holds no more hands than
/// these.
const MOST_LOOKS_IN_HAND: u32 = 16;

/// For how long AWS's word that too many exports run lowers the cap.
const LOWERED_FOR: Duration = Duration::from_secs(60);

/// How many lanes are remembered before idle ones are forgotten.
const MOST_LANES: usize = 20_000;

/// How often the exports that wait for a place in flight are looked through for some that have not
/// been told so.
const TELL_WAITING_EVERY: Duration = Duration::from_secs(1);

/// What this process knows of its lanes.
#[derive(Debug)]
pub struct Lanes {
    limits: LaneLimits,
    lanes: Mutex<HashMap<String, Lane>>,
}

#[derive(Debug)]
struct Lane {
    starts: Pace,
    looks: Pace,
    starting: bool,
    looks_in_hand: u32,
    lowered_cap: Option<(u32, Timestamp)>,
    in_flight_seen: u32,
    waiting_told_at: Option<Timestamp>,
}

/// What may be claimed now.
#[derive(Debug, Default)]
pub struct Plan {
    /// How much of each lane and phase.
    pub quotas: Vec<Quota>,
    /// Lanes whose exports wait for a place in flight and should be told, and what they should be
    /// told.
    pub full: Vec<(String, String)>,
}

impl Lanes {
    /// Lanes with these limits.
    #[must_use]
    pub fn new(limits: LaneLimits) -> Self {
        Self {
            limits,
            lanes: Mutex::default(),
        }
    }

    /// Decides how much of the due work of each lane may be claimed.
    pub fn plan(&self, due: Vec<DueLane>, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let mut lanes = self.lock();
        if lanes.len() > MOST_LANES {
            // Callers can make lanes up. What is forgotten begins anew with full buckets.
            lanes.retain(|_, lane| lane.starting || lane.looks_in_hand > 0);
        }
        for due in due {
            let lane = self.entry(&mut lanes, &due.lane, now);
            let (kind, most) = match due.phase {
                Phase::Follow => (
                    Kind::Follow,
                    lane.looks
                        .available(now)
                        .min(MOST_LOOKS_IN_HAND.saturating_sub(lane.looks_in_hand)),
                ),
                Phase::Start => {
                    let (cap, lowered) = lane.cap(self.limits.most_in_flight, now);
                    lane.in_flight_seen = due.in_flight;
                    let places = cap.saturating_sub(due.in_flight);
                    if places == 0
                        && lane
                            .waiting_told_at
                            .is_none_or(|told| now.since(told) >= TELL_WAITING_EVERY)
                    {
                        lane.waiting_told_at = Some(now);
                        plan.full
                            .push((due.lane.clone(), waiting_reason(due.in_flight, lowered)));
                    }
                    let pace = if lane.starting {
                        0
                    } else {
                        lane.starts.available(now)
                    };
                    // What is in doubt goes first: it holds its place already.
                    if due.doubtful {
                        (Kind::Repeat, pace)
                    } else {
                        (Kind::Start, pace.min(places))
                    }
                }
            };
            if most > 0 {
                plan.quotas.push(Quota {
                    lane: due.lane,
                    kind,
                    most: i64::from(most),
                });
            }
        }
        plan
    }

    /// So much was claimed, for so many calls.
    pub fn claimed(&self, lane: &str, phase: Phase, calls: u32, now: Timestamp) {
        let mut lanes = self.lock();
        let lane = self.entry(&mut lanes, lane, now);
        match phase {
            Phase::Start => {
                lane.starting = true;
                lane.starts.take(calls);
            }
            Phase::Follow => {
                lane.looks_in_hand += calls;
                lane.looks.take(calls);
            }
        }
    }

    /// What was claimed is out of hand; `unused` calls of it were not made.
    pub fn released(&self, lane: &str, phase: Phase, calls: u32, unused: u32) {
        if let Some(lane) = self.lock().get_mut(lane) {
            match phase {
                Phase::Start => {
                    lane.starting = false;
                    lane.starts.give_back(unused);
                }
                Phase::Follow => {
                    lane.looks_in_hand = lane.looks_in_hand.saturating_sub(calls);
                    lane.looks.give_back(unused);
                }
            }
        }
    }

    /// AWS took a call.
    pub fn taken_by_aws(&self, lane: &str, phase: Phase) {
        if let Some(lane) = self.lock().get_mut(lane) {
            lane.pace(phase).taken_by_aws();
        }
    }

    /// AWS throttled a call.
    pub fn throttled(&self, lane: &str, phase: Phase, now: Timestamp, jitter: Jitter) {
        if let Some(lane) = self.lock().get_mut(lane) {
            lane.pace(phase).throttled(now, jitter);
        }
    }

    /// AWS said that too many exports run: what was in flight then is the cap for a while.
    pub fn limit_exceeded(&self, lane: &str, now: Timestamp, jitter: Jitter) {
        if let Some(lane) = self.lock().get_mut(lane) {
            let until = now.plus(jitter.spread(LOWERED_FOR, 0.3));
            lane.lowered_cap = Some((lane.in_flight_seen.min(self.limits.most_in_flight), until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Lane>> {
        // A poisoned lock still holds usable counters.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry<'a>(
        &self,
        lanes: &'a mut HashMap<String, Lane>,
        lane: &str,
        now: Timestamp,
    ) -> &'a mut Lane {
        lanes.entry(lane.to_owned()).or_insert_with(|| Lane {
            starts: Pace::new(self.limits.starts, now),
            looks: Pace::new(self.limits.looks, now),
            starting: false,
            looks_in_hand: 0,
            lowered_cap: None,
            in_flight_seen: 0,
            waiting_told_at: None,
        })
    }
}

impl Lane {
    fn pace(&mut self, phase: Phase) -> &mut Pace {
        match phase {
            Phase::Start => &mut self.starts,
            Phase::Follow => &mut self.looks,
        }
    }

    /// How many exports may be in flight, and whether that is by AWS's word.
    fn cap(&mut self, most: u32, now: Timestamp) -> (u32, bool) {
        match self.lowered_cap {
            Some((cap, until)) if now < until => (cap, true),
            _ => {
                self.lowered_cap = None;
                (most, false)
            }
        }
    }
}

fn waiting_reason(in_flight: u32, lowered: bool) -> String {
    match in_flight {
        _ if lowered => "waiting: AWS runs as many exports of this account as it allows".to_owned(),
        1 => "waiting: 1 export of this account already runs in this region".to_owned(),
        n => format!("waiting: {n} exports of this account already run in this region"),
    }
}
