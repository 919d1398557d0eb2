//! Lanes: one per account and region, so that trouble in one never slows another.
//!
//! A lane paces the starts and the polls of its account and region ([`Pace`]), limits the number of
//! exports in flight, and uses a limited number of slots. Each process has its own paces: with many
//! replicas, configure lower ones; if AWS throttles, the paces of all replicas go down. The number
//! of exports in flight is counted in the database, which the replicas share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::lifecycle::backoff::Jitter;
use crate::domain::lifecycle::step::WAITS_FOR_QUOTA;
use crate::domain::rate::pace::{LaneLimits, Pace};
use crate::domain::timestamp::Timestamp;
use crate::store::schedule::{DueLane, ExportPhase, Kind, Quota};

/// The maximum number of polls of one lane at a time. A lane whose calls hang uses no more slots.
const MAX_POLLS_IN_FLIGHT: u32 = 16;

/// How long the maximum of exports in flight stays lowered after AWS refused a start because of it.
const LOWERED_FOR: Duration = Duration::from_secs(60);

/// Above this number, idle lanes are forgotten.
const MAX_LANES: usize = 20_000;

/// How often a full lane gives its waiting exports a status reason.
const EXPLAIN_WAITING_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Lanes {
    limits: LaneLimits,
    lanes: Mutex<HashMap<String, Lane>>,
}

#[derive(Debug)]
struct Lane {
    starts: Pace,
    polls: Pace,
    starting: bool,
    polls_in_flight: u32,
    lowered_cap: Option<(u32, Timestamp)>,
    in_flight_seen: u32,
    waiting_explained_at: Option<Timestamp>,
}

/// What may be claimed now.
#[derive(Debug, Default)]
pub struct Plan {
    pub quotas: Vec<Quota>,
    /// Full lanes whose waiting exports need a status reason, and the reason.
    pub full: Vec<(String, String)>,
}

impl Lanes {
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
        if lanes.len() > MAX_LANES {
            // Callers can invent lanes. A forgotten lane starts again with full buckets.
            lanes.retain(|_, lane| lane.starting || lane.polls_in_flight > 0);
        }
        for due in due {
            let lane = self.entry(&mut lanes, &due.lane, now);
            let (kind, maximum) = match due.phase {
                ExportPhase::Poll => (
                    Kind::Poll,
                    lane.polls
                        .available(now)
                        .min(MAX_POLLS_IN_FLIGHT.saturating_sub(lane.polls_in_flight)),
                ),
                ExportPhase::Start => {
                    let (cap, lowered) = lane.cap(self.limits.max_in_flight, now);
                    lane.in_flight_seen = due.in_flight;
                    let free = cap.saturating_sub(due.in_flight);
                    if free == 0
                        && lane
                            .waiting_explained_at
                            .is_none_or(|at| now.since(at) >= EXPLAIN_WAITING_EVERY)
                    {
                        lane.waiting_explained_at = Some(now);
                        plan.full
                            .push((due.lane.clone(), waiting_reason(due.in_flight, lowered)));
                    }
                    let pace = if lane.starting {
                        0
                    } else {
                        lane.starts.available(now)
                    };
                    // Starts in doubt go first: they are counted as in flight already.
                    if due.doubtful {
                        (Kind::StartInDoubt, pace)
                    } else {
                        (Kind::Start, pace.min(free))
                    }
                }
            };
            if maximum > 0 {
                plan.quotas.push(Quota {
                    lane: due.lane,
                    kind,
                    max: i64::from(maximum),
                });
            }
        }
        plan
    }

    /// Exports were claimed that need this number of calls.
    pub fn claimed(&self, lane: &str, phase: ExportPhase, calls: u32, now: Timestamp) {
        let mut lanes = self.lock();
        let lane = self.entry(&mut lanes, lane, now);
        match phase {
            ExportPhase::Start => {
                lane.starting = true;
                lane.starts.take(calls);
            }
            ExportPhase::Poll => {
                lane.polls_in_flight += calls;
                lane.polls.take(calls);
            }
        }
    }

    /// The work on a claim ended; `unused` of its calls were not made.
    pub fn released(&self, lane: &str, phase: ExportPhase, calls: u32, unused: u32) {
        if let Some(lane) = self.lock().get_mut(lane) {
            match phase {
                ExportPhase::Start => {
                    lane.starting = false;
                    lane.starts.give_back(unused);
                }
                ExportPhase::Poll => {
                    lane.polls_in_flight = lane.polls_in_flight.saturating_sub(calls);
                    lane.polls.give_back(unused);
                }
            }
        }
    }

    /// AWS answered a call without throttling it.
    pub fn on_success(&self, lane: &str, phase: ExportPhase) {
        if let Some(lane) = self.lock().get_mut(lane) {
            lane.pace(phase).on_success();
        }
    }

    pub fn throttled(&self, lane: &str, phase: ExportPhase, now: Timestamp, jitter: Jitter) {
        if let Some(lane) = self.lock().get_mut(lane) {
            lane.pace(phase).throttled(now, jitter);
        }
    }

    /// AWS said that too many exports run: the number in flight is the maximum for a while.
    pub fn limit_exceeded(&self, lane: &str, now: Timestamp, jitter: Jitter) {
        if let Some(lane) = self.lock().get_mut(lane) {
            let until = now.plus(jitter.spread(LOWERED_FOR, 0.3));
            lane.lowered_cap = Some((lane.in_flight_seen.min(self.limits.max_in_flight), until));
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
            polls: Pace::new(self.limits.polls, now),
            starting: false,
            polls_in_flight: 0,
            lowered_cap: None,
            in_flight_seen: 0,
            waiting_explained_at: None,
        })
    }
}

impl Lane {
    fn pace(&mut self, phase: ExportPhase) -> &mut Pace {
        match phase {
            ExportPhase::Start => &mut self.starts,
            ExportPhase::Poll => &mut self.polls,
        }
    }

    /// The maximum of exports in flight, and whether AWS lowered it.
    fn cap(&mut self, maximum: u32, now: Timestamp) -> (u32, bool) {
        match self.lowered_cap {
            Some((cap, until)) if now < until => (cap, true),
            _ => {
                self.lowered_cap = None;
                (maximum, false)
            }
        }
    }
}

fn waiting_reason(in_flight: u32, lowered: bool) -> String {
    match in_flight {
        _ if lowered => WAITS_FOR_QUOTA.to_owned(),
        1 => "waiting: 1 export of this account already runs in this region".to_owned(),
        n => format!("waiting: {n} exports of this account already run in this region"),
    }
}
