//! Copies and multipart uploads, as S3 does them.

use crate::client::Aws;
use crate::s3_client::s3;

#[tokio::test]
async fn a_copy_takes_or_replaces_what_goes_with_the_object() {
    let aws = Aws::start().await;
    let about = [
        ("x-amz-meta-n", "1"),
        ("content-type", "text/plain"),
        ("content-language", "de"),
    ];
    s3(&aws, "PUT", "exports/k", &about, "hello").await.ok();
    s3(
        &aws,
        "PUT",
        "exports/same",
        &[("x-amz-copy-source", "exports/k"), ("x-amz-meta-n", "2")],
        "",
    )
    .await
    .ok();
    let copied = s3(&aws, "HEAD", "exports/same", &[], "").await.ok();
    assert_eq!(
        (
            copied.header("x-amz-meta-n"),
            copied.header("content-language")
        ),
        ("1", "de")
    );
    let replace = [
        ("x-amz-copy-source", "exports/k"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-meta-n", "2"),
    ];
    s3(&aws, "PUT", "exports/other", &replace, "").await.ok();
    let replaced = s3(&aws, "HEAD", "exports/other", &[], "").await.ok();
    assert_eq!(
        (
            replaced.header("x-amz-meta-n"),
            replaced.header("content-language")
        ),
        ("2", "")
    );
    // A copy onto itself needs a change.
    s3(
        &aws,
        "PUT",
        "exports/k",
        &[("x-amz-copy-source", "exports/k")],
        "",
    )
    .await
    .refused(400, "InvalidRequest");
    s3(&aws, "PUT", "exports/k", &replace, "").await.ok();
    assert_eq!(
        s3(&aws, "HEAD", "exports/k", &[], "")
            .await
            .header("x-amz-meta-n"),
        "2"
    );
}

#[tokio::test]
async fn a_copy_has_conditions_on_its_source() {
    let aws = Aws::start().await;
    let etag = s3(&aws, "PUT", "exports/k", &[], "hello")
        .await
        .ok()
        .header("etag")
        .to_owned();
    let copy = async |name: &str, value: &str| {
        s3(
            &aws,
            "PUT",
            "exports/c",
            &[("x-amz-copy-source", "exports/k"), (name, value)],
            "",
        )
        .await
    };
    copy("x-amz-copy-source-if-match", &etag).await.ok();
    copy("x-amz-copy-source-if-match", "\"no\"")
        .await
        .refused(412, "PreconditionFailed");
    copy("x-amz-copy-source-if-none-match", &etag)
        .await
        .refused(412, "PreconditionFailed");
    copy(
        "x-amz-copy-source-if-unmodified-since",
        "Sat, 01 Jan 2000 00:00:00 GMT",
    )
    .await
    .refused(412, "PreconditionFailed");
    copy("x-amz-source-expected-bucket-owner", "999999999999")
        .await
        .refused(403, "AccessDenied");
}

#[tokio::test]
async fn parts_are_uploaded_copied_listed_and_put_together() {
    let aws = Aws::start().await;
    let five = "x".repeat(5 * 1024 * 1024);
    s3(&aws, "PUT", "exports/source", &[], format!("{five}tail"))
        .await
        .ok();
    let begun = s3(
        &aws,
        "POST",
        "exports/big%01?uploads",
        &[("x-amz-checksum-algorithm", "CRC32")],
        "",
    )
    .await
    .ok();
    let id = begun.element("UploadId").to_owned();
    let range = [
        ("x-amz-copy-source", "exports/source"),
        ("x-amz-copy-source-range", "bytes=0-5242879"),
    ];
    let one = s3(
        &aws,
        "PUT",
        &format!("exports/big%01?partNumber=1&uploadId={id}"),
        &range,
        "",
    )
    .await
    .ok();
    assert!(one.body.contains("<ChecksumCRC32>"), "{}", one.body);
    let one = one.element("ETag").replace("&quot;", "\"");
    let far = [
        ("x-amz-copy-source", "exports/source"),
        ("x-amz-copy-source-range", "bytes=0-9999999"),
    ];
    s3(
        &aws,
        "PUT",
        &format!("exports/big%01?partNumber=2&uploadId={id}"),
        &far,
        "",
    )
    .await
    .refused(400, "InvalidArgument");
    let two = s3(
        &aws,
        "PUT",
        &format!("exports/big%01?partNumber=2&uploadId={id}"),
        &[],
        "tail",
    )
    .await
    .ok()
    .header("etag")
    .to_owned();

    let uploads = s3(&aws, "GET", "exports?uploads&encoding-type=url", &[], "")
        .await
        .ok();
    assert_eq!(
        (uploads.element("UploadId"), uploads.element("Key")),
        (id.as_str(), "big%01")
    );
    let listed = s3(
        &aws,
        "GET",
        &format!("exports/big%01?uploadId={id}&max-parts=1"),
        &[],
        "",
    )
    .await
    .ok();
    assert_eq!(
        (
            listed.element("PartNumber"),
            listed.element("Size"),
            listed.element("IsTruncated")
        ),
        ("1", "5242880", "true")
    );

    let end = |one: &str, two: &str| {
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{one}</ETag></Part><Part><PartNumber>2</PartNumber><ETag>{two}</ETag></Part></CompleteMultipartUpload>"
        )
    };
    let path = format!("exports/big%01?uploadId={id}");
    s3(&aws, "POST", &path, &[], end(&one, "\"wrong\""))
        .await
        .refused(400, "InvalidPart");
    let ended = s3(&aws, "POST", &path, &[], end(&one, &two)).await.ok();
    assert_eq!(
        ended.element("Location"),
        format!("{}/exports/big%01", aws.sim().s3_url())
    );
    assert!(ended.element("ChecksumCRC32").ends_with("-2"));
    assert_eq!(ended.element("ChecksumType"), "COMPOSITE");
    s3(&aws, "POST", &path, &[], end(&one, &two))
        .await
        .refused(404, "NoSuchUpload");

    let part = s3(&aws, "GET", "exports/big%01?partNumber=2", &[], "")
        .await
        .ok();
    assert_eq!(
        (
            part.status,
            part.body.as_str(),
            part.header("x-amz-mp-parts-count")
        ),
        (206, "tail", "2")
    );
    assert_eq!(
        part.header("content-range"),
        "bytes 5242880-5242883/5242884"
    );
    let attributes = [(
        "x-amz-object-attributes",
        "ETag,Checksum,ObjectParts,StorageClass,ObjectSize",
    )];
    let about = s3(&aws, "GET", "exports/big%01?attributes", &attributes, "")
        .await
        .ok();
    assert!(about.element("ETag").ends_with("-2"), "{}", about.body);
    assert_eq!(
        (about.element("ObjectSize"), about.element("StorageClass")),
        ("5242884", "STANDARD")
    );
    assert!(
        about.body.contains("<PartsCount>2</PartsCount>"),
        "{}",
        about.body
    );
    assert!(
        s3(&aws, "GET", "exports?uploads", &[], "")
            .await
            .ok()
            .body
            .contains("<IsTruncated>false</IsTruncated>")
    );
}
