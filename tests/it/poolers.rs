//! The service behind PgBouncer: with its default settings in session mode; in transaction mode,
//! where that can work, and rejected where it cannot.
//!
//! The expectations depend on the version of PgBouncer (`support/pgbouncer.rs`): from 1.21 on it
//! can keep named prepared statements apart in transaction mode.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    BUCKET, Ended, Outside, PgBouncer, PoolMode, PoolUse, Program, TABLE, fresh_database, migrate,
    pgbouncer_version, until,
};

/// The number of concurrent clients: more than the service has connections.
const CLIENTS: usize = 16;

/// The number of values of each property that distinguishes exports. As many as clients, so that
/// each requests something different.
const GROUPS: usize = CLIENTS;

/// An unused connection is released after about 30 s.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(60);

/// The time limit for everything in a test: every create, every list, every export to its end.
const ALL_DONE_WITHIN: Duration = Duration::from_secs(90);

/// As many connections as one process opens: two processes share them only if they are released.
const SHARED_POOL: u32 = 12;

/// Requests `count` exports, from all clients concurrently. Returns the ids by the number of the
/// export.
async fn create(program: &Program, count: usize) -> Vec<String> {
    let mine = |client| (0..count).filter(move |n| n % CLIENTS == client);
    let clients = (0..CLIENTS).map(async |client| {
        let mut ids = Vec::new();
        for n in mine(client) {
            ids.push((n, program.create(&export(n)).await.expect(202).id()));
        }
        ids
    });
    let mut ids: Vec<_> = join_all(clients).await.into_iter().flatten().collect();
    ids.sort_unstable();
    ids.into_iter().map(|(_, id)| id).collect()
}

/// The export with this number. All groups have the same size; the table of one of them exists.
fn export(n: usize) -> Value {
    let group = n % GROUPS;
    json!({"table_arn": table(group), "s3_bucket": bucket(group), "labels": {"group": group.to_string(), "all": "yes"}})
}

fn table(group: usize) -> String {
    if group == 0 {
        TABLE.to_owned()
    } else {
        format!("{TABLE}-{group}")
    }
}

fn bucket(group: usize) -> String {
    if group == 0 {
        BUCKET.to_owned()
    } else {
        format!("{BUCKET}-{group}")
    }
}

/// Filters for one group that differ in a column, or in the number of parameters.
fn filters(group: usize) -> [String; 4] {
    let (table, bucket) = (table(group), bucket(group));
    [
        format!("table_arn={table}"),
        format!("s3_bucket={bucket}"),
        format!("label=group:{group}&s3_bucket={bucket}"),
        format!("label=group:{group}&label=all:yes&table_arn={table}&export_type=FULL_EXPORT"),
    ]
}

/// The ids that a filter lists, all on one page; otherwise the error.
async fn listed(program: &Program, filter: &str) -> Result<BTreeSet<String>, String> {
    let answer = program
        .get(&format!("/v1/exports?page_size=200&{filter}"))
        .await;
    if answer.status != 200 || !answer.json["next_page_token"].is_null() {
        return Err(format!("{} {}", answer.status, answer.text));
    }
    let ids = answer.json["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|export| export["id"].as_str().unwrap().to_owned());
    Ok(ids.collect())
}

/// Each client requests the lists of its group `rounds` times. Returns the number of correct
/// responses, and the wrong ones.
async fn compare_lists(
    program: &Program,
    created: &[String],
    rounds: usize,
) -> (usize, Vec<String>) {
    let clients = (0..CLIENTS).map(async |client| {
        let right: BTreeSet<_> = created
            .iter()
            .enumerate()
            .filter(|(n, _)| n % GROUPS == client)
            .map(|(_, id)| id.clone())
            .collect();
        let mut wrong = Vec::new();
        for _ in 0..rounds {
            for filter in filters(client) {
                match listed(program, &filter).await {
                    Ok(ids) if ids == right => {}
                    Ok(ids) => wrong.push(format!(
                        "{filter}: {} instead of {}",
                        ids.len(),
                        right.len()
                    )),
                    Err(why) => wrong.push(format!("{filter}: {why}")),
                }
            }
        }
        wrong
    });
    let wrong = timeout(ALL_DONE_WITHIN, join_all(clients))
        .await
        .expect("lists are answered");
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    (CLIENTS * rounds * filters(0).len() - wrong.len(), wrong)
}

#[track_caller]
fn assert_all_right(right: usize, wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{right} lists right, {} wrong, such as {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}

/// Waits until every export has ended: the workers' statements went through the pooler too.
async fn all_end(program: &Program, created: usize) {
    let ended = async || {
        let counts = ["COMPLETED", "FAILED"].map(async |status| {
            let groups =
                (0..GROUPS).map(|group| format!("label=group:{group}&export_status={status}"));
            let lists: Vec<_> =
                join_all(groups.map(async |filter| listed(program, &filter).await)).await;
            lists
                .into_iter()
                .map(|ids| ids.map_or(0, |ids| ids.len()))
                .sum::<usize>()
        });
        let [completed, failed] = counts;
        let (completed, failed) = tokio::join!(completed, failed);
        // Only the group whose table exists can be exported.
        completed == created / GROUPS && failed == created - created / GROUPS
    };
    until("every export has ended", ALL_DONE_WITHIN, ended).await;
}

#[track_caller]
fn assert_migrated(ended: &Ended) {
    assert_eq!(ended.status, Some(0), "{}", ended.said);
}

/// Whether this error says that a pooler in transaction mode is in the way, and how to fix that.
#[track_caller]
fn assert_refused(ended: &Ended, remedies: &[&str]) {
    assert_eq!(ended.status, Some(1), "{}", ended.said);
    for words in ["transaction mode"].iter().chain(remedies) {
        assert!(ended.said.contains(words), "no {words:?} in {}", ended.said);
    }
}

/// The error of `serve` behind this pooler.
const OF_SERVE: [&str; 2] = ["session mode", "1.21"];
/// The error of `migrate`.
const OF_MIGRATE: [&str; 1] = ["TABLEFERRY_DIRECT_DATABASE_URL"];

/// Starts it so that named prepared statements work in transaction mode, if this version can do
/// that. Returns whether it can.
async fn in_transaction_mode(database_url: &str) -> (PgBouncer, bool) {
    let can = pgbouncer_version() >= (1, 21);
    // The default is 200 only from 1.24 on.
    let settings = if can {
        "max_prepared_statements = 200\n"
    } else {
        ""
    };
    (
        PgBouncer::start(PoolMode::Transaction, database_url, settings).await,
        can,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_mode_works_with_its_default_settings() {
    let (database_url, outside) = (fresh_database().await, Outside::start().await);
    let pooler = PgBouncer::start(PoolMode::Session, &database_url, "").await;
    let variables = [("DATABASE_URL", pooler.url())];
    for _ in 0..3 {
        assert_migrated(&migrate(&variables).await);
    }
    let program = outside.serve(&variables).await;
    let created = create(&program, 208).await;
    let (right, wrong) = compare_lists(&program, &created, 4).await;
    assert_all_right(right, &wrong);
    all_end(&program, created.len()).await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_pool_in_session_mode() {
    let (database_url, outside) = (fresh_database().await, Outside::start().await);
    let settings = format!("default_pool_size = {SHARED_POOL}\n");
    let pooler = PgBouncer::start(PoolMode::Session, &database_url, &settings).await;
    let variables = [("DATABASE_URL", pooler.url())];
    let first = outside.serve(&variables).await;
    let created = create(&first, 208).await;
    let (right, wrong) = compare_lists(&first, &created, 1).await;
    assert_all_right(right, &wrong);
    all_end(&first, created.len()).await;
    let given_back = async || {
        let PoolUse { active, waiting } = pooler.pool_use().await;
        active + waiting <= SHARED_POOL / 2
    };
    until(
        "the first process gives back what it does not use",
        GIVEN_BACK_WITHIN,
        given_back,
    )
    .await;
    let second = outside.serve(&variables).await;
    for n in 0..50 {
        second.create(&export(n)).await.expect(202);
    }
    first.get("/readyz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_pooler_loses_nothing() {
    const CREATES: usize = 320;
    let (database_url, outside) = (fresh_database().await, Outside::start().await);
    let mut pooler = PgBouncer::start(PoolMode::Session, &database_url, "").await;
    let url = pooler.url().to_owned();
    let program = outside.serve(&[("DATABASE_URL", &url)]).await;
    let answered = AtomicUsize::new(0);
    // After a 503, a client repeats the request with its key, as the API documents.
    let create = async |n: usize| {
        let (key, body) = (format!("key-{n}"), export(n));
        loop {
            let answer = program
                .send(Method::POST, "/v1/exports", Some(&key), Some(&body))
                .await;
            if answer.status == 202 {
                answered.fetch_add(1, Ordering::Relaxed);
                return answer.id();
            }
            answer.expect_problem(503, "unavailable");
            tokio::time::sleep(crate::support::POLL_EVERY).await;
        }
    };
    let clients = join_all((0..CLIENTS).map(async |client| {
        let mut ids = Vec::new();
        for n in (client..CREATES).step_by(CLIENTS) {
            ids.push(create(n).await);
        }
        ids
    }));
    let restarts = async {
        for after in [CREATES / 4, CREATES / 2] {
            until("creates go on", ALL_DONE_WITHIN, async || {
                answered.load(Ordering::Relaxed) >= after
            })
            .await;
            pooler.restart().await;
        }
    };
    let (ids, ()) = timeout(ALL_DONE_WITHIN, async { tokio::join!(clients, restarts) })
        .await
        .expect("all are answered");
    let ids: BTreeSet<_> = ids.into_iter().flatten().collect();
    assert_eq!(ids.len(), CREATES);
    let lists = join_all(
        (0..GROUPS).map(async |group| listed(&program, &filters(group)[0]).await.unwrap()),
    )
    .await;
    let stored: BTreeSet<_> = lists.into_iter().flatten().collect();
    assert_eq!(stored, ids, "each is stored, and once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_mode_is_correct_or_rejected() {
    let (database_url, outside) = (fresh_database().await, Outside::start().await);
    let (pooler, can) = in_transaction_mode(&database_url).await;
    let variables = [("DATABASE_URL", pooler.url())];
    let with_direct = [
        variables[0],
        ("TABLEFERRY_DIRECT_DATABASE_URL", &database_url),
    ];
    for _ in 0..3 {
        let migrated = migrate(&variables).await;
        if can {
            assert_migrated(&migrated)
        } else {
            assert_refused(&migrated, &OF_MIGRATE)
        }
    }
    // Where it can work, it needs no other connection to the database.
    let mut program = if can {
        outside.spawn(&variables).await
    } else {
        assert_migrated(&migrate(&with_direct).await);
        outside.spawn(&with_direct).await
    };
    match program.ready_or_ended().await {
        Some(ended) => {
            assert!(!can, "{ended:?}");
            assert_refused(&ended, &OF_SERVE);
        }
        None => {
            assert!(can, "it serves: {}", program.log());
            let created = create(&program, 400).await;
            let (right, wrong) = compare_lists(&program, &created, 25).await;
            assert_all_right(right, &wrong);
            assert_eq!(right, 1_600);
            all_end(&program, created.len()).await;
            assert!(
                !program.log().contains("prepared statement"),
                "{}",
                program.log()
            );
            program.stop().await;
        }
    }
}

#[tokio::test]
async fn transaction_mode_without_prepared_statements_is_refused() {
    let (database_url, outside) = (fresh_database().await, Outside::start().await);
    // Older versions lack the setting, and behave like this anyway.
    let settings = if pgbouncer_version() >= (1, 21) {
        "max_prepared_statements = 0\n"
    } else {
        ""
    };
    let pooler = PgBouncer::start(PoolMode::Transaction, &database_url, settings).await;
    let with_direct = [
        ("DATABASE_URL", pooler.url()),
        ("TABLEFERRY_DIRECT_DATABASE_URL", database_url.as_str()),
    ];
    assert_migrated(&migrate(&with_direct).await);
    let mut program = outside.spawn(&with_direct).await;
    let ended = program
        .ready_or_ended()
        .await
        .unwrap_or_else(|| panic!("it serves: {}", program.log()));
    assert_refused(&ended, &OF_SERVE);
}

#[tokio::test]
async fn six_migrations_at_once_take_turns() {
    let database_url = fresh_database().await;
    let (pooler, can) = in_transaction_mode(&database_url).await;
    let variables = [
        ("DATABASE_URL", pooler.url()),
        ("TABLEFERRY_DIRECT_DATABASE_URL", database_url.as_str()),
    ];
    // Directly where it cannot work otherwise.
    let variables = if can { &variables[..1] } else { &variables[..] };
    for _ in 0..2 {
        join_all((0..6).map(async |_| assert_migrated(&migrate(variables).await))).await;
    }
    let pooler = PgBouncer::start(PoolMode::Session, &fresh_database().await, "").await;
    let variables = [("DATABASE_URL", pooler.url())];
    join_all((0..6).map(async |_| assert_migrated(&migrate(&variables).await))).await;
}
