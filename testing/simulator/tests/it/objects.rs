//! The S3 endpoint, as S3 clients see it.

use crate::client::{Aws, BUCKET};

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=ANYBODY/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

async fn put(aws: &Aws, path: &str, body: &str) -> reqwest::Response {
    let request = aws
        .http
        .put(format!("{}/{path}", aws.sim().s3_url()))
        .header("authorization", SIGNED);
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn objects_are_put_got_listed_and_deleted() {
    let aws = Aws::start().await;
    assert_eq!(
        put(&aws, "exports/a/b.txt", "hello").await.headers()["etag"],
        "\"5d41402abc4b2a76b9719d911017c592\""
    );
    let got = aws.s3("exports/a/b.txt").await;
    assert_eq!(
        got.headers()["etag"],
        "\"5d41402abc4b2a76b9719d911017c592\""
    );
    assert_eq!(got.text().await.unwrap(), "hello");
    let listed = aws
        .s3("exports?list-type=2&prefix=a/")
        .await
        .text()
        .await
        .unwrap();
    assert!(
        listed.contains("<Key>a/b.txt</Key>") && listed.contains("<KeyCount>1</KeyCount>"),
        "{listed}"
    );
    let gone = aws
        .http
        .delete(format!("{}/exports/a/b.txt", aws.sim().s3_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(gone.status(), 204);
    let missing = aws.s3("exports/a/b.txt").await;
    assert_eq!(missing.status(), 404);
    assert!(
        missing
            .text()
            .await
            .unwrap()
            .contains("<Code>NoSuchKey</Code>")
    );
    assert!(
        aws.s3("nowhere/x")
            .await
            .text()
            .await
            .unwrap()
            .contains("<Code>NoSuchBucket</Code>")
    );
}

#[tokio::test]
async fn any_key_has_a_place() {
    let aws = Aws::start().await;
    for key in [
        "a",
        "a/b",
        "a/b/c",
        "double//slash",
        "x/../y",
        &"long".repeat(200),
    ] {
        let path = format!("exports/{}", key.replace("..", "%2E%2E"));
        if key.contains("..") {
            // The client would resolve the dots before sending.
            continue;
        }
        assert_eq!(put(&aws, &path, key).await.status(), 200, "{key}");
        assert_eq!(aws.s3(&path).await.text().await.unwrap(), key);
    }
    for key in ["a", "a/b", "a/b/c"] {
        assert_eq!(
            aws.s3(&format!("exports/{key}"))
                .await
                .text()
                .await
                .unwrap(),
            key,
            "a key may be a prefix of another"
        );
    }
}

#[tokio::test]
async fn a_bucket_has_a_region_and_an_owner() {
    let aws = Aws::start().await;
    let head = aws
        .http
        .head(format!("{}/{BUCKET}", aws.sim().s3_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(head.headers()["x-amz-bucket-region"], "us-east-1");
    for (owner, status) in [("123456789012", 200), ("999999999999", 403)] {
        let request = aws
            .http
            .head(format!("{}/{BUCKET}", aws.sim().s3_url()))
            .header("x-amz-expected-bucket-owner", owner);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let body = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(put(&aws, "far-away", body).await.status(), 200);
    assert!(
        aws.s3("far-away?location")
            .await
            .text()
            .await
            .unwrap()
            .contains("eu-west-1")
    );
    assert!(
        put(&aws, "far-away", body)
            .await
            .text()
            .await
            .unwrap()
            .contains("BucketAlreadyOwnedByYou")
    );
    // In us-east-1 creating a bucket again succeeds, but not if it is in another region.
    assert_eq!(put(&aws, BUCKET, "").await.status(), 200);
    assert!(
        put(&aws, "far-away", "")
            .await
            .text()
            .await
            .unwrap()
            .contains("BucketAlreadyOwnedByYou")
    );
}

#[tokio::test]
async fn chunked_uploads_are_joined() {
    let aws = Aws::start().await;
    let request = aws
        .http
        .put(format!("{}/exports/chunked", aws.sim().s3_url()))
        .header("authorization", SIGNED);
    let request = request
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked");
    let request = request
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .header("x-amz-decoded-content-length", "5");
    let sent = request
        .body("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    let got = aws.s3("exports/chunked").await;
    assert!(got.headers().get("content-encoding").is_none());
    assert_eq!(got.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_presigned_url_past_its_time_is_refused() {
    let aws = Aws::start().await;
    put(&aws, "exports/a", "hello").await;
    let query = |date: &str| {
        format!(
            "exports/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date={date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
        )
    };
    assert_eq!(aws.s3(&query("99990101T000000Z")).await.status(), 200);
    let old = aws.s3(&query("20200101T000000Z")).await;
    assert_eq!(old.status(), 403);
    assert!(old.text().await.unwrap().contains("Request has expired"));
}
