//! Verification: files as AWS wrote them pass, and every deviation is found and named.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, ago, books_body, create_body, gunzip, gzip, md5_base64};

/// Every kind of export: both formats, both types, both views, with and without a prefix.
fn kinds() -> Vec<Value> {
    let mut kinds = Vec::new();
    for format in ["DYNAMODB_JSON", "ION"] {
        for prefix in ["", "a/b"] {
            for view in [None, Some("NEW_AND_OLD_IMAGES"), Some("NEW_IMAGE")] {
                let mut body = books_body();
                body["export_format"] = json!(format);
                body["s3_prefix"] = json!(prefix);
                if let Some(view) = view {
                    body["export_type"] = json!("INCREMENTAL_EXPORT");
                    body["incremental_export_specification"] = json!({"export_from_time": ago(7200), "export_to_time": ago(1200), "export_view_type": view});
                }
                kinds.push(body);
            }
        }
    }
    kinds
}

#[tokio::test]
async fn every_kind_of_export_passes_and_holds_what_was_put_in() {
    let app = TestApp::start().await;
    let books = app.make_books();
    for body in kinds() {
        let id = app.export_to_end(&body).await;
        let export = app.export(&id).await;
        assert_eq!(
            (&export["export_status"], &export["verification"]),
            (&json!("COMPLETED"), &Value::Null),
            "{body}"
        );
        let shallow = app.verified(&id, false).await;
        assert_eq!(
            (
                &shallow["status"],
                &shallow["problems"],
                &shallow["items_counted"]
            ),
            (&json!("passed"), &json!([]), &json!(0)),
            "{body} {shallow}"
        );
        let deep = app.verified(&id, true).await;
        assert_eq!(
            (&deep["status"], &deep["problems_total"]),
            (&json!("passed"), &json!(0)),
            "{body} {deep}"
        );
        assert_eq!(
            (
                &deep["files_checked"],
                &deep["files_total"],
                &deep["items_counted"]
            ),
            (&json!(4), &json!(4), &export["item_count"])
        );
        assert!(deep["finished_at"].is_string());

        let mut items = app
            .get(&format!("/v1/exports/{id}/items?limit=100"))
            .await
            .expect(200)
            .json["items"]
            .as_array()
            .unwrap()
            .clone();
        items.sort_by_key(|item| {
            item.pointer("/Keys/pk/S")
                .or(item.pointer("/pk/S"))
                .unwrap()
                .to_string()
        });
        match body["incremental_export_specification"]["export_view_type"].as_str() {
            None => assert_eq!(items, books, "{body}"),
            Some(view) => {
                assert_eq!(items.len(), 4, "{body}");
                for (item, number) in items.iter().zip([0, 10, 20, 30]) {
                    let key = format!("book-{number:02}");
                    assert_eq!(item["Keys"], json!({"pk": {"S": key}}), "{body}");
                    assert_eq!(
                        item.get("NewImage"),
                        books.iter().find(|book| book["pk"]["S"] == key),
                        "{body}"
                    );
                    assert_eq!(
                        item.get("OldImage").is_some(),
                        view == "NEW_AND_OLD_IMAGES",
                        "{body}"
                    );
                    assert!(
                        item["Metadata"]["WriteTimestampMicros"]["N"]
                            .as_str()
                            .unwrap()
                            .parse::<u64>()
                            .is_ok(),
                        "{item}"
                    );
                }
            }
        }
    }
}

/// Exports, corrupts what was written, verifies, and finds exactly one faulty object, for these
/// reasons.
async fn finds<F: AsyncFnOnce(&TestApp, &str) -> String>(
    app: &TestApp,
    body: &Value,
    deep: bool,
    spoil: F,
    reasons: &[&str],
) {
    let id = app.export_to_end(body).await;
    let key = spoil(app, &id).await;
    let verification = app.verified(&id, deep).await;
    assert_eq!(
        verification["status"], "failed",
        "{reasons:?}: {verification}"
    );
    let problems = verification["problems"].as_array().unwrap();
    assert_eq!(verification["problems_total"], problems.len());
    for reason in reasons {
        let found = problems.iter().any(|problem| {
            problem["key"] == key && problem["detail"].as_str().unwrap().contains(reason)
        });
        assert!(found, "no {reason:?} of {key} in {verification}");
    }
    let others: Vec<_> = problems
        .iter()
        .filter(|problem| problem["key"] != key)
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn what_is_missing_cut_off_or_changed_is_found() {
    let app = TestApp::start().await;
    app.make_books();
    let body = books_body();
    let missing = async |app: &TestApp, id: &str| {
        let key = app.fullest_file(id).await;
        app.s3_delete(&key).await;
        key
    };
    finds(&app, &body, false, missing, &["does not exist"]).await;
    finds(&app, &body, true, missing, &["does not exist"]).await;
    let cut = async |app: &TestApp, id: &str| {
        let key = app.fullest_file(id).await;
        let bytes = app.s3_get(&key).await;
        app.s3_put(&key, &bytes[..bytes.len() - 20]).await;
        key
    };
    finds(&app, &body, false, cut, &["ETag"]).await;
    finds(
        &app,
        &body,
        true,
        cut,
        &["ETag", "MD5", "is not valid gzip"],
    )
    .await;
    // S3 does not notice these: only reading the bytes finds them.
    let rotten_byte = async |app: &TestApp, id: &str| {
        let key = app.fullest_file(id).await;
        app.rot(&key, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        key
    };
    finds(&app, &body, true, rotten_byte, &["MD5"]).await;
    let lost_line = async |app: &TestApp, id: &str| {
        let key = app.fullest_file(id).await;
        app.rot(&key, |bytes| {
            let text = gunzip(bytes);
            *bytes = gzip(text.split_once('\n').unwrap().1);
        });
        key
    };
    finds(
        &app,
        &body,
        true,
        lost_line,
        &["MD5", "items; the manifest says"],
    )
    .await;
    let id = app.export_to_end(&body).await;
    rotten_byte(&app, &id).await;
    assert_eq!(
        app.verified(&id, false).await["status"],
        "passed",
        "a shallow one reads no data file"
    );
}

#[tokio::test]
async fn manifests_that_do_not_agree_are_found() {
    let app = TestApp::start().await;
    app.make_books();
    let body = books_body();
    let unlike_its_sum = async |app: &TestApp, id: &str| {
        let key = app.files_key(id).await;
        let mut text = app.s3_get(&key).await;
        text.push(b'\n');
        app.s3_put(&key, &text).await;
        key.replace(".json", ".md5")
    };
    finds(
        &app,
        &body,
        false,
        unlike_its_sum,
        &["but the MD5 sum of the manifest beside it is"],
    )
    .await;
    let without_sum = async |app: &TestApp, id: &str| {
        let key = app
            .files_key(id)
            .await
            .replace("manifest-files.json", "manifest-summary.md5");
        app.s3_delete(&key).await;
        key
    };
    finds(&app, &body, false, without_sum, &["does not exist"]).await;
    let line_lost = async |app: &TestApp, id: &str| {
        let key = app.files_key(id).await;
        let lines = app.file_lines(id).await;
        let fullest = app.fullest_file(id).await;
        let kept = lines
            .iter()
            .filter(|line| line["dataFileS3Key"] != fullest)
            .map(|line| format!("{line}\n"));
        app.put_manifest(&key, &kept.collect::<String>()).await;
        key
    };
    finds(
        &app,
        &body,
        false,
        line_lost,
        &["items together, but 39 items were written"],
    )
    .await;
    let summary_gone = async |app: &TestApp, id: &str| {
        let key = app
            .files_key(id)
            .await
            .replace("manifest-files", "manifest-summary");
        app.s3_delete(&key).await;
        key
    };
    finds(&app, &body, false, summary_gone, &["does not exist"]).await;
    let no_json = async |app: &TestApp, id: &str| {
        let key = app
            .files_key(id)
            .await
            .replace("manifest-files", "manifest-summary");
        app.put_manifest(&key, "half a manif").await;
        key
    };
    finds(&app, &body, false, no_json, &["is not JSON"]).await;
    let other = app.export_to_end(&body).await;
    let others_summary = async |app: &TestApp, id: &str| {
        let summary = |key: String| key.replace("manifest-files", "manifest-summary");
        let text = app.s3_get(&summary(app.files_key(&other).await)).await;
        let key = summary(app.files_key(id).await);
        app.put_manifest(&key, std::str::from_utf8(&text).unwrap())
            .await;
        key
    };
    let id = app.export_to_end(&body).await;
    let key = others_summary(&app, &id).await;
    let verification = app.verified(&id, false).await;
    assert_eq!(verification["status"], "failed");
    assert_eq!(verification["problems"][0]["key"], key);
    assert!(
        verification["problems"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("belongs to another export"),
        "{verification}"
    );
}

#[tokio::test]
async fn a_wrong_number_of_items_is_found_by_counting() {
    let app = TestApp::start().await;
    app.make_books();
    // The item count of one file is one too high, of another one too low: the sum is right, and so
    // are the manifest's checksums.
    let id = app.export_to_end(&books_body()).await;
    let (key, mut lines) = (app.files_key(&id).await, app.file_lines(&id).await);
    lines[0]["itemCount"] = json!(lines[0]["itemCount"].as_u64().unwrap() + 1);
    lines[1]["itemCount"] = json!(lines[1]["itemCount"].as_u64().unwrap() - 1);
    app.put_manifest(
        &key,
        &lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .await;
    assert_eq!(app.verified(&id, false).await["status"], "passed");
    let deep = app.verified(&id, true).await;
    assert_eq!(
        (
            &deep["status"],
            &deep["problems_total"],
            &deep["items_counted"]
        ),
        (&json!("failed"), &json!(2), &json!(39)),
        "{deep}"
    );
    // No file has an item count: then all items are counted and compared with the summary's number.
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("itemCount");
    }
    let fullest = lines
        .iter()
        .position(|line| line["dataFileS3Key"].is_string())
        .unwrap();
    let text = "{\"Item\":{}}\n";
    let data = lines[fullest]["dataFileS3Key"].as_str().unwrap().to_owned();
    app.s3_put(&data, &gzip(text)).await;
    lines[fullest]["md5Checksum"] = json!(md5_base64(&app.s3_get(&data).await));
    lines[fullest].as_object_mut().unwrap().remove("etag");
    app.put_manifest(
        &key,
        &lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .await;
    let deep = app.verified(&id, true).await;
    assert_eq!(deep["status"], "failed");
    assert!(
        deep["problems"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("were counted, but 39 items were written"),
        "{deep}"
    );
}

#[tokio::test]
async fn a_file_of_another_export_in_the_shared_folder_is_found() {
    let app = TestApp::start().await;
    app.make_books();
    let mut body = books_body();
    body["export_type"] = json!("INCREMENTAL_EXPORT");
    body["incremental_export_specification"] =
        json!({"export_from_time": ago(7200), "export_to_time": ago(1200)});
    let (earlier, full) = (
        app.export_to_end(&body).await,
        app.export_to_end(&books_body()).await,
    );
    app.advance(Duration::from_secs(600)).await;
    let later = app.export_to_end(&body).await;
    // The manifest of the later one lists a file of the earlier one, with all checksums and numbers
    // right.
    let (key, mut lines) = (app.files_key(&later).await, app.file_lines(&later).await);
    let others = app.file_lines(&earlier).await;
    let place = lines
        .iter()
        .position(|line| line["itemCount"] != 0)
        .unwrap();
    let foreign = others
        .iter()
        .find(|line| line["itemCount"] == lines[place]["itemCount"])
        .unwrap()
        .clone();
    lines[place] = foreign.clone();
    app.put_manifest(
        &key,
        &lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .await;
    let verification = app.verified(&later, true).await;
    assert_eq!(verification["problems_total"], 1, "{verification}");
    assert_eq!(verification["problems"][0]["key"], foreign["dataFileS3Key"]);
    assert!(
        verification["problems"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("it belongs to another export"),
        "{verification}"
    );
    // Nor may it be in the folder of a full export.
    lines[place] = app
        .file_lines(&full)
        .await
        .into_iter()
        .find(|line| line["itemCount"] != 0)
        .unwrap();
    app.put_manifest(
        &key,
        &lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .await;
    let verification = app.verified(&later, false).await;
    let details: Vec<_> = verification["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["detail"].as_str().unwrap())
        .collect();
    assert!(
        details
            .iter()
            .any(|detail| detail
                .starts_with("is not this export's: its files are in AWSDynamoDB/data/")),
        "{details:?}"
    );
    // The bytes of another file of the folder in its place.
    let own = app.fullest_file(&earlier).await;
    let bytes = app
        .s3_get(lines[place]["dataFileS3Key"].as_str().unwrap())
        .await;
    app.rot(&own, |rotten| *rotten = bytes);
    assert_eq!(app.verified(&earlier, true).await["status"], "failed");
}

#[tokio::test]
async fn it_runs_by_itself_when_the_export_asked_for_it() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["verify"] = json!(true);
    let id = app.export_to_end(&body).await;
    let completed = app.export(&id).await;
    assert_eq!(
        (&completed["verify"], &completed["verification"]["status"]),
        (&json!(true), &json!("running"))
    );
    assert_eq!(
        (
            &completed["verification"]["files_total"],
            &completed["verification"]["finished_at"]
        ),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(app.step_verifications().await, 1);
    assert_eq!(app.export(&id).await["verification"]["status"], "passed");
    assert_eq!(
        app.event_types(&id).await,
        [
            "export.created",
            "export.started",
            "export.completed",
            "export.verified"
        ]
    );
    assert_eq!(app.step_verifications().await, 0);
    body["verify"] = json!("yes");
    assert_eq!(
        app.create(&body)
            .await
            .expect_problem(422, "validation-failed")
            .pointers(),
        ["/verify"]
    );
}

#[tokio::test]
async fn it_is_asked_for_over_http() {
    let app = TestApp::start().await;
    let pending = app.create(&create_body()).await.expect(202).id();
    app.verify(&pending, false)
        .await
        .expect_problem(409, "not-completed");
    app.verify("01a20630-aef5-7191-be2b-f860bc0e97d9", false)
        .await
        .expect_problem(404, "not-found");
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    let path = format!("/v1/exports/{pending}/verify");
    let post = |body: &'static str| {
        app.send(
            app.request(Method::POST, &path)
                .header("content-type", "application/json")
                .body(body),
        )
    };
    post(r#"{"deep": 1, "fast": true}"#)
        .await
        .expect_problem(422, "validation-failed");
    post("{").await.expect_problem(400, "malformed-json");
    // Without a body it is shallow; while it runs, another request returns it.
    let begun = app
        .send(app.request(Method::POST, &path))
        .await
        .expect(202)
        .json;
    assert_eq!(
        (
            &begun["verification"]["status"],
            &begun["verification"]["deep"]
        ),
        (&json!("running"), &json!(false))
    );
    assert_eq!(
        post(r#"{"deep": true}"#).await.expect(202).json["verification"],
        begun["verification"]
    );
    let version = app.export(&pending).await;
    app.step_verifications().await;
    let ended = app.export(&pending).await;
    assert_eq!(ended["verification"]["status"], "passed");
    assert_ne!(ended["updated_at"], Value::Null);
    assert_eq!(version["export_status"], ended["export_status"]);
    // Afterwards a new one starts.
    assert_eq!(
        post(r#"{"deep": true}"#).await.expect(202).json["verification"]["deep"],
        true
    );
    app.step_verifications().await;
    let events = app
        .get(&format!("/v1/exports/{pending}/events"))
        .await
        .expect(200)
        .json;
    let verified: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "export.verified")
        .collect();
    assert_eq!(verified.len(), 2);
    assert!(
        verified[1]["detail"]
            .as_str()
            .unwrap()
            .contains("every byte was read"),
        "{verified:?}"
    );
    assert_eq!(verified[1]["export_status"], "COMPLETED");
    let sequences: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["sequence"].as_i64().unwrap())
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    assert!(
        app.get("/metrics")
            .await
            .expect(200)
            .text
            .contains("tableferry_export_verifications_total{outcome=\"passed\"}")
    );
}
