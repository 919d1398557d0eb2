//! `Prefer: wait=N`: the response comes with the end, or after the given time.

use std::time::{Duration, Instant};

use reqwest::Method;

use tableferry::request_limits::RequestLimits;

use crate::support::{TestApp, TestOptions, create_body};

#[tokio::test]
async fn a_create_that_waits_answers_200_when_it_ends() {
    let app = TestApp::start().await;
    let waiting = app.send(
        app.request(Method::POST, "/v1/exports")
            .header("prefer", "wait=50")
            .json(&create_body()),
    );
    let driving = async {
        while app.step_exports().await == 0 {
            tokio::task::yield_now().await;
        }
        app.aws.finish_exports().await;
        app.step_exports().await;
    };
    let (answer, ()) = tokio::join!(waiting, driving);
    let answer = answer.expect(200);
    assert_eq!(answer.json["export_status"], "COMPLETED");
    assert_eq!(answer.header("preference-applied"), "wait=50");
    assert_eq!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn a_wait_above_the_maximum_is_cut_to_it() {
    let request_limits = RequestLimits {
        longest_wait: Duration::from_secs(1),
        ..RequestLimits::default()
    };
    let app = TestApp::start_with(TestOptions {
        request_limits,
        ..TestOptions::default()
    })
    .await;
    let create = app
        .request(Method::POST, "/v1/exports")
        .header("prefer", "wait=3600")
        .json(&create_body());
    let answer = app.send(create).await.expect(202);
    assert_eq!(answer.header("preference-applied"), "wait=1");
}

#[tokio::test]
async fn a_wait_that_is_too_short_answers_202_with_the_next_look() {
    let app = TestApp::start().await;
    let answer = app
        .send(
            app.request(Method::POST, "/v1/exports")
                .header("prefer", "respond-async, wait=0")
                .json(&create_body()),
        )
        .await
        .expect(202);
    assert_eq!(answer.header("preference-applied"), "wait=0");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    let path = format!("/v1/exports/{}", answer.id());
    let began = Instant::now();
    let looked = app
        .send(app.request(Method::GET, &path).header("prefer", "wait=1"))
        .await
        .expect(200);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(looked.json["export_status"], "PENDING");
    assert!(looked.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn a_change_by_another_replica_is_seen() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let other = app.second_worker().await;
    let waiting = app.send(
        app.request(Method::GET, &format!("/v1/exports/{id}"))
            .header("prefer", "wait=50"),
    );
    let driving = async {
        tableferry::worker::runner::step(&other, Duration::ZERO)
            .await
            .unwrap();
        app.aws.finish_exports().await;
        tableferry::worker::runner::step(&other, Duration::from_secs(3600))
            .await
            .unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, driving);
    assert_eq!(answer.expect(200).json["export_status"], "COMPLETED");
}

#[tokio::test]
async fn an_export_deleted_while_waited_for_is_not_found() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let waiting = app.send(
        app.request(Method::GET, &format!("/v1/exports/{id}"))
            .header("prefer", "wait=50"),
    );
    let deleting = app.send(app.request(Method::DELETE, &format!("/v1/exports/{id}?force=true")));
    let (answer, deleted) = tokio::join!(waiting, deleting);
    deleted.expect(204);
    answer.expect_problem(404, "not-found");
}
