//! One script, two stores: the SQL of `crates/store` and the model of it that the simulation
//! (`tests/simulation`) runs on do the same.
//!
//! What the simulation proves it proves of the model. So a seeded script of everything that callers
//! and workers do is carried out on both, and after every step the exports, the schedule, the
//! events and the deliveries are compared. The database's clock is a row that the script sets:
//! `now()` is looked up in a schema of the test's before it is in `pg_catalog`.

#![expect(dead_code, reason = "the simulation uses more of its modules")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Row as _};
use tableferry::domain::arn::ExportArn;
use tableferry::domain::aws_failure::{AwsFailure, FailureClass};
use tableferry::domain::backoff::PollBounds;
use tableferry::domain::description::{
    DescribedRequest, DescribedStatus, ExportDescription, Written,
};
use tableferry::domain::doubt::after_search;
use tableferry::domain::event::EventKind;
use tableferry::domain::ids::{ClientToken, DeliveryId, ExportId};
use tableferry::domain::step::{
    self, Claimed, Decision, Outcome, Surroundings, after_describe, after_start, decide,
};
use tableferry::domain::timestamp::Timestamp;
use tableferry::store::accept::KeyedRequest;
use tableferry::store::record::StepQueue;
use tableferry::store::schedule::{Kind, Phase, Quota};
use tableferry::store::{Store, StoreError};
use time::OffsetDateTime;

use crate::support::fresh_database;

#[path = "../simulation/clients.rs"]
mod clients;
#[path = "../simulation/dice.rs"]
mod dice;
#[path = "../simulation/model_store.rs"]
mod model_store;
#[path = "../simulation/rules.rs"]
mod rules;

use clients::Theme;
use dice::Dice;
use model_store::{ModelStore, Quotas, Scheduled, Ticket};
use rules::AS_BUILT;

/// The lane of every export of the simulation.
const LANE: &str = "123456789012/eu-west-1";

/// How many steps a script has.
const STEPS: usize = 250;

/// What a script must have met, taken over all seeds: where nothing happens, nothing is compared.
const NOTEWORTHY: [&str; 12] = [
    "cancelled",
    "deleted",
    "due in doubt",
    "handed back",
    "overdue",
    "export.completed",
    "export.delayed",
    "export.failed",
    "export.started",
    "export.timed_out",
    "replayed",
    "stale",
];

#[tokio::test]
async fn the_store_and_its_model_do_the_same() {
    let mut met = BTreeSet::new();
    for seed in 0..4 {
        let mut pair = Pair::start(seed).await;
        for number in 0..STEPS {
            let what = pair.step().await;
            pair.compare(&format!("seed {seed}, step {number}: {what}"))
                .await;
        }
        met.append(&mut pair.met);
    }
    let missing: Vec<_> = NOTEWORTHY
        .iter()
        .filter(|what| !met.contains(**what))
        .collect();
    assert!(missing.is_empty(), "the scripts did not meet {missing:?}");
}

/// What is due of one phase in the only lane there is. The workers of the simulation have no
/// quotas, so its model of the store has no `due_lanes`.
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

/// Both stores, and what a script knows.
struct Pair {
    dice: Dice,
    now: Timestamp,
    store: Store,
    steps: StepQueue,
    sql: sqlx::PgPool,
    model: ModelStore,
    /// What workers hold, some of it for too long.
    held: Vec<Claimed>,
    requests: u32,
    met: BTreeSet<&'static str>,
}

impl Pair {
    async fn start(seed: u64) -> Self {
        let url = fresh_database().await;
        Store::connect_lazily(&SecretString::from(url.clone()), None)
            .unwrap()
            .migrate()
            .await
            .unwrap();
        let sql = sqlx::PgPool::connect(&url).await.unwrap();
        let clock =
            "CREATE SCHEMA clock; CREATE TABLE clock.reading (at timestamptz NOT NULL); INSERT INTO clock.reading VALUES ('2026-01-01');
            CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM clock.reading'";
        sqlx::raw_sql(clock).execute(&sql).await.unwrap();
        // An endpoint that hears of everything: every step goes through the part of the statement
        // that writes deliveries.
        let endpoint = "INSERT INTO webhook_endpoints (id, created_at, updated_at, url, event_types, labels, header_names)
            VALUES (gen_random_uuid(), now(), now(), 'https://receiver.example/all', '{}', '{}', '{}')";
        sqlx::raw_sql(endpoint).execute(&sql).await.unwrap();
        let mut with_clock = url::Url::parse(&url).unwrap();
        with_clock
            .query_pairs_mut()
            .append_pair("options", "-csearch_path=public,clock,pg_catalog");
        let store =
            Store::connect_lazily(&SecretString::from(String::from(with_clock)), None).unwrap();
        Self {
            dice: Dice::of_seed(seed),
            now: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
            steps: StepQueue::start(store.clone()),
            store,
            sql,
            model: ModelStore::default(),
            held: Vec::new(),
            requests: 0,
            met: BTreeSet::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what);
    }

    /// Does one thing to both.
    async fn step(&mut self) -> String {
        match self.dice.below(20) {
            0..=2 => self.accept().await,
            3..=5 => self.pass_time().await,
            6..=8 => self.claim().await,
            9 => self.claim_overdue().await,
            10..=14 => self.record().await,
            15 => self.hand_back_or_renew().await,
            16 => {
                self.store
                    .tell_waiting(LANE, "waiting for a place in flight", self.now)
                    .await
                    .unwrap();
                self.model.tell_waiting(self.now);
                "tell those that wait".to_owned()
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
                    starting: due.phase == Phase::Start,
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
            repeats: some(),
            starts: some(),
            polls: some(),
        };
        let quota = |kind, most: usize| Quota {
            lane: LANE.to_owned(),
            kind,
            most: i64::try_from(most).unwrap(),
        };
        let asked = [
            quota(Kind::Repeat, quotas.repeats),
            quota(Kind::Start, quotas.starts),
            quota(Kind::Follow, quotas.polls),
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
        self.held.extend(claimed);
    }

    /// One of the claims that are held: mostly it is then no longer.
    fn one_held(&mut self) -> Option<Claimed> {
        if self.held.is_empty() {
            return None;
        }
        let at = self.dice.below(self.held.len());
        Some(if self.dice.chance(0.8) {
            self.held.swap_remove(at)
        } else {
            self.held[at].clone()
        })
    }

    async fn record(&mut self) -> String {
        let Some(claimed) = self.one_held() else {
            return "nothing is held".to_owned();
        };
        let outcome = self.outcome(&claimed);
        let written = self
            .steps
            .record(&claimed, &outcome, None, DeliveryId(self.dice.uuid()))
            .await;
        let expected = self.model.record(self.now, &claimed, &outcome, &AS_BUILT);
        let is_stale = matches!(&written, Err(StoreError::Stale));
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

    /// What a worker would write after an answer of AWS.
    fn outcome(&mut self, claimed: &Claimed) -> Outcome {
        let bounds = PollBounds {
            min: Duration::from_secs(2),
            max: Duration::from_secs(600),
        };
        let around = Surroundings {
            now: self.now,
            jitter: self.dice.jitter(),
            bounds,
        };
        let fresh = ClientToken::from_uuid(self.dice.uuid());
        match decide(claimed, &fresh, &around) {
            Decision::Write(outcome) => *outcome,
            Decision::Start(_) => after_start(claimed, self.answer(claimed), &around),
            Decision::Describe(_) => after_describe(claimed, self.answer(claimed), &around),
            Decision::FindByToken(_) => {
                let found = self
                    .answer(claimed)
                    .map(|found| self.dice.chance(0.3).then_some(found));
                after_search(claimed, found, None, &around)
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
            || ExportArn::known(format!("{}/export/{}", export.request.table_arn, export.id)),
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
        let Some(claimed) = self.one_held() else {
            return "nothing is held".to_owned();
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
                |export| step::cancel(export, now),
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

    /// Everything that both hold.
    async fn compare(&self, after: &str) {
        for (id, export) in &self.model.exports {
            assert_eq!(
                self.store.find(*id).await.unwrap().as_ref(),
                Some(export),
                "the export, after {after}"
            );
        }
        assert_eq!(
            self.schedule().await,
            self.model.schedule,
            "the schedule, after {after}"
        );
        let events = self.pairs("SELECT export_id, sequence || ' ' || type FROM export_events ORDER BY export_id, sequence").await;
        let in_words = |events: &Vec<(i32, EventKind)>| {
            events
                .iter()
                .map(|(sequence, kind)| format!("{sequence} {}", kind.as_str()))
                .collect()
        };
        assert_eq!(
            events,
            self.model
                .events
                .iter()
                .map(|(id, events)| (*id, in_words(events)))
                .collect(),
            "the events, after {after}"
        );
        // What was delivered outlives the export.
        let known = "SELECT export_id, event_type FROM webhook_deliveries WHERE endpoint_id IS NULL AND export_id IN (SELECT id FROM exports) ORDER BY created_at, id";
        let mut deliveries: BTreeMap<ExportId, Vec<String>> = self
            .model
            .deliveries
            .iter()
            .map(|(id, told)| (*id, told.iter().map(|kind| (*kind).to_owned()).collect()))
            .collect();
        deliveries.retain(|_, told| !told.is_empty());
        assert_eq!(
            self.pairs(known).await,
            deliveries,
            "the deliveries, after {after}"
        );
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM exports")
            .fetch_one(&self.sql)
            .await
            .unwrap();
        assert_eq!(
            usize::try_from(count).unwrap(),
            self.model.exports.len(),
            "the number of exports, after {after}"
        );
    }

    async fn pairs(&self, query: &'static str) -> BTreeMap<ExportId, Vec<String>> {
        let mut pairs: BTreeMap<ExportId, Vec<String>> = BTreeMap::new();
        for row in sqlx::raw_sql(AssertSqlSafe(query))
            .fetch_all(&self.sql)
            .await
            .unwrap()
        {
            pairs
                .entry(ExportId(row.get(0)))
                .or_default()
                .push(row.get(1));
        }
        pairs
    }

    async fn schedule(&self) -> BTreeMap<ExportId, Scheduled> {
        let rows = sqlx::query("SELECT * FROM export_schedule")
            .fetch_all(&self.sql)
            .await
            .unwrap();
        let read = |row: &sqlx::postgres::PgRow| Scheduled {
            starting: row.get::<String, _>("phase") == "START",
            due_at: row.get::<OffsetDateTime, _>("due_at").into(),
            delay: Duration::from_millis(row.get::<i64, _>("delay_ms").unsigned_abs()),
            claims: row.get("claims"),
            failures: row.get::<i32, _>("failures").unsigned_abs(),
            start_sent_at: row
                .get::<Option<OffsetDateTime>, _>("start_sent_at")
                .map(Timestamp::from),
            deadline_at: row.get::<OffsetDateTime, _>("deadline_at").into(),
            timed_out: row.get("timed_out"),
            told_waiting: row.get("told_waiting"),
        };
        rows.iter()
            .map(|row| (ExportId(row.get("export_id")), read(row)))
            .collect()
    }
}
