//! A read-only server is unusable: the service does not connect to it, is not ready, and continues
//! once writes are possible.

use private_postgres::{DATABASE, Options, PrivatePostgres};
use reqwest::Method;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Duration, Instant, timeout};

use crate::process::{becomes_ready, free_address, tableferry};
use crate::support::{TestApp, TestOptions, create_body, fresh_database};

/// Makes every later session of a database read-only, or read-write again.
async fn read_only(connection: &mut PgConnection, on: bool) {
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    let change = if on {
        "SET default_transaction_read_only = on"
    } else {
        "RESET default_transaction_read_only"
    };
    sqlx::raw_sql("SET default_transaction_read_only = off")
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("ALTER DATABASE {name} {change}")))
        .execute(connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn read_only_sessions_are_closed_and_writes_resume() {
    let app = TestApp::start().await;
    let mut direct = PgConnection::connect(&app.database_url).await.unwrap();
    app.create(&create_body()).await.expect(202);
    // It has checked the schema, which it could not do afterwards.
    while app.get("/readyz").await.status != 200 {}
    read_only(&mut direct, true).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(end)
        .fetch_one(&mut direct)
        .await
        .unwrap()
        > 0
    {}
    let ready = app.get("/readyz").await.expect_problem(503, "unavailable");
    assert!(
        ready.json["detail"].as_str().unwrap().contains("read-only"),
        "{}",
        ready.json
    );
    // One caller may get a connection that was closed a moment ago.
    app.create(&create_body())
        .await
        .expect_problem(503, "unavailable");
    let refused = app
        .create(&create_body())
        .await
        .expect_problem(503, "unavailable");
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("read-only at the moment"),
        "{}",
        refused.json
    );
    read_only(&mut direct, false).await;
    for _ in 0..10 {
        app.create(&create_body()).await.expect(202);
    }
    app.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn the_first_writable_host_is_used() {
    let (database_url, address) = (fresh_database().await, free_address().await);
    let several = database_url.replacen("@127.0.0.1", "@127.0.0.1:1,127.0.0.1", 1)
        + "?target_session_attrs=read-write";
    let variables = [
        ("DATABASE_URL", several.as_str()),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
    ];
    let _child = tableferry(&["serve"], &variables).spawn().unwrap();
    becomes_ready(&address).await;
}

#[tokio::test]
async fn unsupported_url_parameters_are_rejected_at_startup() {
    for (query, says) in [
        ("sslmod=verify-full", "did you mean sslmode?"),
        ("statement-cache-capacity=0", "leaks"),
        ("channel_binding=require", "channel_binding"),
        ("target_session_attrs=standby", "write"),
    ] {
        let url = format!("postgres://u:hunter2@127.0.0.1:1/d?{query}");
        for command in ["serve", "migrate"] {
            let output = tableferry(
                &[command],
                &[("DATABASE_URL", &url), ("TABLEFERRY_AUTH", "none")],
            )
            .output()
            .await
            .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                !output.status.success() && said.contains(says) && !said.contains("hunter2"),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn commits_blocked_by_a_standby_fail_and_can_be_repeated() {
    let postgres = tokio::task::spawn_blocking(|| {
        PrivatePostgres::start(Options {
            durable: true,
            ..Options::default()
        })
    })
    .await;
    let postgres = postgres.unwrap().unwrap();
    let app = TestApp::start_with(TestOptions {
        database_url: Some(postgres.url(DATABASE)),
        ..TestOptions::default()
    })
    .await;
    let mut admin = PgConnection::connect(&postgres.admin_url()).await.unwrap();
    let standby = async |admin: &mut PgConnection, change: &'static str| {
        sqlx::raw_sql("SET synchronous_commit = local")
            .execute(&mut *admin)
            .await
            .unwrap();
        sqlx::raw_sql(change).execute(&mut *admin).await.unwrap();
        sqlx::raw_sql("SELECT pg_reload_conf()")
            .execute(&mut *admin)
            .await
            .unwrap();
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    standby(
        &mut admin,
        "ALTER SYSTEM SET synchronous_standby_names = 'one_that_is_away'",
    )
    .await;
    let create = async |key: &'static str| {
        app.send(
            app.request(Method::POST, "/v1/exports")
                .header("idempotency-key", key)
                .json(&create_body()),
        )
        .await
    };
    let began = Instant::now();
    let first = create("first").await.expect_problem(503, "unavailable");
    assert!(
        first.json["detail"]
            .as_str()
            .unwrap()
            .contains("Idempotency-Key"),
        "{}",
        first.json
    );
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let ready = app.get("/readyz").await.expect_problem(503, "unavailable");
    assert!(
        ready.json["detail"].as_str().unwrap().contains("standby"),
        "{}",
        ready.json
    );
    // Once the state is known, no request waits for it, and none takes a connection slot at
    // Postgres.
    for _ in 0..20 {
        create("second").await.expect_problem(503, "unavailable");
    }
    let waiting: i64 = sqlx::query_scalar(waiting)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!((1..=3).contains(&waiting), "{waiting}");
    standby(&mut admin, "ALTER SYSTEM RESET synchronous_standby_names").await;
    let ready = async { while app.get("/readyz").await.status != 200 {} };
    timeout(Duration::from_secs(20), ready)
        .await
        .expect("it is ready again");
    let replayed = create("first").await.expect(202);
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    create("second").await.expect(202);
    assert_eq!(app.stored_exports().await, 2);
    drop(app);
}
