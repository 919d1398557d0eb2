//! Listings, errors and responses about buckets.

use crate::client::{Aws, BUCKET};
use crate::s3_client::s3;

#[tokio::test]
async fn listings_are_encoded_where_that_is_asked_for() {
    let aws = Aws::start().await;
    s3(&aws, "PUT", "exports/a%20b/x%2By%01%C3%A9", &[], "1")
        .await
        .ok();
    for version in ["list-type=2", "max-keys=10", "versions"] {
        let listed = s3(
            &aws,
            "GET",
            &format!("exports?{version}&encoding-type=url&prefix=a%20b/"),
            &[],
            "",
        )
        .await
        .ok();
        assert_eq!(listed.element("EncodingType"), "url");
        assert_eq!(
            (listed.element("Key"), listed.element("Prefix")),
            ("a+b/x%2By%01%C3%A9", "a+b/")
        );
        let plain = s3(&aws, "GET", &format!("exports?{version}"), &[], "")
            .await
            .ok();
        assert_eq!(
            plain.element("Key"),
            "a b/x+y&#x1;é",
            "a control character is written as a reference"
        );
        let folded = s3(
            &aws,
            "GET",
            &format!("exports?{version}&delimiter=%20&encoding-type=url"),
            &[],
            "",
        )
        .await
        .ok();
        assert!(
            folded
                .body
                .contains("<CommonPrefixes><Prefix>a+</Prefix></CommonPrefixes>"),
            "{}",
            folded.body
        );
        assert_eq!(folded.element("Delimiter"), "+");
    }
}

#[tokio::test]
async fn pages_follow_each_other_in_both_versions() {
    let aws = Aws::start().await;
    for key in ["a", "b\u{1}", "c/1"] {
        s3(
            &aws,
            "PUT",
            &format!("exports/{}", key.replace('\u{1}', "%01")),
            &[],
            "1",
        )
        .await
        .ok();
    }
    let first = s3(
        &aws,
        "GET",
        "exports?list-type=2&max-keys=2&fetch-owner=true",
        &[],
        "",
    )
    .await
    .ok();
    assert_eq!(first.element("ID"), "123456789012");
    let token = first.element("NextContinuationToken");
    let second = s3(
        &aws,
        "GET",
        &format!("exports?list-type=2&continuation-token={token}"),
        &[],
        "",
    )
    .await
    .ok();
    assert_eq!(
        (second.element("Key"), second.element("IsTruncated")),
        ("c/1", "false")
    );
    s3(
        &aws,
        "GET",
        "exports?list-type=2&continuation-token=%20",
        &[],
        "",
    )
    .await
    .refused(400, "InvalidArgument");
    // Version 1 returns a next marker only with a delimiter, and always the owner.
    let plain = s3(&aws, "GET", "exports?max-keys=1", &[], "").await.ok();
    assert!(
        !plain.body.contains("NextMarker") && plain.body.contains("<Owner>"),
        "{}",
        plain.body
    );
    assert_eq!(
        s3(&aws, "GET", "exports?max-keys=1&delimiter=/", &[], "")
            .await
            .ok()
            .element("NextMarker"),
        "a"
    );
}

#[tokio::test]
async fn every_answer_has_the_ids_of_its_request() {
    let aws = Aws::start().await;
    let missing = s3(&aws, "GET", "exports/no%26where", &[], "").await;
    missing.refused(404, "NoSuchKey");
    assert_eq!(missing.element("Resource"), "/exports/no&amp;where");
    assert_eq!(
        missing.element("RequestId"),
        missing.header("x-amz-request-id")
    );
    assert_eq!(missing.element("HostId"), missing.header("x-amz-id-2"));
    let listed = s3(&aws, "GET", "exports", &[], "").await.ok();
    assert_eq!(listed.header("x-amz-request-id").len(), 16);
    assert_ne!(
        listed.header("x-amz-request-id"),
        missing.header("x-amz-request-id")
    );
    s3(
        &aws,
        "PUT",
        &format!("exports/{}", "k".repeat(1025)),
        &[],
        "",
    )
    .await
    .refused(400, "KeyTooLongError");
    s3(&aws, "PUT", "UPPER_", &[], "")
        .await
        .refused(400, "InvalidBucketName");
}

#[tokio::test]
async fn buckets_answer_what_terraform_and_others_ask_first() {
    let aws = Aws::start().await;
    for (query, element) in [
        ("versioning", "VersioningConfiguration"),
        ("acl", "FULL_CONTROL"),
        ("encryption", "AES256"),
        ("requestPayment", "BucketOwner"),
        ("logging", "BucketLoggingStatus"),
        ("accelerate", "AccelerateConfiguration"),
        ("notification", "NotificationConfiguration"),
        ("ownershipControls", "BucketOwnerEnforced"),
        ("publicAccessBlock", "BlockPublicAcls"),
        ("uploads", "ListMultipartUploadsResult"),
    ] {
        let answer = s3(&aws, "GET", &format!("{BUCKET}?{query}"), &[], "")
            .await
            .ok();
        assert!(answer.body.contains(element), "{query}: {}", answer.body);
    }
    for (query, code) in [
        ("tagging", "NoSuchTagSet"),
        ("cors", "NoSuchCORSConfiguration"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ] {
        s3(&aws, "GET", &format!("{BUCKET}?{query}"), &[], "")
            .await
            .refused(404, code);
    }
    let tags = "<Tagging><TagSet><Tag><Key>team</Key><Value>data</Value></Tag></TagSet></Tagging>";
    s3(&aws, "PUT", &format!("{BUCKET}?tagging"), &[], tags)
        .await
        .ok();
    assert_eq!(
        s3(&aws, "GET", &format!("{BUCKET}?tagging"), &[], "")
            .await
            .ok()
            .element("Value"),
        "data"
    );
    s3(&aws, "DELETE", &format!("{BUCKET}?tagging"), &[], "")
        .await
        .ok();
    s3(&aws, "GET", &format!("{BUCKET}?tagging"), &[], "")
        .await
        .refused(404, "NoSuchTagSet");
    let none = s3(&aws, "GET", "?prefix=other", &[], "").await.ok();
    assert!(!none.body.contains("<Bucket>"), "{}", none.body);
    assert!(
        s3(&aws, "GET", "?prefix=exp", &[], "")
            .await
            .ok()
            .body
            .contains("<Name>exports</Name>")
    );
}

#[tokio::test]
async fn a_browsers_form_uploads_a_file() {
    let aws = Aws::start().await;
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nhello\r\n--b--\r\n";
    let form = [
        field("key", "from/form"),
        field("x-amz-credential", "A/20260101/us-east-1/s3/aws4_request"),
        field("x-amz-signature", "0"),
    ];
    let form = form.concat() + file;
    s3(
        &aws,
        "POST",
        BUCKET,
        &[("content-type", "multipart/form-data; boundary=b")],
        form,
    )
    .await
    .ok();
    assert_eq!(
        s3(&aws, "GET", "exports/from/form", &[], "")
            .await
            .ok()
            .body,
        "hello"
    );
}
