//! A look at some items of a completed export.

use serde_json::{Value, json};

use crate::support::{TestApp, ago, books_body, create_body, gzip};

async fn items(app: &TestApp, id: &str, query: &str) -> Vec<Value> {
    app.get(&format!("/v1/exports/{id}/items{query}")).await.expect(200).json["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn both_formats_give_the_same_items() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    let mut body = create_body();
    body["export_format"] = json!("ION");
    let ion = app.export_to_end(&body).await;
    assert_eq!(items(&app, &id, "").await.len(), 20);
    assert_eq!(items(&app, &id, "?limit=1").await.len(), 1);
    let from_json = items(&app, &id, "?limit=100").await;
    assert_eq!(from_json.len(), 100);
    assert_eq!(from_json, items(&app, &ion, "?limit=100&format=dynamodb_json").await);
    assert_eq!(items(&app, &id, "?limit=100&format=json").await, items(&app, &ion, "?limit=100&format=json").await);
}

#[tokio::test]
async fn plain_json_has_no_tags() {
    let app = TestApp::start().await;
    app.make_books();
    let id = app.export_to_end(&books_body()).await;
    let all = items(&app, &id, "?limit=100&format=json").await;
    let book = all.iter().find(|item| item["pk"] == "book-01").unwrap();
    let expected = json!({
        "pk": "book-01", "price": 12.5, "tags": ["a", "b"], "sizes": [1, 2.5], "cover": "aGVsbG8=", "pages": ["aGk="], "open": true, "note": null,
        "list": ["12345678901234567890123456789012345678", "line\nbreak \u{1} \"é\" $ion_1_0"], "map": {"k": {}},
    });
    assert_eq!(*book, expected);
    let mut body = books_body();
    body["export_type"] = json!("INCREMENTAL_EXPORT");
    body["incremental_export_specification"] = json!({"export_from_time": ago(7200), "export_to_time": ago(1200)});
    let id = app.export_to_end(&body).await;
    for change in items(&app, &id, "?format=json").await {
        assert!(change["Keys"]["pk"].is_string() && change["OldImage"]["price"] == 12.5, "{change}");
        assert!(change["Metadata"]["WriteTimestampMicros"].is_u64(), "{change}");
    }
}

#[tokio::test]
async fn empty_files_are_skipped_and_an_empty_export_has_none() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["table_arn"] = json!("arn:aws:dynamodb:us-east-1:123456789012:table/Empty");
    let id = app.export_to_end(&body).await;
    assert!(items(&app, &id, "").await.is_empty());
    assert_eq!(app.verified(&id, true).await["status"], "passed");
    // Files that are said to be empty are not read: they need not even exist.
    for line in app.file_lines(&id).await {
        app.s3_delete(line["dataFileS3Key"].as_str().unwrap()).await;
    }
    assert!(items(&app, &id, "").await.is_empty());
}

#[tokio::test]
async fn no_more_is_read_than_asked_for() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    let lines = app.file_lines(&id).await;
    let first = lines.iter().find(|line| line["itemCount"] != 0).unwrap()["dataFileS3Key"].as_str().unwrap().to_owned();
    // Broken after some items: a look at those before does not mind.
    let mut broken = gzip(&"{\"Item\":{\"pk\":{\"S\":\"a\"}}}\n".repeat(10_000));
    broken.truncate(broken.len() - 8);
    app.s3_put(&first, &broken).await;
    assert_eq!(items(&app, &id, "?limit=5").await, vec![json!({"pk": {"S": "a"}}); 5]);
    app.s3_put(&first, b"no gzip").await;
    let told = app.get(&format!("/v1/exports/{id}/items")).await.expect_problem(422, "output-unreadable");
    assert!(told.json["detail"].as_str().unwrap().starts_with(&first), "{}", told.text);
    app.s3_delete(&first).await;
    app.get(&format!("/v1/exports/{id}/items")).await.expect_problem(422, "output-unreadable");
    for (query, pointer) in [("limit=0", "limit"), ("limit=101", "limit"), ("format=xml", "format"), ("deep=1", "deep")] {
        let problem = app.get(&format!("/v1/exports/{id}/items?{query}")).await.expect_problem(400, "invalid-parameter");
        assert_eq!(problem.pointers(), [format!("#query/{pointer}")]);
    }
}
