//! Retention: old, ended exports are deleted, and nothing else.

use std::time::Duration;

use tableferry::worker::retention::Retention;
use tableferry::worker::retention::sweep;
use tokio_util::sync::CancellationToken;

use crate::support::{Receiver, TestApp, create_body};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn what_is_old_and_ended_is_removed() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let mut body = create_body();
    body["callback_url"] = receiver.url.clone().into();
    let ended = app.export_to_end(&body).await;
    let pending = app.create(&body).await.expect(202).id();
    let none = CancellationToken::new();
    let forever = Retention::default();
    let ten_days = Retention {
        exports: Some(DAY * 10),
        events: Some(DAY * 5),
        attempts: Some(DAY * 5),
    };
    app.clock.advance(DAY * 6);
    assert_eq!(
        sweep(&app.store(), forever, &app.clock, &none)
            .await
            .unwrap(),
        [0, 0, 0]
    );
    assert_eq!(
        sweep(&app.store(), ten_days, &app.clock, &none)
            .await
            .unwrap(),
        [0, 3, 0],
        "a delivery that is pending stays"
    );
    app.step_deliveries().await;
    assert_eq!(
        sweep(&app.store(), ten_days, &app.clock, &none)
            .await
            .unwrap(),
        [0, 0, 1]
    );
    app.get(&format!("/v1/exports/{ended}")).await.expect(200);
    app.clock.advance(DAY * 5);
    assert_eq!(
        sweep(&app.store(), ten_days, &app.clock, &none)
            .await
            .unwrap(),
        [1, 0, 0]
    );
    app.get(&format!("/v1/exports/{ended}"))
        .await
        .expect_problem(404, "not-found");
    app.get(&format!("/v1/exports/{pending}")).await.expect(200);
}

#[tokio::test]
async fn much_is_removed_in_batches() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    sqlx::query(
        "INSERT INTO webhook_deliveries (id, export_id, event_type, url, body, status, created_at)
        SELECT gen_random_uuid(), $1, 'x', 'x', 'x', 'DELIVERED', now() - interval '100 days' FROM generate_series(1, 1234)",
    )
    .bind(uuid::Uuid::parse_str(&id).unwrap())
    .execute(&app.pool)
    .await
    .unwrap();
    let settings = tableferry::settings::Settings::read([], None).unwrap();
    let none = CancellationToken::new();
    assert_eq!(
        sweep(&app.store(), settings.retention, &app.clock, &none)
            .await
            .unwrap(),
        [0, 0, 1234],
        "90 days is what is kept unless it is said"
    );
}
