//! The actions of a script: each runs on the store and on its model, and their answers are
//! compared.

use std::collections::BTreeSet;
use std::time::Duration;

use tableferry::domain::aws::arn::ExportArn;
use tableferry::domain::aws::description::{
    DescribedRequest, DescribedStatus, ExportDescription, Written,
};
use tableferry::domain::aws::failure::{AwsFailure, FailureClass};
use tableferry::domain::export::event::EventKind;
use tableferry::domain::ids::{ClientToken, DeliveryId, ExportId};
use tableferry::domain::lifecycle::backoff::PollBounds;
use tableferry::domain::lifecycle::doubt::after_search;
use tableferry::domain::lifecycle::outcome::{Claimed, Decision, Outcome, StepContext};
use tableferry::domain::lifecycle::step::{after_describe, after_start, decide};
use tableferry::domain::lifecycle::transition;
use tableferry::domain::timestamp::Timestamp;
use tableferry::store::StoreError;
use tableferry::store::accept::KeyedRequest;
use tableferry::store::schedule::{ExportPhase, Kind, Quota};
use time::OffsetDateTime;

use super::clients::{self, Theme};
use super::model_store::{ModelStore, Quotas, Ticket};
use super::rules::AS_BUILT;
use super::{LANE, Pair};

/// What is due of one phase in the only lane. The simulation's workers have no quotas, so its model
/// of the store has no `due_lanes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    starting: bool,
    in_flight: u32,
    doubtful: bool,
}

fn due_in(model: &ModelStore, now: Timestamp) -> BTreeSet<Due> {
    let rows = || model.schedule.values();
    let in_flight = rows()
        .filter(|row| {
            if row.starting {
                row.start_sent_at.is_some()
            } else {
                !row.timed_out
            }
        })
        .count();
    let doubtful = rows().any(|row| row.start_sent_at.is_some() && row.due_at <= now);
    let starts = Due {
        starting: true,
        in_flight: u32::try_from(in_flight).unwrap(),
        doubtful,
    };
    let polls = Due {
        starting: false,
        in_flight: 0,
        doubtful: false,
    };
    [starts, polls]
        .into_iter()
        .filter(|due| rows().any(|row| row.starting == due.starting && row.due_at <= now))
        .collect()
}

impl Pair {
    /// Runs one action on both.
    pub(super) async fn step(&mut self) -> String {
        match self.dice.below(20) {
            0..=2 => self.accept().await,
            3..=5 => self.pass_time().await,
            6..=8 => self.claim().await,
            9 => self.claim_overdue().await,
            10..=14 => self.record().await,
            15 => self.hand_back_or_renew().await,
            16 => {
                self.store
                    .mark_delayed(LANE, "waiting for a slot in flight", self.now)
                    .await
                    .unwrap();
                self.model.mark_delayed(self.now);
                "mark exports that wait as delayed".to_owned()
            }
            17 | 18 => self.cancel().await,
            _ => self.delete().await,
        }
    }

    async fn accept(&mut self) -> String {
        let replays = self.requests > 0 && self.dice.chance(0.2);
        let number = if replays {
            u32::try_from(self.dice.between(1, self.requests.into())).unwrap()
        } else {
            self.requests + 1
        };
        self.requests = self.requests.max(number);
        let theme = self.dice.pick(&[Theme::Anything, Theme::Haste, Theme::Age]);
        let request = clients::request(number, &clients::tables(), theme, &mut self.dice);
        let export = clients::new_export(
            request,
            ExportId(self.dice.uuid()),
            self.now,
            &mut self.dice,
        );
        let key = KeyedRequest {
            key: number.to_string(),
            fingerprint: [0; 32],
        };
        let known = self.model.keys.contains_key(&number);
        self.store
            .accept(&export, Some(&key), EventKind::Created, "accepted")
            .await
            .unwrap();
        self.model.accept(self.now, export, number);
        if known {
            self.meet("replayed");
        }
        format!("accept request {number}")
    }

    async fn pass_time(&mut self) -> String {
        let passed = self.dice.any_scale(0.05, 20_000.0);
        self.now = self.now.plus(Duration::from_millis(
            u64::try_from(passed.as_millis()).unwrap(),
        ));
        sqlx::query("UPDATE clock.reading SET at = $1")
            .bind(OffsetDateTime::from(self.now))
            .execute(&self.sql)
            .await
            .unwrap();
        format!("{passed:?} pass")
    }

    /// The clock of a worker.
    fn workers_now(&mut self) -> Timestamp {
        let seconds = Duration::from_secs(self.dice.below(60) as u64);
        if self.dice.chance(0.5) {
            self.now.plus(seconds)
        } else {
            self.now.minus(seconds)
        }
    }

    async fn claim(&mut self) -> String {
        let due: BTreeSet<_> = self
            .store
            .due_lanes(Duration::ZERO)
            .await
            .unwrap()
            .into_iter()
            .map(|due| {
                assert_eq!(due.lane, LANE);
                Due {
                    starting: due.phase == ExportPhase::Start,
                    in_flight: due.in_flight,
                    doubtful: due.doubtful,
                }
            })
            .collect();
        assert_eq!(due, due_in(&self.model, self.now), "what is due");
        if due.iter().any(|due| due.doubtful) {
            self.meet("due in doubt");
        }
        let mut some = || self.dice.below(4);
        let quotas = Quotas {
            starts_in_doubt: some(),
            starts: some(),
            polls: some(),
        };
        let quota = |kind, max: usize| Quota {
            lane: LANE.to_owned(),
            kind,
            max: i64::try_from(max).unwrap(),
        };
        let asked = [
            quota(Kind::StartInDoubt, quotas.starts_in_doubt),
            quota(Kind::Start, quotas.starts),
            quota(Kind::Poll, quotas.polls),
        ];
        let workers_now = self.workers_now();
        let claimed = self
            .store
            .claim_exports(&asked, 100, Duration::ZERO, workers_now)
            .await
            .unwrap();
        let tickets = self.model.claim(self.now, workers_now, quotas, &AS_BUILT);
        self.take(
            claimed.into_iter().map(|one| one.claimed).collect(),
            &tickets,
        );
        format!("claim {quotas:?}")
    }

    async fn claim_overdue(&mut self) -> String {
        let (workers_now, limit) = (self.workers_now(), self.dice.below(4));
        let claimed = self
            .store
            .claim_overdue(i64::try_from(limit).unwrap(), workers_now)
            .await
            .unwrap();
        let tickets = self.model.claim_overdue(self.now, workers_now, limit);
        if !tickets.is_empty() {
            self.meet("overdue");
        }
        self.take(
            claimed.into_iter().map(|one| one.claimed).collect(),
            &tickets,
        );
        format!("claim at most {limit} that are overdue")
    }

    fn take(&mut self, mut claimed: Vec<Claimed>, tickets: &[Ticket]) {
        let mut expected: Vec<_> = tickets
            .iter()
            .filter_map(|ticket| self.model.read(ticket))
            .collect();
        claimed.sort_by_key(|one| one.export.id);
        expected.sort_by_key(|one| one.export.id);
        assert_eq!(claimed, expected, "what was claimed");
        self.claims.extend(claimed);
    }

    /// A claim that a worker holds. Usually it is removed.
    fn any_claim(&mut self) -> Option<Claimed> {
        if self.claims.is_empty() {
            return None;
        }
        let at = self.dice.below(self.claims.len());
        Some(if self.dice.chance(0.8) {
            self.claims.swap_remove(at)
        } else {
            self.claims[at].clone()
        })
    }

    async fn record(&mut self) -> String {
        let Some(claimed) = self.any_claim() else {
            return "no claim is held".to_owned();
        };
        let outcome = self.outcome(&claimed);
        let written = self
            .outcomes
            .record(&claimed, &outcome, None, DeliveryId(self.dice.uuid()))
            .await;
        let expected = self.model.record(self.now, &claimed, &outcome, &AS_BUILT);
        let is_stale = matches!(&written, Err(StoreError::Conflict));
        assert!(written.is_ok() || is_stale, "{written:?}");
        assert_eq!(is_stale, expected.is_err(), "whether it was too late");
        let event = outcome.change.as_ref().map(|change| change.event.as_str());
        self.meet(if is_stale {
            "stale"
        } else {
            event.unwrap_or("no change")
        });
        format!(
            "record {event:?} of {}, {:?}",
            claimed.export.id, outcome.next
        )
    }

    /// What a worker would write after a response of AWS.
    fn outcome(&mut self, claimed: &Claimed) -> Outcome {
        let bounds = PollBounds {
            min: Duration::from_secs(2),
            max: Duration::from_secs(600),
        };
        let context = StepContext {
            now: self.now,
            jitter: self.dice.jitter(),
            bounds,
        };
        let fresh = ClientToken::from_uuid(self.dice.uuid());
        match decide(claimed, &fresh, &context) {
            Decision::Write(outcome) => *outcome,
            Decision::Start(_) => after_start(claimed, self.answer(claimed), &context),
            Decision::Describe(_) => after_describe(claimed, self.answer(claimed), &context),
            Decision::FindByToken(_) => {
                let found = self
                    .answer(claimed)
                    .map(|found| self.dice.chance(0.3).then_some(found));
                after_search(claimed, found, None, &context)
            }
        }
    }

    fn answer(&mut self, claimed: &Claimed) -> Result<ExportDescription, AwsFailure> {
        use FailureClass::{Denied, ExportNotFound, LimitExceeded, Refused, Throttled, Unknown};
        if self.dice.chance(0.4) {
            let class = self.dice.pick(&[
                Denied,
                ExportNotFound,
                LimitExceeded,
                Refused,
                Throttled,
                Unknown,
            ]);
            return Err(AwsFailure {
                class,
                code: class.as_str().to_owned(),
                message: "the script's".to_owned(),
            });
        }
        let export = &claimed.export;
        let arn = export.state.accepted().map_or_else(
            || {
                ExportArn::from_trusted(format!(
                    "{}/export/{}",
                    export.request.table_arn, export.id
                ))
            },
            |accepted| accepted.arn.clone(),
        );
        let end_time = Some(self.now);
        let status = match self.dice.below(4) {
            0 => DescribedStatus::Completed(Written {
                end_time,
                item_count: Some(7),
                ..Written::default()
            }),
            1 => DescribedStatus::Failed {
                end_time,
                code: "S3NoSuchBucket".to_owned(),
                message: "no bucket".to_owned(),
            },
            _ => DescribedStatus::InProgress,
        };
        let started = Some(export.created_at);
        Ok(ExportDescription {
            arn,
            status,
            table_id: Some("table".to_owned()),
            start_time: started,
            export_time: started,
            export_from_time: None,
            export_to_time: None,
            export_view_type: None,
            s3_sse_algorithm: Some("AES256".to_owned()),
            client_token: export.origin.client_token().cloned(),
            request: DescribedRequest::default(),
        })
    }

    async fn hand_back_or_renew(&mut self) -> String {
        let Some(claimed) = self.any_claim() else {
            return "no claim is held".to_owned();
        };
        if self.dice.chance(0.5) {
            let renewed = self.store.renew(&claimed).await.unwrap();
            assert_eq!(
                renewed,
                self.model.renew(self.now, &claimed).is_ok(),
                "whether the claim was renewed"
            );
            return format!("renew the claim of {}", claimed.export.id);
        }
        let delay = Duration::from_millis(250 * self.dice.below(8) as u64);
        self.store.unclaim(&claimed, delay).await.unwrap();
        self.model.unclaim(self.now, &claimed, delay);
        self.meet("handed back");
        format!("hand {} back", claimed.export.id)
    }

    fn any_export(&mut self) -> ExportId {
        let ids: Vec<_> = self.model.exports.keys().copied().collect();
        if ids.is_empty() {
            ExportId(self.dice.uuid())
        } else {
            ids[self.dice.below(ids.len())]
        }
    }

    async fn cancel(&mut self) -> String {
        let (id, now) = (self.any_export(), self.now);
        let cancelled = self
            .store
            .cancel(
                id,
                |export| transition::cancel(export, now),
                None,
                DeliveryId(self.dice.uuid()),
            )
            .await
            .unwrap();
        let is_cancelled = matches!(cancelled, Some(Ok(_)));
        assert_eq!(
            is_cancelled,
            self.model.cancel(id, now, &AS_BUILT),
            "whether it could be cancelled"
        );
        if is_cancelled {
            self.meet("cancelled");
        }
        format!("cancel {id}")
    }

    async fn delete(&mut self) -> String {
        let (id, force) = (self.any_export(), self.dice.chance(0.2));
        let deleted = self.store.delete(id, force).await.unwrap() == Some(true);
        assert_eq!(
            deleted,
            self.model.delete(id, force),
            "whether it could be deleted"
        );
        if deleted {
            self.meet("deleted");
        }
        format!("delete {id}, force: {force}")
    }
}
