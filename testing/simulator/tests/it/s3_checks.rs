//! S3's checks of a request: checksums, conditions, ranges.

use crate::client::Aws;
use crate::s3_client::s3;

#[tokio::test]
async fn sums_are_checked_kept_and_given_back() {
    let aws = Aws::start().await;
    let put = async |name: &str, value: &str| {
        s3(&aws, "PUT", "exports/k", &[(name, value)], "hello").await
    };
    put("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .await
        .refused(400, "BadDigest");
    put("content-md5", "nonsense")
        .await
        .refused(400, "InvalidDigest");
    put("content-md5", "XUFAKrxLKna5cZ2REBfFkg==").await.ok();
    for (algorithm, sum, wrong) in [
        ("crc32", "NhCmhg==", "AAAAAA=="),
        ("crc32c", "mnG7TA==", "AAAAAA=="),
        (
            "sha1",
            "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        (
            "sha256",
            "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    ] {
        let header = format!("x-amz-checksum-{algorithm}");
        put(&header, wrong).await.refused(400, "BadDigest");
        put(&header, "AAA=").await.refused(400, "InvalidRequest");
        assert_eq!(put(&header, sum).await.ok().header(&header), sum);
        let shown = s3(
            &aws,
            "GET",
            "exports/k",
            &[("x-amz-checksum-mode", "ENABLED")],
            "",
        )
        .await
        .ok();
        assert_eq!(
            (shown.header(&header), shown.header("x-amz-checksum-type")),
            (sum, "FULL_OBJECT")
        );
        assert_eq!(
            s3(&aws, "GET", "exports/k", &[], "").await.header(&header),
            "",
            "only where it is asked for"
        );
    }
    let two = [
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-checksum-crc32c", "mnG7TA=="),
    ];
    s3(&aws, "PUT", "exports/k", &two, "hello")
        .await
        .refused(400, "InvalidRequest");
    // Without one, S3 computes CRC64NVME.
    assert!(
        !s3(&aws, "PUT", "exports/k", &[], "hello")
            .await
            .ok()
            .header("x-amz-checksum-crc64nvme")
            .is_empty()
    );
}

#[tokio::test]
async fn reads_have_conditions() {
    let aws = Aws::start().await;
    let etag = s3(&aws, "PUT", "exports/k", &[], "hello")
        .await
        .ok()
        .header("etag")
        .to_owned();
    let modified = s3(&aws, "HEAD", "exports/k", &[], "")
        .await
        .ok()
        .header("last-modified")
        .to_owned();
    for method in ["GET", "HEAD"] {
        for (name, value, status) in [
            ("if-match", etag.as_str(), 200),
            ("if-match", "\"no\"", 412),
            ("if-none-match", &etag, 304),
            ("if-none-match", "\"no\"", 200),
            ("if-modified-since", &modified, 304),
            ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT", 200),
            ("if-unmodified-since", &modified, 200),
            ("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT", 412),
        ] {
            let answer = s3(&aws, method, "exports/k", &[(name, value)], "").await;
            assert_eq!(answer.status, status, "{method} {name} {value}");
            if status == 304 {
                assert_eq!(
                    (answer.header("etag"), answer.header("last-modified")),
                    (etag.as_str(), modified.as_str())
                );
            }
        }
    }
    let ranged = s3(&aws, "HEAD", "exports/k", &[("range", "bytes=1-2")], "").await;
    assert_eq!(
        (
            ranged.status,
            ranged.header("content-length"),
            ranged.header("content-range")
        ),
        (206, "2", "bytes 1-2/5")
    );
    s3(&aws, "GET", "exports/k", &[("range", "bytes=9-")], "")
        .await
        .refused(416, "InvalidRange");
}

#[tokio::test]
async fn writes_and_deletions_have_conditions() {
    let aws = Aws::start().await;
    let put = async |name: &str, value: &str| {
        s3(&aws, "PUT", "exports/k", &[(name, value)], "hello").await
    };
    put("if-match", "\"no\"").await.refused(404, "NoSuchKey");
    let etag = put("if-none-match", "*")
        .await
        .ok()
        .header("etag")
        .to_owned();
    put("if-none-match", "*")
        .await
        .refused(412, "PreconditionFailed");
    put("if-match", "\"no\"")
        .await
        .refused(412, "PreconditionFailed");
    put("if-match", &etag).await.ok();
    put("x-amz-write-offset-bytes", "5")
        .await
        .refused(501, "NotImplemented");
    assert_eq!(
        s3(&aws, "GET", "exports/k", &[], "").await.ok().body,
        "hello"
    );
    s3(&aws, "DELETE", "exports/k", &[("if-match", "\"no\"")], "")
        .await
        .refused(412, "PreconditionFailed");
    assert_eq!(
        s3(&aws, "DELETE", "exports/k", &[("if-match", &etag)], "")
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn an_empty_put_that_expects_a_word_first_ends_its_connection() {
    let aws = Aws::start().await;
    let expect = [("expect", "100-continue")];
    let empty = s3(
        &aws,
        "PUT",
        "exports/_started",
        &[("expect", "100-continue"), ("content-length", "0")],
        "",
    )
    .await
    .ok();
    assert_eq!(empty.header("connection"), "close");
    assert_eq!(
        s3(&aws, "PUT", "exports/k", &expect, "hello")
            .await
            .ok()
            .header("connection"),
        ""
    );
}
