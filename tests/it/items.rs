//! A preview of some items of a completed export.

use serde_json::{Value, json};

use crate::support::{TestApp, ago, books_body, create_body, gzip};

async fn items(app: &TestApp, id: &str, query: &str) -> Vec<Value> {
    app.get(&format!("/v1/exports/{id}/items{query}"))
        .await
        .expect(200)
        .json["items"]
        .as_array()
        .unwrap()
        .clone()
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
    assert_eq!(
        from_json,
        items(&app, &ion, "?limit=100&format=dynamodb_json").await
    );
    assert_eq!(
        items(&app, &id, "?limit=100&format=json").await,
        items(&app, &ion, "?limit=100&format=json").await
    );
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
    body["incremental_export_specification"] =
        json!({"export_from_time": ago(7200), "export_to_time": ago(1200)});
    let id = app.export_to_end(&body).await;
    for change in items(&app, &id, "?format=json").await {
        assert!(
            change["Keys"]["pk"].is_string() && change["OldImage"]["price"] == 12.5,
            "{change}"
        );
        assert!(
            change["Metadata"]["WriteTimestampMicros"].is_u64(),
            "{change}"
        );
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
    // Files that the manifest says are empty are not read: they need not even exist.
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
    let first = lines.iter().find(|line| line["itemCount"] != 0).unwrap()["dataFileS3Key"]
        .as_str()
        .unwrap()
        .to_owned();
    // Corrupt after some items: a preview of the items before it still works.
    let mut broken = gzip(&"{\"Item\":{\"pk\":{\"S\":\"a\"}}}\n".repeat(10_000));
    broken.truncate(broken.len() - 8);
    app.s3_put(&first, &broken).await;
    assert_eq!(
        items(&app, &id, "?limit=5").await,
        vec![json!({"pk": {"S": "a"}}); 5]
    );
    app.s3_put(&first, b"no gzip").await;
    let told = app
        .get(&format!("/v1/exports/{id}/items"))
        .await
        .expect_problem(422, "output-unreadable");
    assert!(
        told.json["detail"].as_str().unwrap().starts_with(&first),
        "{}",
        told.text
    );
    app.s3_delete(&first).await;
    app.get(&format!("/v1/exports/{id}/items"))
        .await
        .expect_problem(422, "output-unreadable");
    for (query, pointer) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("format=xml", "format"),
        ("deep=1", "deep"),
    ] {
        let problem = app
            .get(&format!("/v1/exports/{id}/items?{query}"))
            .await
            .expect_problem(400, "invalid-parameter");
        assert_eq!(problem.pointers(), [format!("#query/{pointer}")]);
    }
}

/// Data that AWS does not write is reported with its position and without its text; no replacement
/// is returned.
#[tokio::test]
async fn what_is_no_record_is_refused() {
    let app = TestApp::start().await;
    let mut ion_body = create_body();
    ion_body["export_format"] = json!("ION");
    let cases = [
        (
            create_body(),
            "{\"Other\":1}\n[1]\n\"x\"\n",
            "line 1, byte ",
        ),
        (create_body(), "{\"Item\":{}}\n[1]\n", "line 2, byte "),
        (
            create_body(),
            "{\"Item\":{}} {\"Item\":{}}\n",
            "line 1, byte ",
        ),
        (
            create_body(),
            "{\"Item\":{\"a\":{\"Q\":\"secret\"}}}\n",
            "line 1, byte ",
        ),
        (
            ion_body.clone(),
            "$ion_1_0 {Item:{secret:1.}}\n$ion_1_0 {Item:{m:{:1.},secret:2.}}\n",
            "line 2, byte ",
        ),
        (ion_body.clone(), "$ion_1_0 {Item:{secret:", "line 1, byte "),
    ];
    for (body, text, place) in cases {
        let id = app.export_to_end(&body).await;
        let key = app.fullest_file(&id).await;
        for line in app.file_lines(&id).await {
            app.s3_put(line["dataFileS3Key"].as_str().unwrap(), &gzip(text))
                .await;
        }
        let problem = app
            .get(&format!("/v1/exports/{id}/items?limit=100"))
            .await
            .expect_problem(422, "output-unreadable");
        let detail = problem.json["detail"].as_str().unwrap();
        assert!(
            detail.contains("has an invalid record on ") && detail.contains(place),
            "{text}: {detail}"
        );
        assert!(
            !detail.contains("secret") && !detail.contains('\n'),
            "{text}: {detail}"
        );
        let verification = app.verified(&id, true).await;
        let problems = verification["problems"].as_array().unwrap();
        let told = problems.iter().any(|problem| {
            problem["key"] == key && problem["detail"].as_str().unwrap().contains(place)
        });
        assert!(
            verification["status"] == "failed" && told,
            "{text}: {verification}"
        );
    }
}

/// Ion has no lines: data next to another record is a record too.
#[tokio::test]
async fn ion_is_read_by_its_grammar() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["export_format"] = json!("ION");
    let id = app.export_to_end(&body).await;
    let text = "$ion_1_0 {Item:{a:1.}} {Item:{\n a:2.\n}}$ion_1_0{Item:{a:3.}} {Record:{Keys:{a:4.},Metadata:{WriteTimestampMicros:1.}}}";
    for line in app.file_lines(&id).await {
        app.s3_put(line["dataFileS3Key"].as_str().unwrap(), &gzip(text))
            .await;
    }
    let read = items(&app, &id, "?limit=4&format=json").await;
    assert_eq!(
        read,
        [
            json!({"a": 1}),
            json!({"a": 2}),
            json!({"a": 3}),
            json!({"Keys": {"a": 4}, "Metadata": {"WriteTimestampMicros": 1}})
        ]
    );
    let verification = app.verified(&id, true).await;
    assert_eq!(verification["items_counted"], 16, "{verification}");
}
