//! `POST /v1/exports/discover`: which exports AWS remembers, which of them are stored, and adoption
//! in bulk.

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::domain::ids::ClientToken;
use tableferry_simulator::{Fault, FaultKind};

use crate::support::{Answer, TABLE, TestApp, create_body, plain_request};

const ACCOUNT: &str = "123456789012";

async fn discover(app: &TestApp, body: &Value) -> Answer {
    app.send(app.request(Method::POST, "/v1/exports/discover").json(body))
        .await
}

/// Starts this many exports without the service.
async fn start_elsewhere(app: &TestApp, count: usize) -> Vec<String> {
    let aws = app.another_aws().await;
    let mut arns = Vec::new();
    for n in 0..count {
        let started = aws
            .start(
                &plain_request(TABLE),
                &ClientToken::from_trusted(format!("elsewhere {n}")),
            )
            .await
            .unwrap();
        arns.push(started.arn.as_str().to_owned());
    }
    arns
}

fn exports(answer: &Answer) -> &Vec<Value> {
    answer.json["exports"].as_array().unwrap()
}

#[tokio::test]
async fn tells_what_aws_remembers_and_what_is_known() {
    let app = TestApp::start().await;
    let own = app.export_to_end(&create_body()).await;
    let foreign = start_elsewhere(&app, 2).await;
    for place in [
        json!({"table_arn": TABLE}),
        json!({"account_id": ACCOUNT, "region": "us-east-1"}),
    ] {
        let answer = discover(&app, &place).await.expect(200);
        assert_eq!(exports(&answer).len(), 3);
        for export in exports(&answer) {
            let is_foreign = foreign.iter().any(|arn| export["arn"] == **arn);
            assert_eq!(
                export["known_id"],
                if is_foreign { Value::Null } else { json!(own) }
            );
            assert_eq!(
                export["export_status"],
                if is_foreign {
                    "IN_PROGRESS"
                } else {
                    "COMPLETED"
                }
            );
            assert_eq!(export["export_type"], "FULL_EXPORT");
        }
        assert_eq!(
            (&answer.json["adopted"], &answer.json["next_page_token"]),
            (&json!(0), &Value::Null)
        );
    }
    let elsewhere = discover(&app, &json!({"account_id": ACCOUNT, "region": "eu-west-1"}))
        .await
        .expect(200);
    assert!(exports(&elsewhere).is_empty());
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn adopts_all_or_those_that_are_named() {
    let app = TestApp::start().await;
    let arns = start_elsewhere(&app, 4).await;
    let one = discover(
        &app,
        &json!({"table_arn": TABLE, "adopt": [arns[1], arns[1]]}),
    )
    .await
    .expect(200);
    assert_eq!(one.json["adopted"], 1);
    let known: Vec<_> = exports(&one)
        .iter()
        .filter(|export| export["known_id"].is_string())
        .collect();
    assert_eq!((known.len(), &known[0]["arn"]), (1, &json!(arns[1])));
    let rest = discover(
        &app,
        &json!({"account_id": ACCOUNT, "region": "us-east-1", "adopt": true}),
    )
    .await
    .expect(200);
    assert_eq!(rest.json["adopted"], 3);
    assert!(
        exports(&rest)
            .iter()
            .all(|export| export["known_id"].is_string())
    );
    assert_eq!(
        discover(&app, &json!({"table_arn": TABLE, "adopt": true}))
            .await
            .expect(200)
            .json["adopted"],
        0
    );
    assert_eq!(app.stored_exports().await, 4);
    app.aws.finish_exports().await;
    app.step_exports().await;
    for export in exports(&rest) {
        assert_eq!(
            app.export(export["known_id"].as_str().unwrap()).await["export_status"],
            "COMPLETED"
        );
    }
}

#[tokio::test]
async fn exports_of_a_deleted_table_are_found_by_account() {
    let app = TestApp::start().await;
    let arns = start_elsewhere(&app, 1).await;
    app.aws.finish_exports().await;
    app.aws.delete_table(ACCOUNT, "us-east-1", "Orders").await;
    assert!(
        exports(
            &discover(&app, &json!({"table_arn": TABLE}))
                .await
                .expect(200)
        )
        .is_empty()
    );
    let found = discover(
        &app,
        &json!({"account_id": ACCOUNT, "region": "us-east-1", "adopt": true}),
    )
    .await
    .expect(200);
    assert_eq!(
        (&found.json["adopted"], &exports(&found)[0]["arn"]),
        (&json!(1), &json!(arns[0]))
    );
}

#[tokio::test]
async fn a_throttled_adoption_goes_on_where_it_stopped() {
    let app = TestApp::start().await;
    start_elsewhere(&app, 6).await;
    app.aws
        .add_fault(Fault::new("DescribeExport", FaultKind::Throttle).times(1));
    let first = discover(&app, &json!({"table_arn": TABLE, "adopt": true}))
        .await
        .expect(200);
    assert_eq!(
        (
            first.json["not_adopted"].as_array().unwrap().len(),
            &first.json["adopted"]
        ),
        (1, &json!(0))
    );
    let token = first.json["next_page_token"].as_str().unwrap();
    let rest = discover(
        &app,
        &json!({"table_arn": TABLE, "adopt": true, "page_token": token}),
    )
    .await
    .expect(200);
    assert_eq!(
        (&rest.json["adopted"], &rest.json["next_page_token"]),
        (&json!(6), &Value::Null)
    );
    let other = json!({"account_id": ACCOUNT, "region": "us-east-1", "page_token": token});
    assert_eq!(
        discover(&app, &other)
            .await
            .expect_problem(422, "validation-failed")
            .pointers(),
        ["/page_token"]
    );
}

#[tokio::test]
async fn many_pages_are_read_and_a_denied_list_is_told() {
    let app = TestApp::start().await;
    start_elsewhere(&app, 60).await;
    let all = discover(&app, &json!({"table_arn": TABLE}))
        .await
        .expect(200);
    let arns: std::collections::BTreeSet<_> = exports(&all)
        .iter()
        .map(|export| export["arn"].to_string())
        .collect();
    assert_eq!((arns.len(), exports(&all).len()), (60, 60));
    app.aws
        .add_fault(Fault::new("ListExports", FaultKind::AccessDenied).times(1));
    discover(&app, &json!({"table_arn": TABLE}))
        .await
        .expect_problem(503, "aws-unavailable");
}

#[tokio::test]
async fn what_is_asked_must_make_sense() {
    let app = TestApp::start().await;
    let foreign = format!(
        "{}/export/01580735656614-2c2f422e",
        TABLE.replace("Orders", "Other")
    );
    for (body, pointers) in [
        (json!({}), &["/table_arn"][..]),
        (json!({"account_id": "1"}), &["/account_id", "/region"]),
        (
            json!({"table_arn": TABLE, "region": "us-east-1"}),
            &["/region"],
        ),
        (json!({"table_arn": TABLE, "adopt": "all"}), &["/adopt"]),
        (
            json!({"table_arn": TABLE, "adopt": [foreign, 1]}),
            &["/adopt/0", "/adopt/1"],
        ),
        (
            json!({"table_arn": TABLE, "page_token": "AAAA", "colour": 1}),
            &["/colour", "/page_token"],
        ),
    ] {
        assert_eq!(
            discover(&app, &body)
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            pointers,
            "{body}"
        );
    }
    let gone = format!("{TABLE}/export/01580735656614-2c2f422e");
    let answer = discover(&app, &json!({"table_arn": TABLE, "adopt": [gone]}))
        .await
        .expect(200);
    assert!(
        answer.json["not_adopted"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("ExportNotFoundException")
    );
    assert_eq!(app.stored_exports().await, 0);
}

#[tokio::test]
async fn a_page_token_that_aws_refuses_begins_the_list_again() {
    let app = TestApp::start().await;
    start_elsewhere(&app, 60).await;
    // The second page is rejected once: nothing is missing, and nothing is listed twice.
    app.aws
        .add_fault(Fault::new("ListExports", FaultKind::RefusePageToken).times(2));
    let all = discover(&app, &json!({"table_arn": TABLE}))
        .await
        .expect(200);
    let arns: std::collections::BTreeSet<_> = exports(&all)
        .iter()
        .map(|export| export["arn"].to_string())
        .collect();
    assert_eq!((arns.len(), exports(&all).len()), (60, 60));
    assert_eq!(
        (&all.json["next_page_token"], &all.json["incomplete_reason"]),
        (&Value::Null, &Value::Null)
    );
    // Rejected on every attempt: the exports that can be listed are returned with the reason, and
    // no token that AWS rejects is returned.
    app.aws
        .add_fault(Fault::new("ListExports", FaultKind::RefusePageToken));
    let some = discover(&app, &json!({"table_arn": TABLE}))
        .await
        .expect(200);
    assert_eq!(
        (exports(&some).len(), &some.json["next_page_token"]),
        (25, &Value::Null)
    );
    let reason = some.json["incomplete_reason"].as_str().unwrap();
    assert!(
        reason.contains("ValidationException") && reason.contains("25 exports"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_page_token_that_has_died_between_two_calls_begins_the_list_again() {
    let app = TestApp::start().await;
    start_elsewhere(&app, 30).await;
    app.aws
        .add_fault(Fault::new("DescribeExport", FaultKind::Throttle).times(1));
    app.aws
        .add_fault(Fault::new("ListExports", FaultKind::ShuffleList));
    let named = json!({"table_arn": TABLE, "adopt": true});
    let first = discover(&app, &named).await.expect(200);
    let token = first.json["next_page_token"].as_str().unwrap();
    app.aws
        .add_fault(Fault::new("ListExports", FaultKind::RefusePageToken).times(1));
    let rest = discover(
        &app,
        &json!({"table_arn": TABLE, "adopt": true, "page_token": token}),
    )
    .await
    .expect(200);
    assert_eq!(
        (
            &rest.json["adopted"],
            &rest.json["next_page_token"],
            &rest.json["incomplete_reason"]
        ),
        (&json!(30), &Value::Null, &Value::Null)
    );
}
