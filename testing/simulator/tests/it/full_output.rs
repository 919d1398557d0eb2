//! The files of a full export: their keys, their checksums, both formats, past times.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Digest as _;
use serde_json::json;
use time::Duration;

use crate::client::{Aws, BUCKET, ORDERS};

fn md5_base64(bytes: &[u8]) -> String {
    BASE64.encode(md5::Md5::digest(bytes))
}

#[tokio::test]
async fn the_chain_of_sums_holds_from_manifest_to_item() {
    let aws = Aws::start().await;
    for number in 0..50 {
        aws.put(
            json!({"pk": {"S": format!("item-{number}")}, "n": {"N": number.to_string()}}),
            Duration::days(1),
        );
    }
    let done = aws.finished(json!({"S3Prefix": "daily"})).await;
    let id = done["ExportArn"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let own = format!("daily/AWSDynamoDB/{id}");
    assert_eq!(
        done["ExportManifest"],
        json!(format!("{own}/manifest-summary.json"))
    );
    assert!(aws.object(&format!("{own}/_started")).await.is_empty());
    for name in ["manifest-summary", "manifest-files"] {
        let sum = aws.object(&format!("{own}/{name}.md5")).await;
        assert_eq!(
            String::from_utf8(sum).unwrap(),
            md5_base64(&aws.object(&format!("{own}/{name}.json")).await)
        );
    }
    let summary = aws.json(&format!("{own}/manifest-summary.json")).await;
    assert_eq!(summary["version"], "2020-06-30");
    assert!(
        summary.get("exportType").is_none(),
        "as in the recorded manifests of AWS's full exports"
    );
    assert_eq!(summary["exportArn"], done["ExportArn"]);
    assert_eq!(summary["tableArn"], json!(ORDERS));
    assert_eq!(summary["tableId"], done["TableId"]);
    assert_eq!(summary["s3Bucket"], json!(BUCKET));
    assert_eq!(summary["s3Prefix"], "daily");
    assert_eq!(summary["s3SseAlgorithm"], "AES256");
    assert_eq!(summary["s3SseKmsKeyId"], json!(null));
    assert_eq!(summary["itemCount"], 50);
    assert_eq!(summary["billedSizeBytes"], done["BilledSizeBytes"]);
    assert_eq!(summary["outputFormat"], "DYNAMODB_JSON");
    assert_eq!(
        summary["manifestFilesS3Key"],
        json!(format!("{own}/manifest-files.json"))
    );
    assert!(summary["exportTime"].as_str().unwrap().ends_with('Z'));
    let files = aws.files(&done).await;
    assert_eq!(files.len(), 4, "one per partition");
    assert_eq!(
        files
            .iter()
            .map(|file| file["itemCount"].as_u64().unwrap())
            .sum::<u64>(),
        50
    );
    for file in &files {
        let key = file["dataFileS3Key"].as_str().unwrap();
        assert!(
            key.starts_with(&format!("{own}/data/")) && key.ends_with(".json.gz"),
            "{key}"
        );
        let response = aws.s3(&format!("{BUCKET}/{key}")).await;
        assert_eq!(
            response.headers()["etag"].to_str().unwrap(),
            format!("\"{}\"", file["etag"].as_str().unwrap())
        );
        assert!(file["etag"].as_str().unwrap().ends_with("-1"));
        assert_eq!(
            file["md5Checksum"],
            json!(md5_base64(&response.bytes().await.unwrap()))
        );
    }
    assert_eq!(aws.records(&done).await.len(), 50);
}

#[tokio::test]
async fn an_empty_table_gives_empty_files() {
    let aws = Aws::with(|settings| settings.partitions = Some(3)).await;
    let done = aws.finished(json!({})).await;
    assert_eq!(aws.files(&done).await.len(), 3);
    assert!(aws.lines(&done).await.is_empty());
}

#[tokio::test]
async fn the_table_is_shown_as_it_was_at_the_export_time() {
    let aws = Aws::start().await;
    let item = |version: &str| json!({"pk": {"S": "a"}, "v": {"S": version}});
    aws.put(item("first"), Duration::days(5));
    aws.put(item("second"), Duration::days(3));
    aws.put(json!({"pk": {"S": "b"}}), Duration::days(4));
    aws.delete(json!({"pk": {"S": "b"}}), Duration::days(2));
    for (ago, records) in [
        (Duration::days(6), vec![]),
        (
            Duration::days(4) - Duration::HOUR,
            vec![
                json!({"Item": item("first")}),
                json!({"Item": {"pk": {"S": "b"}}}),
            ],
        ),
        (Duration::days(1), vec![json!({"Item": item("second")})]),
    ] {
        let done = aws.finished(json!({"ExportTime": aws.ago(ago)})).await;
        let mut found = aws.records(&done).await;
        found.sort_by_key(|record| record["Item"]["pk"].to_string());
        assert_eq!(found, records, "{ago}");
        assert_eq!(done["ItemCount"], records.len());
    }
}

#[tokio::test]
async fn writes_after_the_start_are_not_in_it() {
    let aws = Aws::start().await;
    aws.call(
        "PutItem",
        json!({"TableName": "Orders", "Item": {"pk": {"S": "before"}}}),
    )
    .await
    .ok();
    let arn = aws.started(json!({})).await;
    aws.control()
        .advance(std::time::Duration::from_secs(1))
        .await;
    aws.call(
        "PutItem",
        json!({"TableName": "Orders", "Item": {"pk": {"S": "after"}}}),
    )
    .await
    .ok();
    aws.control().advance(crate::client::LONG_ENOUGH).await;
    let done = aws.description(&arn).await;
    assert_eq!(
        aws.records(&done).await,
        [json!({"Item": {"pk": {"S": "before"}}})]
    );
}

#[tokio::test]
async fn ion_keeps_every_type() {
    let aws = Aws::start().await;
    aws.put(
        json!({"pk": {"S": "a"}, "n": {"N": "103"}, "b": {"B": "aGVsbG8="}, "ss": {"SS": ["x", "y"]}, "ns": {"NS": ["1", "2.5"]},
            "bs": {"BS": ["aGk="]}, "m": {"M": {"k": {"BOOL": true}}}, "l": {"L": [{"NULL": true}]}}),
        Duration::days(1),
    );
    let done = aws.finished(json!({"ExportFormat": "ION"})).await;
    assert!(
        aws.files(&done)
            .await
            .iter()
            .all(|file| file["dataFileS3Key"].as_str().unwrap().ends_with(".ion.gz"))
    );
    let expected = r#"$ion_1_0 {Item:{b:{{aGVsbG8=}},bs:$dynamodb_BS::[{{aGk=}}],l:[null],m:{k:true},n:103.,ns:$dynamodb_NS::[1.,2.5],pk:"a",ss:$dynamodb_SS::["x","y"]}}"#;
    assert_eq!(aws.lines(&done).await, [expected]);
    let summary = aws.json(done["ExportManifest"].as_str().unwrap()).await;
    assert_eq!(summary["outputFormat"], "ION");
}

#[tokio::test]
async fn prefixes_are_kept_as_they_are() {
    let aws = Aws::start().await;
    for (prefix, folder) in [
        ("foo", "foo/AWSDynamoDB/"),
        ("foo/", "foo/AWSDynamoDB/"),
        ("/foo", "/foo/AWSDynamoDB/"),
        ("a//b", "a//b/AWSDynamoDB/"),
    ] {
        let done = aws.finished(json!({"S3Prefix": prefix})).await;
        assert_eq!(done["S3Prefix"], prefix);
        assert!(
            done["ExportManifest"].as_str().unwrap().starts_with(folder),
            "{done}"
        );
        assert!(aws.lines(&done).await.is_empty());
    }
    let long = "p".repeat(1024);
    let done = aws.finished(json!({"S3Prefix": long})).await;
    assert_eq!(
        done["ExportStatus"], "FAILED",
        "S3 has no keys of more than 1,024 bytes"
    );
    let longest = "deep/".repeat(180);
    let done = aws.finished(json!({"S3Prefix": longest})).await;
    assert_eq!(done["ExportStatus"], "COMPLETED");
    assert!(aws.lines(&done).await.is_empty());
}
