//! The SQL of `crates/store` behaves like the model of it in the simulation (`tests/simulation`).
//!
//! The simulation's results hold for the model only. So a seeded script of all actions of callers
//! and workers runs on both, and after every step the exports, the schedule, the events and the
//! deliveries are compared. The database's clock is a row that the script sets: a schema of the
//! test defines a `now()` that takes precedence over the one in `pg_catalog`.

#![expect(dead_code, reason = "the simulation uses more of its modules")]

use std::collections::BTreeSet;

use secrecy::SecretString;
use tableferry::domain::lifecycle::outcome::Claimed;
use tableferry::domain::timestamp::Timestamp;
use tableferry::store::Store;
use tableferry::store::outcome::OutcomeQueue;

use crate::support::fresh_database;

mod compare;
mod script;

#[path = "../../simulation/clients.rs"]
mod clients;
#[path = "../../simulation/dice.rs"]
mod dice;
#[path = "../../simulation/model_store.rs"]
mod model_store;
#[path = "../../simulation/rules.rs"]
mod rules;

use dice::Dice;
use model_store::ModelStore;

/// The lane of every export of the simulation.
const LANE: &str = "123456789012/eu-west-1";

/// The number of steps of a script.
const STEPS: usize = 250;

/// What the scripts of all seeds together must cover.
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

/// Both stores, and the script's state.
struct Pair {
    dice: Dice,
    now: Timestamp,
    store: Store,
    outcomes: OutcomeQueue,
    sql: sqlx::PgPool,
    model: ModelStore,
    /// The claims that workers hold, some of them expired.
    claims: Vec<Claimed>,
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
        // An endpoint that gets every event, so that every step runs the part of the statement that
        // writes deliveries.
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
            outcomes: OutcomeQueue::start(store.clone()),
            store,
            sql,
            model: ModelStore::default(),
            claims: Vec::new(),
            requests: 0,
            met: BTreeSet::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what);
    }
}
