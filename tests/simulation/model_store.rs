//! A model of the SQL in `crates/store`, on maps. Each function is one transaction.
//! `tests/it/differential` compares it with the SQL.

use std::collections::BTreeMap;
use std::time::Duration;

use tableferry::domain::export::event::EventKind;
use tableferry::domain::export::{Export, ExportStatus};
use tableferry::domain::ids::ExportId;
use tableferry::domain::lifecycle::outcome::{Change, Claimed, NextPoll, Outcome};
use tableferry::domain::lifecycle::timing::{POLL_LEASE, START_LEASE};
use tableferry::domain::lifecycle::transition;
use tableferry::domain::timestamp::Timestamp;
use tableferry::domain::webhook::announcement::Announcement;

use super::rules::{ClaimFence, Rules};

/// A row of `export_schedule`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduled {
    /// Phase START, otherwise FOLLOW.
    pub starting: bool,
    pub due_at: Timestamp,
    /// The interval between two polls.
    pub delay: Duration,
    /// Incremented by every claim.
    pub claims: i32,
    /// Consecutive failed calls.
    pub failures: u32,
    /// Since when a start may be in flight.
    pub start_sent_at: Option<Timestamp>,
    /// When `timeouts.create` ends; moved forward by the claim that handles it.
    pub deadline_at: Timestamp,
    /// It is TIMED_OUT and followed slowly.
    pub timed_out: bool,
    /// The event that it waits for a slot in flight was already written.
    pub told_waiting: bool,
}

/// The maximum number of claims for each kind of due work.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// Starts in doubt.
    pub starts_in_doubt: usize,
    /// Starts that were never sent.
    pub starts: usize,
    pub polls: usize,
}

/// What a claim returns before the exports are read.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    pub id: ExportId,
    /// Claimed in phase START.
    pub starting: bool,
    /// Claimed because it waited too long for its start.
    pub overdue: bool,
    claim: i32,
    failures: u32,
    in_doubt: bool,
    planned_delay: Duration,
}

impl Ticket {
    pub fn in_words(&self) -> String {
        let phase = if self.starting { "START" } else { "FOLLOW" };
        format!(
            "{phase}, claim {}, failures {}, in doubt: {}, next in {:?}",
            self.claim, self.failures, self.in_doubt, self.planned_delay
        )
    }
}

/// The export was changed, or claimed by another worker, since the writer read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict;

#[derive(Debug, Default)]
pub struct ModelStore {
    /// `exports`.
    pub exports: BTreeMap<ExportId, Export>,
    /// `exports.idempotency_key`.
    pub keys: BTreeMap<u32, ExportId>,
    /// `export_schedule`.
    pub schedule: BTreeMap<ExportId, Scheduled>,
    /// `export_events`: sequence and kind.
    pub events: BTreeMap<ExportId, Vec<(i32, EventKind)>>,
    /// `webhook_deliveries`: the event of each.
    pub deliveries: BTreeMap<ExportId, Vec<&'static str>>,
}

impl ModelStore {
    /// `accept`: stores an export, or finds the one with this idempotency key.
    pub fn accept(&mut self, now: Timestamp, export: Export, key: u32) -> ExportId {
        if let Some(known) = self.keys.get(&key) {
            return *known;
        }
        let (id, deadline_at) = (export.id, export.deadline());
        self.keys.insert(key, id);
        self.events
            .insert(id, vec![(export.version, EventKind::Created)]);
        self.schedule.insert(
            id,
            Scheduled {
                starting: true,
                due_at: now,
                delay: Duration::ZERO,
                claims: 0,
                failures: 0,
                start_sent_at: None,
                deadline_at,
                timed_out: false,
                told_waiting: false,
            },
        );
        self.exports.insert(id, export);
        id
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        let due = |row: &Scheduled| {
            if row.starting && row.start_sent_at.is_none() {
                row.due_at.min(row.deadline_at)
            } else {
                row.due_at
            }
        };
        self.schedule.values().map(due).min()
    }

    /// `claim_overdue`: claims exports that have waited for their start longer than allowed by
    /// their worker's clock, and moves their deadline and their due time forward, so that no worker
    /// starts them meanwhile.
    pub fn claim_overdue(
        &mut self,
        now: Timestamp,
        workers_now: Timestamp,
        limit: usize,
    ) -> Vec<Ticket> {
        let rows = self.schedule.iter().filter(|(_, row)| {
            row.starting && row.start_sent_at.is_none() && row.deadline_at <= workers_now
        });
        let mut overdue: Vec<_> = rows.map(|(id, row)| (row.deadline_at, *id)).collect();
        overdue.sort();
        let claimed = overdue.into_iter().take(limit).filter_map(|(_, id)| {
            let row = self.schedule.get_mut(&id)?;
            row.claims += 1;
            row.due_at = row.due_at.max(now.plus(START_LEASE));
            row.deadline_at = row.deadline_at.plus(START_LEASE);
            let (claim, failures) = (row.claims, row.failures);
            Some(Ticket {
                id,
                starting: true,
                overdue: true,
                claim,
                failures,
                in_doubt: false,
                planned_delay: row.delay,
            })
        });
        claimed.collect()
    }

    /// The claim of `claim_exports`: takes due rows and moves their due time forward. Starts are
    /// claimed in the order of their exports, those in doubt first; polls in the order of their due
    /// times. Exports that are overdue by the worker's clock are left to
    /// [`ModelStore::claim_overdue`].
    pub fn claim(
        &mut self,
        now: Timestamp,
        workers_now: Timestamp,
        quotas: Quotas,
        rules: &Rules,
    ) -> Vec<Ticket> {
        let due = |wanted: fn(&Scheduled) -> bool| {
            let rows = self
                .schedule
                .iter()
                .filter(move |(_, row)| row.due_at <= now && wanted(row));
            rows.map(|(id, row)| (row.due_at, *id, row.deadline_at))
                .collect::<Vec<_>>()
        };
        let starts_in_doubt = due(|row| row.starting && row.start_sent_at.is_some());
        let mut starts = due(|row| row.starting && row.start_sent_at.is_none());
        starts.retain(|(_, _, deadline_at)| *deadline_at > workers_now);
        let mut polls = due(|row| !row.starting);
        polls.sort();
        let kinds = [
            (starts_in_doubt, quotas.starts_in_doubt),
            (starts, quotas.starts),
            (polls, quotas.polls),
        ];
        let picked = kinds
            .into_iter()
            .flat_map(|(rows, most)| rows.into_iter().take(most).map(|(_, id, _)| id));
        picked
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|id| self.claim_one(id, now, rules))
            .collect()
    }

    fn claim_one(&mut self, id: ExportId, now: Timestamp, rules: &Rules) -> Option<Ticket> {
        let row = self.schedule.get_mut(&id)?;
        let planned_delay = if row.starting {
            START_LEASE
        } else {
            row.delay.min(POLL_LEASE)
        };
        let in_doubt = row.start_sent_at.is_some();
        row.claims += 1;
        row.due_at = now.plus(planned_delay);
        if row.starting && rules.claim_marks_start {
            row.start_sent_at = row.start_sent_at.or(Some(now));
        }
        let (claim, failures) = (row.claims, row.failures);
        Some(Ticket {
            id,
            starting: row.starting,
            overdue: false,
            claim,
            failures,
            in_doubt,
            planned_delay,
        })
    }

    /// Whether another worker may claim the export before this time, while this claim is held. An
    /// export that its client deleted meanwhile cannot be claimed.
    pub fn may_be_claimed_before(&self, ticket: &Ticket, time: Timestamp) -> bool {
        self.schedule
            .get(&ticket.id)
            .is_some_and(|row| row.claims != ticket.claim || row.due_at < time)
    }

    /// The second half of `claim_exports`: the exports are read after the claim was committed, so
    /// they may be newer.
    pub fn read(&self, ticket: &Ticket) -> Option<Claimed> {
        let export = self.exports.get(&ticket.id)?.clone();
        let Ticket {
            claim,
            failures,
            in_doubt,
            planned_delay,
            ..
        } = *ticket;
        Some(Claimed {
            export,
            claim,
            failures,
            in_doubt,
            planned_delay,
        })
    }

    /// `record`: writes the outcome of a step atomically. A poll that found no change and is on
    /// schedule writes nothing.
    pub fn record(
        &mut self,
        now: Timestamp,
        claimed: &Claimed,
        outcome: &Outcome,
        rules: &Rules,
    ) -> Result<(), Conflict> {
        if let (
            None,
            NextPoll::After {
                delay, failures, ..
            },
        ) = (&outcome.change, outcome.next)
        {
            let strays = delay.abs_diff(claimed.planned_delay) > claimed.planned_delay / 4;
            if failures == claimed.failures && !strays {
                return Ok(());
            }
        }
        let id = claimed.export.id;
        let row = self.rescheduled(now, claimed, outcome, rules)?;
        if let Some(change) = &outcome.change {
            self.write_change(claimed.export.version, change, rules)?;
        }
        match row {
            Some(row) => self.schedule.insert(id, row),
            None => self.schedule.remove(&id),
        };
        if rules.delivers {
            self.deliveries
                .entry(id)
                .or_default()
                .extend(outcome.change.as_ref().and_then(announced));
        }
        Ok(())
    }

    /// The row of the schedule after `record`, if there is one.
    fn rescheduled(
        &self,
        now: Timestamp,
        claimed: &Claimed,
        outcome: &Outcome,
        rules: &Rules,
    ) -> Result<Option<Scheduled>, Conflict> {
        let id = claimed.export.id;
        let row = self.schedule.get(&id).ok_or(Conflict)?;
        let claim_matches = match rules.claim_fence {
            ClaimFence::Off => true,
            ClaimFence::Starts => row.claims == claimed.claim || !row.starting,
            ClaimFence::All => row.claims == claimed.claim,
        };
        let unchanged = !rules.version_fence
            || self
                .exports
                .get(&id)
                .is_some_and(|export| export.version == claimed.export.version);
        if !claim_matches || !unchanged {
            return Err(Conflict);
        }
        let NextPoll::After {
            delay,
            failures,
            in_doubt,
        } = outcome.next
        else {
            return Ok(None);
        };
        let status = outcome
            .change
            .as_ref()
            .map_or(claimed.export.status(), |change| change.export.status());
        let starting = status == ExportStatus::Pending;
        let start_sent_at = (starting && in_doubt).then(|| row.start_sent_at.unwrap_or(now));
        // The column holds whole milliseconds.
        let delay = Duration::from_millis(u64::try_from(delay.as_millis()).expect("a delay"));
        let timed_out = status == ExportStatus::TimedOut;
        Ok(Some(Scheduled {
            starting,
            due_at: now.plus(delay),
            delay,
            failures,
            start_sent_at,
            timed_out,
            ..*row
        }))
    }

    /// `unknown_arns`: whether a stored export has this AWS ARN.
    pub fn knows(&self, arn: &str) -> bool {
        self.exports.values().any(|export| {
            export
                .state
                .accepted()
                .is_some_and(|accepted| accepted.arn.as_str() == arn)
        })
    }

    /// The update, fenced by the version that the writer read.
    fn write_change(
        &mut self,
        seen_version: i32,
        change: &Change,
        rules: &Rules,
    ) -> Result<(), Conflict> {
        let export = self.exports.get_mut(&change.export.id).ok_or(Conflict)?;
        if rules.version_fence && export.version != seen_version {
            return Err(Conflict);
        }
        *export = change.export.clone();
        self.events
            .entry(export.id)
            .or_default()
            .push((export.version, change.event));
        Ok(())
    }

    /// `renew`: restarts the lease of a claim, unless another worker has claimed the export since.
    pub fn renew(&mut self, now: Timestamp, claimed: &Claimed) -> Result<(), Conflict> {
        let row = self
            .schedule
            .get_mut(&claimed.export.id)
            .filter(|row| row.claims == claimed.claim)
            .ok_or(Conflict)?;
        row.due_at = now.plus(START_LEASE);
        Ok(())
    }

    /// `unclaim`: releases a claimed export for which AWS was not called.
    pub fn unclaim(&mut self, now: Timestamp, claimed: &Claimed, delay: Duration) {
        if let Some(row) = self
            .schedule
            .get_mut(&claimed.export.id)
            .filter(|row| row.claims == claimed.claim)
        {
            row.due_at = now.plus(delay);
            row.start_sent_at = row.start_sent_at.filter(|_| claimed.in_doubt);
        }
    }

    /// `mark_delayed`: writes, once, the event that an export waits for a slot in flight.
    pub fn mark_delayed(&mut self, now: Timestamp) {
        for (id, row) in &mut self.schedule {
            if row.starting && !row.told_waiting && row.start_sent_at.is_none() && row.due_at <= now
            {
                row.told_waiting = true;
                let Some(export) = self
                    .exports
                    .get_mut(id)
                    .filter(|export| export.status() == ExportStatus::Pending)
                else {
                    continue;
                };
                *export = export.changed(
                    export.state.clone(),
                    Some("waiting for a slot in flight".to_owned()),
                    now,
                );
                self.events
                    .entry(*id)
                    .or_default()
                    .push((export.version, EventKind::Delayed));
            }
        }
    }

    /// `cancel`: only a PENDING export without a start in flight. Returns whether it was one.
    pub fn cancel(&mut self, id: ExportId, now: Timestamp, rules: &Rules) -> bool {
        let idle = self
            .schedule
            .get(&id)
            .is_some_and(|row| row.starting && row.start_sent_at.is_none());
        let Some(export) = self.exports.get(&id).filter(|_| idle) else {
            return false;
        };
        let change = transition::cancel(export, now);
        if self.write_change(export.version, &change, rules).is_err() {
            return false;
        }
        self.deliveries
            .entry(id)
            .or_default()
            .extend(announced(&change));
        self.schedule.remove(&id);
        true
    }

    /// `delete`: an export that has ended, or any with `force`, and all its data. Returns whether
    /// it was deleted.
    pub fn delete(&mut self, id: ExportId, force: bool) -> bool {
        if !self
            .exports
            .get(&id)
            .is_some_and(|export| force || export.status().is_end())
        {
            return false;
        }
        self.exports.remove(&id);
        self.schedule.remove(&id);
        self.events.remove(&id);
        self.deliveries.remove(&id);
        self.keys.retain(|_, known| *known != id);
        true
    }
}

/// The delivery to the callback of a changed export, if it has one.
fn announced(change: &Change) -> Option<&'static str> {
    Announcement::for_change(change)
        .filter(|told| told.callback().is_some())
        .map(|told| told.event_type.as_str())
}
