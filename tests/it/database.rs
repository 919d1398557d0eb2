//! The database is down at the start and later; the schema's constraints.
//!
//! That the previous release works on this schema cannot be tested yet, because there is none. The
//! test that runs the previous release's statements (its committed `.sqlx`) against the newest
//! schema comes with the first migration after a release.

use reqwest::Method;
use sqlx::{Connection as _, PgConnection};

use crate::process::{PATIENCE, becomes_ready, free_address, tableferry, terminate};
use crate::support::{TestApp, create_body, fresh_database};

#[tokio::test]
async fn away_later_it_is_503_and_recovers_by_itself() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let name = app.database_url.rsplit('/').next().unwrap().to_owned();
    allow_connections(&app, &name, false).await;
    for path in [
        "/v1/exports".to_owned(),
        format!("/v1/exports/{id}"),
        "/readyz".to_owned(),
    ] {
        let answer = app.get(&path).await.expect_problem(503, "unavailable");
        assert!(!answer.header("retry-after").is_empty());
    }
    app.create(&create_body())
        .await
        .expect_problem(503, "unavailable");
    app.get("/livez").await.expect(200);
    allow_connections(&app, &name, true).await;
    app.get("/readyz").await.expect(200);
    assert_eq!(app.export(&id).await["export_status"], "PENDING");
}

#[tokio::test]
async fn a_create_that_is_stored_is_never_reported_as_lost() {
    let app = TestApp::start().await;
    let name = app.database_url.rsplit('/').next().unwrap().to_owned();
    let create = app.send(
        app.request(Method::POST, "/v1/exports")
            .header("prefer", "wait=2")
            .json(&create_body()),
    );
    let cut_off = async {
        while app.stored_exports().await == 0 {}
        allow_connections(&app, &name, false).await;
    };
    let (answer, ()) = tokio::join!(create, cut_off);
    let id = answer.expect(202).id();
    allow_connections(&app, &name, true).await;
    assert_eq!(app.export(&id).await["export_status"], "PENDING");
}

#[tokio::test]
async fn when_every_connection_is_lost_at_most_one_caller_hears_of_it() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let path = format!("/v1/exports/{id}");
    futures_util::future::join_all((0..8).map(|_| app.get(&path))).await;
    let name = app.database_url.rsplit('/').next().unwrap().to_owned();
    let mut admin = admin(&app).await;
    end_connections(&mut admin, &name).await;
    let mut failed = 0;
    for _ in 0..8 {
        failed += usize::from(app.get(&path).await.status == 503);
    }
    assert!(failed <= 1, "{failed} callers got an error");
}

/// A connection to another database of the same Postgres.
async fn admin(app: &TestApp) -> PgConnection {
    let mut admin_url = url::Url::parse(&app.database_url).unwrap();
    admin_url.set_path("postgres");
    PgConnection::connect(admin_url.as_str()).await.unwrap()
}

/// Ends every connection to a database, and returns when all have ended.
async fn end_connections(admin: &mut PgConnection, name: &str) {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
    while sqlx::query_scalar::<_, i64>(end)
        .bind(name)
        .fetch_one(&mut *admin)
        .await
        .unwrap()
        > 0
    {}
}

/// Blocks all connections to the test's database, or allows them again.
async fn allow_connections(app: &TestApp, name: &str, allow: bool) {
    use sqlx::AssertSqlSafe;
    if !allow {
        // The service has checked the schema, which it could not do afterwards.
        while app.get("/readyz").await.status != 200 {}
    }
    let mut admin = admin(app).await;
    let limit = if allow {
        "ALLOW_CONNECTIONS true"
    } else {
        "ALLOW_CONNECTIONS false"
    };
    sqlx::raw_sql(AssertSqlSafe(format!("ALTER DATABASE {name} WITH {limit}")))
        .execute(&mut admin)
        .await
        .unwrap();
    if !allow {
        end_connections(&mut admin, name).await;
    }
}

#[tokio::test]
async fn impossible_states_are_impossible_in_the_database_too() {
    let app = TestApp::start().await;
    app.create(&create_body()).await.expect(202);
    for (change, constraint) in [
        ("export_status = 'IN_PROGRESS'", "exports_arn_by_status"),
        ("export_status = 'DONE'", "exports_export_status_check"),
        ("export_arn = 'x'", "exports_arn_by_status"),
        ("failure_code = 'x'", "exports_failure_iff_failed"),
        ("item_count = 1", "exports_written_iff_completed"),
        ("end_time = now()", "exports_end_time_by_aws"),
        ("client_token = NULL", "exports_created_has_token"),
        (
            "export_view_type = 'NEW_IMAGE'",
            "exports_window_iff_incremental",
        ),
        ("callback_secret = 'x'", "exports_secret_needs_callback"),
        ("callback_headers = 'x'", "exports_headers_need_callback"),
        ("idempotency_key = 'x'", "exports_fingerprint_with_key"),
        ("s3_sse_kms_key_id = 'x'", "exports_kms_key_needs_kms"),
        ("s3_prefix = ''", "exports_s3_prefix_check"),
        ("version = 0", "exports_version_check"),
        ("attempt = 2", "exports_retry_of_iff_later_attempt"),
        (
            "retry_max_attempts = 11",
            "exports_retry_max_attempts_check",
        ),
        ("estimate_basis = NULL", "exports_estimate_is_whole"),
    ] {
        let sql = sqlx::AssertSqlSafe(format!("UPDATE exports SET {change}"));
        let refused = sqlx::raw_sql(sql).execute(&app.pool).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().constraint(),
            Some(constraint),
            "{change}"
        );
    }
}

#[tokio::test]
async fn readyz_waits_for_the_schema() {
    let app = TestApp::start().await;
    app.get("/readyz").await.expect(200);
    sqlx::raw_sql("UPDATE _sqlx_migrations SET success = false")
        .execute(&app.pool)
        .await
        .unwrap();
    let answer = app.get("/readyz").await.expect_problem(503, "unavailable");
    assert!(
        answer.json["detail"]
            .as_str()
            .unwrap()
            .contains("tableferry migrate")
    );
}

#[tokio::test]
async fn a_newer_schema_is_served_but_not_migrated() {
    let (database_url, address) = (fresh_database().await, free_address().await);
    let variables = [
        ("DATABASE_URL", database_url.as_str()),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
    ];
    assert!(
        tableferry(&["migrate"], &variables)
            .status()
            .await
            .unwrap()
            .success()
    );
    let mut connection = PgConnection::connect(&database_url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'newer', true, '', 0)";
    sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    // So the settings of a previous version that must start next to a newer one disable migrations
    // (docs/operations.md).
    let refused = tableferry(&["serve"], &variables).output().await.unwrap();
    assert!(!refused.status.success());
    let mut child = tableferry(&["serve", "--no-migrate"], &variables)
        .spawn()
        .unwrap();
    becomes_ready(&address).await;
    terminate(&child);
    assert!(
        tokio::time::timeout(PATIENCE, child.wait())
            .await
            .expect("it stops")
            .unwrap()
            .success()
    );
}
