//! The manifest and the files of a completed export.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tableferry_simulator::BucketSeed;

use crate::support::{BUCKET, TestApp, TestOptions, ago, books_body, client, create_body, gunzip};

#[tokio::test]
async fn the_manifest_says_what_both_manifests_say() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_prefix"] = json!("daily");
    let id = app.export_to_end(&body).await;
    let export = app.export(&id).await;
    let manifest = app
        .get(&format!("/v1/exports/{id}/manifest"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&manifest["files_count"], &manifest["item_count"]),
        (&json!(4), &export["item_count"])
    );
    assert_eq!(manifest["summary"]["exportArn"], export["arn"]);
    assert_eq!(manifest["summary"]["version"], "2020-06-30");
    let mut size = 0;
    for line in app.file_lines(&id).await {
        size += app
            .s3_get(line["dataFileS3Key"].as_str().unwrap())
            .await
            .len();
    }
    assert_eq!(manifest["size_bytes"], size);
    app.get(&format!("/v1/exports/{id}/manifest?deep=true"))
        .await
        .expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn what_aws_adds_is_kept_and_what_it_leaves_out_is_not_missed() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_prefix"] = json!("daily");
    let id = app.export_to_end(&body).await;
    // As AWS's documentation shows it: keys without the prefix, lines with only a key.
    let lines = app.file_lines(&id).await.into_iter().map(|line| {
        let key = line["dataFileS3Key"]
            .as_str()
            .unwrap()
            .trim_start_matches("daily/")
            .to_owned();
        format!("{}\n\n", json!({"dataFileS3Key": key, "somethingNew": 1}))
    });
    let files_key = app.files_key(&id).await;
    app.put_manifest(&files_key, &lines.collect::<String>())
        .await;
    let summary = json!({"somethingNew": {"a": [1]}, "manifestFilesS3Key": files_key.trim_start_matches("daily/")});
    app.put_manifest(
        &files_key.replace("manifest-files", "manifest-summary"),
        &summary.to_string(),
    )
    .await;
    let manifest = app
        .get(&format!("/v1/exports/{id}/manifest"))
        .await
        .expect(200)
        .json;
    assert_eq!(manifest["summary"], summary);
    assert_eq!(
        (&manifest["files_count"], &manifest["item_count"]),
        (&json!(4), &json!(0))
    );
    let files = app
        .get(&format!("/v1/exports/{id}/files"))
        .await
        .expect(200)
        .json["files"]
        .clone();
    for file in files.as_array().unwrap() {
        assert!(
            file["key"]
                .as_str()
                .unwrap()
                .starts_with("daily/AWSDynamoDB/"),
            "{file}"
        );
        assert!(file["size_bytes"].as_u64().unwrap() > 0);
        assert_eq!(
            (&file["item_count"], &file["md5"], &file["etag"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }
    assert_eq!(app.verified(&id, true).await["status"], "passed");
}

#[tokio::test]
async fn files_come_page_by_page_with_urls_that_anybody_can_read() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    let lines = app.file_lines(&id).await;
    let (mut files, mut token) = (Vec::new(), String::new());
    loop {
        let page = app
            .get(&format!(
                "/v1/exports/{id}/files?presign=15m&page_size=1{token}"
            ))
            .await
            .expect(200)
            .json;
        assert_eq!(page["files"].as_array().unwrap().len(), 1);
        files.extend(page["files"].as_array().unwrap().clone());
        let Some(next) = page["next_page_token"].as_str() else {
            break;
        };
        token = format!("&page_token={next}");
    }
    assert_eq!(files.len(), lines.len());
    for (file, line) in files.iter().zip(&lines) {
        assert_eq!(
            (
                &file["key"],
                &file["item_count"],
                &file["md5"],
                &file["etag"]
            ),
            (
                &line["dataFileS3Key"],
                &line["itemCount"],
                &line["md5Checksum"],
                &line["etag"]
            )
        );
        let bytes = client()
            .get(file["url"].as_str().unwrap())
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(file["size_bytes"], bytes.len());
        assert_eq!(
            u64::try_from(gunzip(&bytes).lines().count()).unwrap(),
            line["itemCount"].as_u64().unwrap()
        );
    }
    let whole = app
        .get(&format!("/v1/exports/{id}/files"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&whole["files"][0]["url"], &whole["next_page_token"]),
        (&Value::Null, &Value::Null)
    );
    // A missing file is listed, without a length.
    app.s3_delete(lines[0]["dataFileS3Key"].as_str().unwrap())
        .await;
    assert_eq!(
        app.get(&format!("/v1/exports/{id}/files"))
            .await
            .expect(200)
            .json["files"][0]["size_bytes"],
        Value::Null
    );
    assert_eq!(
        app.get(&format!("/v1/exports/{id}/manifest"))
            .await
            .expect(200)
            .json["size_bytes"],
        Value::Null
    );
    for query in [
        "presign=1s",
        "presign=13h",
        "presign=soon",
        "page_size=0",
        "page_size=201",
        "page_token=AAAA",
    ] {
        let problem = app
            .get(&format!("/v1/exports/{id}/files?{query}"))
            .await
            .expect_problem(400, "invalid-parameter");
        assert_eq!(
            problem.pointers(),
            [format!("#query/{}", query.split('=').next().unwrap())]
        );
    }
    let other = app.export_to_end(&create_body()).await;
    app.get(&format!("/v1/exports/{other}/files?page_size=1{token}"))
        .await
        .expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn each_export_of_a_shared_folder_has_its_own_files() {
    let app = TestApp::start().await;
    app.make_books();
    let mut body = books_body();
    body["export_type"] = json!("INCREMENTAL_EXPORT");
    body["incremental_export_specification"] =
        json!({"export_from_time": ago(7200), "export_to_time": ago(1200)});
    let mut keys = BTreeSet::new();
    for _ in 0..3 {
        let id = app.export_to_end(&body).await;
        let files = app
            .get(&format!("/v1/exports/{id}/files"))
            .await
            .expect(200)
            .json["files"]
            .clone();
        let items: u64 = files
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["item_count"].as_u64().unwrap())
            .sum();
        assert_eq!((files.as_array().unwrap().len(), items), (4, 4));
        keys.extend(
            files
                .as_array()
                .unwrap()
                .iter()
                .map(|file| file["key"].as_str().unwrap().to_owned()),
        );
        let manifest = app
            .get(&format!("/v1/exports/{id}/manifest"))
            .await
            .expect(200)
            .json;
        assert_eq!(
            (&manifest["summary"]["version"], &manifest["files_count"]),
            (&json!("2023-08-01"), &json!(4))
        );
    }
    assert_eq!(keys.len(), 12);
    assert!(keys.iter().all(|key| key.starts_with("AWSDynamoDB/data/")));
}

#[tokio::test]
async fn a_bucket_in_another_region_is_found() {
    let app = TestApp::start().await;
    app.aws
        .create_bucket(BucketSeed {
            region: Some("eu-west-1".to_owned()),
            ..BucketSeed::new("elsewhere")
        })
        .unwrap();
    let mut body = create_body();
    body["s3_bucket"] = json!("elsewhere");
    let id = app.export_to_end(&body).await;
    let files = app
        .get(&format!("/v1/exports/{id}/files?presign=1m"))
        .await
        .expect(200)
        .json;
    assert!(
        files["files"][0]["url"]
            .as_str()
            .unwrap()
            .contains("eu-west-1"),
        "{files}"
    );
}

#[tokio::test]
async fn only_a_completed_export_has_files() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    for call in ["manifest", "files", "items"] {
        app.get(&format!("/v1/exports/{id}/{call}"))
            .await
            .expect_problem(409, "not-completed");
        app.get(&format!("/v1/exports/nobody/{call}"))
            .await
            .expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    let key = app.files_key(&id).await;
    app.s3_put(&key, b"no json\n").await;
    for call in ["manifest", "files", "items"] {
        let told = app
            .get(&format!("/v1/exports/{id}/{call}"))
            .await
            .expect_problem(422, "output-unreadable");
        assert!(
            told.json["detail"].as_str().unwrap().starts_with(&key),
            "{}",
            told.text
        );
    }
    app.s3_delete(&key).await;
    for call in ["manifest", "files", "items"] {
        app.get(&format!("/v1/exports/{id}/{call}"))
            .await
            .expect_problem(422, "output-unreadable");
    }
}

#[tokio::test]
async fn s3_that_is_away_is_told_and_hurts_nothing_else() {
    let app = TestApp::start_with(TestOptions {
        s3_is_away: true,
        ..TestOptions::default()
    })
    .await;
    let id = app.export_to_end(&create_body()).await;
    assert_eq!(app.export(&id).await["s3_bucket"], BUCKET);
    for call in ["manifest", "files", "items"] {
        let told = app
            .get(&format!("/v1/exports/{id}/{call}"))
            .await
            .expect_problem(503, "aws-unavailable");
        assert!(!told.header("retry-after").is_empty());
    }
}
