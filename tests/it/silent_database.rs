//! Silent connections to Postgres while new ones work, as after the loss of a host: each costs one
//! timeout, once, and the service continues. The timeouts are real, so these tests take seconds.

use std::time::{Duration, Instant};

use reqwest::Method;
use sqlx::{Connection as _, PgConnection};
use tableferry::signals::Signals;
use tokio::time::timeout;

use crate::process::{PATIENCE, tableferry};
use crate::support::{Answer, Relay, Running, TestApp, TestOptions, create_body, fresh_database};

/// The service must work again within this time if a server is reachable.
const RESUMES_WITHIN: Duration = Duration::from_secs(20);

/// A service whose connections to the database can go silent.
struct Stage {
    app: TestApp,
    relay: Relay,
    database_url: String,
}

impl Stage {
    async fn set() -> Self {
        let database_url = fresh_database().await;
        let relay = Relay::before(&database_url).await;
        let app = TestApp::start_with(TestOptions {
            database_url: Some(relay.url.clone()),
            ..TestOptions::default()
        })
        .await;
        Self {
            app,
            relay,
            database_url,
        }
    }

    /// A connection that bypasses the relay.
    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.database_url).await.unwrap()
    }
}

/// Locks a table, so that every statement that uses it waits until the transaction ends.
async fn hold(connection: &mut PgConnection, table: &'static str) {
    sqlx::raw_sql("BEGIN")
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
    )))
    .execute(connection)
    .await
    .unwrap();
}

/// The number of statements that contain this text and wait for a lock.
async fn count_waiting(connection: &mut PgConnection, text: &str) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ILIKE '%' || $1 || '%'";
    sqlx::query_scalar(waiting)
        .bind(text)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Returns when a statement that contains this text waits for a lock.
async fn waits(connection: &mut PgConnection, text: &str) {
    while count_waiting(connection, text).await == 0 {}
}

async fn create_with_key(app: &TestApp, key: &str) -> Answer {
    app.send(
        app.request(Method::POST, "/v1/exports")
            .header("idempotency-key", key)
            .json(&create_body()),
    )
    .await
}

async fn stored(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM exports")
        .fetch_one(connection)
        .await
        .unwrap()
}

/// The number of the pool's connections in use.
async fn used(app: &TestApp) -> u32 {
    let metrics = app.get("/metrics").await.text;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("db_client_connection_count") && line.contains("\"used\""))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn silent_idle_connections_are_replaced_quickly() {
    let stage = Stage::set().await;
    let (app, relay) = (&stage.app, &stage.relay);
    let id = app.create(&create_body()).await.expect(202).id();
    let path = format!("/v1/exports/{id}");
    futures_util::future::join_all((0..24).map(|_| app.get(&path))).await;
    relay.silence();
    let began = Instant::now();
    // A recently used connection is trusted: one caller may wait for its timeout.
    let first = app.create(&create_body()).await;
    assert!(
        [202, 503].contains(&first.status.as_u16()),
        "{}",
        first.text
    );
    for _ in 0..10 {
        app.create(&create_body()).await.expect(202);
        app.get(&path).await.expect(200);
    }
    assert!(began.elapsed() < RESUMES_WITHIN, "{:?}", began.elapsed());
    app.get("/readyz").await.expect(200);
    assert!(used(app).await <= 1);
}

#[tokio::test]
async fn a_group_write_without_an_answer_fails_and_the_next_succeeds() {
    let stage = Stage::set().await;
    let (app, relay, mut direct) = (&stage.app, &stage.relay, stage.connect().await);
    let mut holder = stage.connect().await;
    // Prepares the statement, so that it waits where it is executed.
    app.create(&create_body()).await.expect(202);
    hold(&mut holder, "export_events").await;
    let began = Instant::now();
    let later = async {
        waits(&mut direct, "INSERT INTO exports").await;
        relay.silence();
        // Postgres stores the first, and its response is lost.
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut holder)
            .await
            .unwrap();
        let not_ready = async {
            loop {
                let ready = app.get("/readyz").await;
                if ready.status == 503 {
                    break ready.expect_problem(503, "unavailable");
                }
            }
        };
        let (second, not_ready) = tokio::join!(create_with_key(app, "second"), not_ready);
        assert!(
            not_ready.json["detail"]
                .as_str()
                .unwrap()
                .contains("could be stored"),
            "{}",
            not_ready.json
        );
        second
    };
    let (first, second) = tokio::join!(create_with_key(app, "first"), later);
    let detail = first.expect_problem(503, "unavailable").json["detail"].to_string();
    assert!(detail.contains("Idempotency-Key"), "{detail}");
    second.expect(202);
    let replayed = create_with_key(app, "first").await.expect(202);
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert!(began.elapsed() < RESUMES_WITHIN, "{:?}", began.elapsed());
    assert_eq!(stored(&mut direct).await, 3);
    app.get("/readyz").await.expect(200);
    assert!(used(app).await <= 1);
}

#[tokio::test]
async fn a_worker_recovers_from_a_silent_claim() {
    let stage = Stage::set().await;
    let (app, relay, mut direct) = (&stage.app, &stage.relay, stage.connect().await);
    let id = app.create(&create_body()).await.expect(202).id();
    let mut holder = stage.connect().await;
    hold(&mut holder, "export_schedule").await;
    let _running = Running::start(&app.workers.exports, &Signals::default());
    waits(&mut direct, "export_schedule").await;
    relay.silence();
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut holder)
        .await
        .unwrap();
    let started = async {
        while app.get(&format!("/v1/exports/{id}")).await.json["export_status"] != "IN_PROGRESS" {}
    };
    timeout(RESUMES_WITHIN, started)
        .await
        .expect("the worker goes on");
}

#[tokio::test]
async fn cancelled_requests_release_their_connections() {
    let stage = Stage::set().await;
    let (app, relay, mut direct) = (&stage.app, &stage.relay, stage.connect().await);
    let id = app.create(&create_body()).await.expect(202).id();
    let mut holder = stage.connect().await;
    hold(&mut holder, "exports").await;
    let path = format!("/v1/exports/{id}");
    {
        let readers = futures_util::future::join_all((0..6).map(|_| app.get(&path)));
        let gone = async {
            while count_waiting(&mut direct, "SELECT e.id, e.version").await < 6 {}
            relay.silence();
        };
        // Dropped here, in the middle of their statements.
        tokio::select! {
            _ = readers => panic!("no read can succeed"),
            () = gone => {}
        }
    }
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut holder)
        .await
        .unwrap();
    let free = async { while used(app).await > 0 {} };
    timeout(RESUMES_WITHIN, free)
        .await
        .expect("every place is free again");
    app.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_silent_migration_fails_and_can_be_repeated() {
    let database_url = fresh_database().await;
    let relay = Relay::before(&database_url).await;
    let variables = [("DATABASE_URL", relay.url.as_str())];
    assert!(
        tableferry(&["migrate"], &variables)
            .status()
            .await
            .unwrap()
            .success()
    );
    let (mut direct, mut holder) = (
        PgConnection::connect(&database_url).await.unwrap(),
        PgConnection::connect(&database_url).await.unwrap(),
    );
    hold(&mut holder, "_sqlx_migrations").await;
    let migrating = tableferry(&["migrate"], &variables).output();
    let silent = async {
        waits(&mut direct, "_sqlx_migrations").await;
        relay.silence();
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut holder)
            .await
            .unwrap();
    };
    let (ended, ()) = tokio::join!(timeout(PATIENCE, migrating), silent);
    let ended = ended.expect("it gives up").unwrap();
    assert!(!ended.status.success());
    assert!(
        String::from_utf8_lossy(&ended.stderr).contains("did not answer"),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    // The lock is held by its connection, whose end Postgres has not seen; its keepalive, or the
    // end of this test's relay, would release it.
    let end_lock = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tableferry migrate'";
    sqlx::raw_sql(end_lock).execute(&mut direct).await.unwrap();
    assert!(
        timeout(PATIENCE, tableferry(&["migrate"], &variables).status())
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}
