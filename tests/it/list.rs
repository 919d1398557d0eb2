//! `GET /v1/exports`: filters and pages.

use serde_json::json;

use crate::support::{BUCKET, TABLE, TestApp, ago, create_body};

async fn ids(app: &TestApp, query: &str) -> Vec<String> {
    let page = app
        .get(&format!("/v1/exports?{query}"))
        .await
        .expect(200)
        .json;
    page["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn newest_first_in_pages_without_gaps_or_repeats() {
    let app = TestApp::start().await;
    let mut created = Vec::new();
    for _ in 0..7 {
        created.push(app.create(&create_body()).await.expect(202).id());
    }
    created.reverse();
    assert_eq!(ids(&app, "").await, created);
    let mut seen = Vec::new();
    let mut path = "/v1/exports?page_size=3".to_owned();
    loop {
        let page = app.get(&path).await.expect(200);
        seen.extend(
            page.json["exports"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["id"].as_str().unwrap().to_owned()),
        );
        // New exports do not shift the following pages.
        app.create(&create_body()).await.expect(202);
        match page.json["next_page_token"].as_str() {
            Some(token) => {
                assert!(
                    page.header("link").contains(token)
                        && page.header("link").ends_with("; rel=\"next\"")
                );
                path = page
                    .header("link")
                    .trim_start_matches('<')
                    .split('>')
                    .next()
                    .unwrap()
                    .to_owned();
            }
            None => {
                assert_eq!(page.header("link"), "");
                break;
            }
        }
    }
    assert_eq!(seen, created);
    assert!(ids(&app, "page_size=7").await.len() == 7);
}

#[tokio::test]
async fn a_token_is_for_the_filters_it_was_made_for() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        app.create(&create_body()).await.expect(202);
    }
    let page = app
        .get("/v1/exports?page_size=1&export_status=PENDING")
        .await
        .expect(200)
        .json;
    let token = page["next_page_token"].as_str().unwrap();
    assert_eq!(
        ids(
            &app,
            &format!("page_size=2&export_status=PENDING&page_token={token}")
        )
        .await
        .len(),
        2
    );
    app.get(&format!(
        "/v1/exports?export_status=FAILED&page_token={token}"
    ))
    .await
    .expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn filters_alone_and_together() {
    let app = TestApp::start().await;
    let plain = app.export_to_end(&create_body()).await;
    let mut other = create_body();
    other["s3_bucket"] = json!("other-bucket");
    other["table_arn"] = json!("arn:aws:dynamodb:eu-west-1:123456789012:table/Orders");
    other["labels"] = json!({"team": "a:b", "env": "test"});
    let other = app.create(&other).await.expect(202).id();
    let mut incremental = create_body();
    incremental["export_type"] = json!("INCREMENTAL_EXPORT");
    incremental["incremental_export_specification"] = json!({"export_from_time": ago(7200)});
    incremental["labels"] = json!({"env": "test"});
    let incremental = app.create(&incremental).await.expect(202).id();
    let (hour_ago, in_an_hour) = (ago(3600), ago(-3600));
    for (query, expected) in [
        ("export_status=COMPLETED".to_owned(), vec![&plain]),
        (
            "export_status=PENDING".to_owned(),
            vec![&incremental, &other],
        ),
        (format!("table_arn={TABLE}"), vec![&incremental, &plain]),
        (
            format!("s3_bucket={BUCKET}&export_status=PENDING"),
            vec![&incremental],
        ),
        ("export_type=FULL_EXPORT".to_owned(), vec![&other, &plain]),
        ("label=env:test".to_owned(), vec![&incremental, &other]),
        ("label=env:test&label=team:a:b".to_owned(), vec![&other]),
        (
            format!("label=env:test&table_arn={TABLE}"),
            vec![&incremental],
        ),
        (
            "label=env:test&s3_bucket=other-bucket".to_owned(),
            vec![&other],
        ),
        (
            "label=env:test&label=team:a:b&export_type=INCREMENTAL_EXPORT".to_owned(),
            vec![],
        ),
        (
            "label=env:test&export_type=FULL_EXPORT&export_status=PENDING".to_owned(),
            vec![&other],
        ),
        ("label=env:production".to_owned(), vec![]),
        (
            format!("created_after={hour_ago}&created_before={in_an_hour}"),
            vec![&incremental, &other, &plain],
        ),
        (format!("created_before={hour_ago}"), vec![]),
        (
            "created_after=2020-01-01T00:00:00%2B01:00".to_owned(),
            vec![&incremental, &other, &plain],
        ),
        // As typed, without escaping; and as clients in other languages write an offset.
        (
            "created_after=2020-01-01T00:00:00+01:00".to_owned(),
            vec![&incremental, &other, &plain],
        ),
        (
            "created_after=2020-01-01T00:00:00%2B0100&created_before=2020-01-02T00:00:00+0000"
                .to_owned(),
            vec![],
        ),
    ] {
        assert_eq!(
            ids(&app, &query).await.iter().collect::<Vec<_>>(),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn marks_of_labels_leave_out_only_what_does_not_match() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["labels"] = json!({"team": "orders", "env": "test"});
    let id = app.create(&body).await.expect(202).id();
    let pairs = [
        format!("label=team:orders&table_arn={TABLE}"),
        format!("label=team:orders&s3_bucket={BUCKET}"),
        "label=team:orders&export_type=FULL_EXPORT".to_owned(),
        "label=team:orders&label=env:test".to_owned(),
    ];
    // As written now; as a process of the previous version writes them; and as for an export
    // without any of the requested values.
    for (marks, found) in [("marks", true), ("DEFAULT", true), ("0", false)] {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE export_labels SET marks = {marks}"
        )))
        .execute(&app.pool)
        .await
        .unwrap();
        for pair in &pairs {
            assert_eq!(
                ids(&app, pair).await == [id.as_str()],
                found,
                "{marks}: {pair}"
            );
        }
    }
    assert_eq!(ids(&app, "label=team:orders").await, [id]);
}

#[tokio::test]
async fn many_lists_that_take_long_keep_nobody_else_waiting() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let mut held = app.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE export_labels IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    let lists =
        futures_util::future::join_all((0..20).map(|_| app.get("/v1/exports?label=team:orders")));
    let meanwhile = async {
        while waiting(&app).await < 4 {}
        for _ in 0..20 {
            app.get(&format!("/v1/exports/{id}")).await.expect(200);
        }
        assert_eq!(waiting(&app).await, 4);
        held.rollback().await.unwrap();
    };
    let (lists, ()) = tokio::join!(lists, meanwhile);
    for list in lists {
        list.expect(200);
    }
}

/// The number of statements that wait for a lock.
async fn waiting(app: &TestApp) -> i64 {
    let statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(statement)
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_row_that_a_later_rule_would_refuse_is_read_as_it_was_stored() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    // Each violates a current rule; a rule that is tightened in the future has the same effect.
    app.run_sql("UPDATE exports SET s3_bucket = 'a bucket of old', s3_prefix = E'tab\\there', create_timeout = '5000h'").await;
    app.run_sql(
        "UPDATE exports SET filter_specification = '{\"filter_expression\": \"a ==== b\"}'",
    )
    .await;
    let listed = app.get("/v1/exports").await.expect(200);
    assert_eq!(listed.json["exports"][0]["s3_bucket"], "a bucket of old");
    assert_eq!(
        listed.json["exports"][0]["filter_specification"]["filter_expression"],
        "a ==== b"
    );
    assert_eq!(app.export(&id).await["timeouts"]["create"], "5000h");
    app.step_exports().await;
    assert_eq!(
        app.export(&id).await["export_status"],
        "FAILED",
        "the worker takes it to AWS, which refuses it"
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.create(&create_body()).await.expect(202).id());
    }
    ids.reverse();
    let [.., bad, _] = &ids[..] else {
        panic!("five")
    };
    sqlx::query("UPDATE exports SET table_arn = 'no ARN' WHERE id = $1::uuid")
        .bind(bad)
        .execute(&app.pool)
        .await
        .unwrap();
    // Page by page: the export that is left out neither ends the list nor shifts a page.
    let (mut listed, mut path) = (Vec::new(), "/v1/exports?page_size=2".to_owned());
    loop {
        let page = app.get(&path).await.expect(200);
        listed.extend(
            page.json["exports"]
                .as_array()
                .unwrap()
                .iter()
                .map(|export| export["id"].as_str().unwrap().to_owned()),
        );
        let Some(token) = page.json["next_page_token"].as_str() else {
            break;
        };
        path = format!("/v1/exports?page_size=2&page_token={token}");
    }
    let readable: Vec<_> = ids.iter().filter(|id| *id != bad).cloned().collect();
    assert_eq!(listed, readable);
    app.step_exports().await;
    for id in &readable {
        assert_eq!(app.export(id).await["export_status"], "IN_PROGRESS");
    }
    app.get(&format!("/v1/exports/{bad}"))
        .await
        .expect_problem(500, "internal");
    let unknown = "UPDATE export_events SET type = 'export.of_the_future' WHERE export_id = $1::uuid AND sequence = 1";
    sqlx::query(unknown)
        .bind(&readable[0])
        .execute(&app.pool)
        .await
        .unwrap();
    assert_eq!(app.event_types(&readable[0]).await, ["export.started"]);
    let metrics = app.get("/metrics").await.expect(200).text;
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("tableferry_unreadable_rows_total{table=\"exports\"}")),
        "{metrics}"
    );
}
