//! The invariants that are checked after every event and at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use tableferry::domain::export::event::EventKind;
use tableferry::domain::export::{Export, ExportState, Failed, TimedOut};
use tableferry::domain::ids::ExportId;
use tableferry::domain::lifecycle::timing::{AWS_MEMORY, DOUBT_SEARCHED_FOR};
use tableferry::domain::timestamp::Timestamp;
use tableferry::domain::webhook::event_type::WebhookEventType;

use super::model_aws::{ModelAws, request_no};
use super::model_store::ModelStore;

/// An export's state, in the detail that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Pending,
    InProgress,
    Completed,
    /// FAILED, as reported by AWS.
    FailedByAws,
    /// FAILED because AWS refused to start it.
    Refused,
    Cancelled,
    /// TIMED_OUT, accepted by AWS and still followed.
    TimedOutFollowed,
    /// TIMED_OUT before AWS accepted it.
    TimedOutUnstarted,
    /// TIMED_OUT, and a start was not answered.
    TimedOutInDoubt,
}

impl Standing {
    pub fn of(export: &Export) -> Self {
        match &export.state {
            ExportState::Pending => Self::Pending,
            ExportState::InProgress(_) => Self::InProgress,
            ExportState::Completed(..) => Self::Completed,
            ExportState::Failed(Failed::ByAws { .. }) => Self::FailedByAws,
            ExportState::Failed(Failed::Refused { .. }) => Self::Refused,
            ExportState::Cancelled => Self::Cancelled,
            ExportState::TimedOut(TimedOut::Accepted(_)) => Self::TimedOutFollowed,
            ExportState::TimedOut(TimedOut::NotStarted) => Self::TimedOutUnstarted,
            ExportState::TimedOut(TimedOut::InDoubt) => Self::TimedOutInDoubt,
        }
    }

    /// The diagram in `crates/domain/src/export/mod.rs`, plus the steps that keep the state.
    fn may_become(self, next: Self) -> bool {
        use Standing::{
            Cancelled, Completed, FailedByAws, InProgress, Pending, Refused, TimedOutFollowed,
            TimedOutInDoubt, TimedOutUnstarted,
        };
        match self {
            Pending => next != TimedOutFollowed,
            InProgress => matches!(
                next,
                InProgress | Completed | FailedByAws | TimedOutFollowed
            ),
            TimedOutFollowed => matches!(next, TimedOutFollowed | Completed | FailedByAws),
            TimedOutInDoubt => matches!(
                next,
                TimedOutInDoubt | TimedOutFollowed | Completed | FailedByAws
            ),
            Completed | FailedByAws | Refused | Cancelled | TimedOutUnstarted => false,
        }
    }

    /// It states that AWS runs nothing for this request and never will.
    fn says_never_started(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Cancelled | Self::TimedOutUnstarted
        )
    }
}

/// The last observed state of an export.
#[derive(Debug)]
struct Seen {
    version: i32,
    standing: Standing,
    announced: Vec<&'static str>,
}

/// The maximum interval between polls of TIMED_OUT exports, plus some tolerance.
const SLOWEST_POLL: Duration = Duration::from_secs(7 * 3600);

#[derive(Debug, Default)]
pub struct Witness {
    seen: BTreeMap<ExportId, Seen>,
}

/// The violation, in words.
pub type Verdict = Result<(), String>;

impl Witness {
    /// Records that a client deleted an export.
    pub fn deleted(&mut self, id: ExportId) {
        self.seen.remove(&id);
    }

    /// All invariants that must hold after every event.
    pub fn check(&mut self, store: &ModelStore, aws: &ModelAws) -> Verdict {
        if let Some(lost) = self.seen.keys().find(|id| !store.exports.contains_key(id)) {
            return Err(format!(
                "{} is lost: it was accepted, and its client did not delete it",
                name(*lost)
            ));
        }
        if let Some((number, starts)) = aws
            .accepted_by_request
            .iter()
            .find(|(_, starts)| **starts > 1)
        {
            return Err(format!(
                "request {number} was started {starts} times at AWS"
            ));
        }
        if aws.conflicts > 0 {
            return Err("a token was sent with changed parameters".to_owned());
        }
        for (id, export) in &store.exports {
            self.check_history(*id, export, store)?;
            check_schedule(*id, export, store)?;
            check_against_aws(*id, export, aws)?;
        }
        Ok(())
    }

    /// Versions, transitions, events and deliveries.
    fn check_history(&mut self, id: ExportId, export: &Export, store: &ModelStore) -> Verdict {
        let standing = Standing::of(export);
        let new = || Seen {
            version: 0,
            standing: Standing::Pending,
            announced: Vec::new(),
        };
        let seen = self.seen.entry(id).or_insert_with(new);
        match export.version - seen.version {
            0 if standing == seen.standing => {}
            0 => {
                return Err(format!(
                    "{} became {standing:?} without a new version",
                    name(id)
                ));
            }
            1 => {
                if !seen.standing.may_become(standing) {
                    return Err(format!(
                        "{} went from {:?} to {standing:?}",
                        name(id),
                        seen.standing
                    ));
                }
                let Some((sequence, kind)) = store.events.get(&id).and_then(|events| events.last())
                else {
                    return Err(format!("{} changed without an event", name(id)));
                };
                if *sequence != export.version {
                    return Err(format!(
                        "{} has version {}, its last event {sequence}",
                        name(id),
                        export.version
                    ));
                }
                if WebhookEventType::from_event(*kind).is_some_and(WebhookEventType::is_end)
                    && export.request.callback.is_some()
                {
                    seen.announced.push(kind.as_str());
                }
                (seen.version, seen.standing) = (export.version, standing);
            }
            _ => {
                return Err(format!(
                    "{} went from version {} to {}",
                    name(id),
                    seen.version,
                    export.version
                ));
            }
        }
        let deliveries = store.deliveries.get(&id).map_or(&[][..], Vec::as_slice);
        if deliveries != seen.announced {
            return Err(format!(
                "{} has the deliveries {deliveries:?}; its end states were {:?}",
                name(id),
                seen.announced
            ));
        }
        Ok(())
    }

    /// The invariants after all faults were healed at `healed_at` and no work is left.
    pub fn check_end(&self, store: &ModelStore, aws: &ModelAws, healed_at: Timestamp) -> Verdict {
        for (id, export) in &store.exports {
            let standing = Standing::of(export);
            if !export.status().is_end() {
                return Err(format!("{} never ended: it is {standing:?}", name(*id)));
            }
            let number = request_no(&export.request);
            // AWS reports an end for 90 days; the slow poll of a TIMED_OUT export may come that
            // long after it.
            let told_until = |began_at: Timestamp| began_at.plus(AWS_MEMORY - SLOWEST_POLL);
            let hearable = |began_at, ends_at| healed_at.max(ends_at) < told_until(began_at);
            for started in aws.accepted.iter().filter(|started| {
                started.request_no == number && hearable(started.began_at, started.ends_at)
            }) {
                let wanted = if started.ends_well {
                    Standing::Completed
                } else {
                    Standing::FailedByAws
                };
                // A search may have missed it while AWS hid it, until the search was given up.
                let given_up = export.deadline().plus(DOUBT_SEARCHED_FOR - SLOWEST_POLL);
                if standing == Standing::TimedOutInDoubt && healed_at >= given_up {
                    continue;
                }
                if standing != wanted {
                    return Err(format!(
                        "{} is {standing:?}, but AWS says {wanted:?}",
                        name(*id)
                    ));
                }
            }
        }
        Ok(())
    }
}

/// An export that has not ended is scheduled; an ended one is not.
fn check_schedule(id: ExportId, export: &Export, store: &ModelStore) -> Verdict {
    let forgotten = store
        .events
        .get(&id)
        .and_then(|events| events.last())
        .is_some_and(|(_, kind)| *kind == EventKind::Forgotten);
    let wanted = match Standing::of(export) {
        Standing::Pending | Standing::InProgress => true,
        Standing::TimedOutFollowed | Standing::TimedOutInDoubt => !forgotten,
        _ => false,
    };
    match (wanted, store.schedule.contains_key(&id)) {
        (true, false) => Err(format!(
            "{} is {:?}, but it is not scheduled",
            name(id),
            Standing::of(export)
        )),
        (false, true) => Err(format!(
            "{} has ended as {:?}, but is still looked at",
            name(id),
            Standing::of(export)
        )),
        _ => Ok(()),
    }
}

/// Every recorded start is true at AWS.
fn check_against_aws(id: ExportId, export: &Export, aws: &ModelAws) -> Verdict {
    let number = request_no(&export.request);
    let standing = Standing::of(export);
    // AWS remembers exports for 90 days: what it forgot before the service gave up cannot be known.
    let knowable = || {
        aws.accepted
            .iter()
            .any(|started| started.request_no == number && started.is_remembered(export.updated_at))
    };
    if standing.says_never_started() && aws.accepted_by_request.contains_key(&number) && knowable()
    {
        return Err(format!(
            "{} is {standing:?}, but AWS has accepted its start",
            name(id)
        ));
    }
    let Some(accepted) = export.state.accepted() else {
        return Ok(());
    };
    match aws
        .accepted
        .iter()
        .find(|started| started.arn == accepted.arn)
    {
        Some(started) if started.request_no == number => Ok(()),
        _ => Err(format!(
            "{} follows {}, which AWS did not start for it",
            name(id),
            accepted.arn.as_str()
        )),
    }
}

/// An export's name in a trace.
pub fn name(id: ExportId) -> String {
    format!("export {}", id.0.as_u128())
}
