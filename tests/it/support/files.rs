//! The contents of S3: a table with a known history, and objects that tests read, change and remove
//! without the service's knowledge.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use md5::Digest as _;
use reqwest::Method;
use serde_json::{Value, json};
use tableferry::signals::Signals;
use tableferry::worker::runner;
use tableferry::worker::verification_worker::VerificationWorker;

use super::{Answer, BUCKET, FAR_AHEAD, TestApp};

/// The ARN of the table that [`TestApp::make_books`] creates.
const BOOKS: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/Books";

/// A body that exports it.
pub fn books_body() -> Value {
    json!({"table_arn": BOOKS, "s3_bucket": BUCKET})
}

impl TestApp {
    /// A table of 40 items, of which one in ten was changed or deleted an hour ago. Returns the
    /// current items by key.
    pub fn make_books(&self) -> Vec<Value> {
        let item = |number: u32, price: &str| {
            json!({
                "pk": {"S": format!("book-{number:02}")}, "price": {"N": price}, "tags": {"SS": ["a", "b"]}, "sizes": {"NS": ["1", "2.5"]},
                "cover": {"B": "aGVsbG8="}, "pages": {"BS": ["aGk="]}, "open": {"BOOL": true}, "note": {"NULL": true},
                "list": {"L": [{"N": "12345678901234567890123456789012345678"}, {"S": "line\nbreak \u{1} \"é\" $ion_1_0"}]}, "map": {"M": {"k": {"M": {}}}},
            })
        };
        let items: Vec<_> = (0..40).map(|number| item(number, "12.5")).collect();
        let changes = (0..4).map(|tens| match tens {
            3 => json!({"age": "1h", "delete": {"pk": {"S": "book-30"}}}),
            _ => json!({"age": "1h", "put": item(tens * 10, "-99")}),
        });
        let seed = json!({
            "name": "Books", "partition_key": {"name": "pk", "kind": "S"}, "age": "5d", "recovery_age": "5d",
            "items": items, "history": changes.collect::<Vec<_>>(),
        });
        self.aws
            .create_table(&serde_json::from_value(seed).unwrap())
            .unwrap();
        (0..40)
            .filter(|n| *n != 30)
            .map(|n| item(n, if n % 10 == 0 { "-99" } else { "12.5" }))
            .collect()
    }

    /// Takes a turn of every verification, due or not. Returns their number.
    pub async fn step_verifications(&self) -> usize {
        self.step_verifications_of(&self.workers.verifications)
            .await
    }

    /// The same with another worker.
    pub async fn step_verifications_of(&self, worker: &VerificationWorker) -> usize {
        runner::step(worker, FAR_AHEAD).await.unwrap()
    }

    /// A worker of another replica that checks one file per turn.
    pub async fn slow_verifier(&self) -> VerificationWorker {
        let aws = Arc::new(self.another_aws().await);
        let worker =
            VerificationWorker::new(self.store(), aws, self.clock.clone(), Signals::default());
        VerificationWorker {
            turn: Duration::ZERO,
            ..worker
        }
    }

    /// Requests a verification.
    pub async fn verify(&self, id: &str, deep: bool) -> Answer {
        self.send(
            self.request(Method::POST, &format!("/v1/exports/{id}/verify"))
                .json(&json!({"deep": deep})),
        )
        .await
    }

    /// Verifies to the end. Returns the export's `verification`.
    pub async fn verified(&self, id: &str, deep: bool) -> Value {
        let begun = self.verify(id, deep).await.expect(202).json;
        assert_eq!(begun["verification"]["status"], "running");
        self.step_verifications().await;
        let verification = self.export(id).await["verification"].clone();
        assert_ne!(verification["status"], "running", "{verification}");
        verification
    }

    /// The lines of an export's manifest-files.json.
    pub async fn file_lines(&self, id: &str) -> Vec<Value> {
        let text = String::from_utf8(self.s3_get(&self.files_key(id).await).await).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub async fn files_key(&self, id: &str) -> String {
        let summary_key = self.export(id).await["manifest_files_s3_key"]
            .as_str()
            .unwrap()
            .to_owned();
        summary_key.replace("manifest-summary", "manifest-files")
    }

    /// The key of the data file with the most items.
    pub async fn fullest_file(&self, id: &str) -> String {
        let lines = self.file_lines(id).await;
        let fullest = lines
            .iter()
            .max_by_key(|line| line["itemCount"].as_u64())
            .unwrap();
        fullest["dataFileS3Key"].as_str().unwrap().to_owned()
    }

    /// Writes a manifest together with its checksum, as an attacker would.
    pub async fn put_manifest(&self, key: &str, text: &str) {
        self.s3_put(key, text.as_bytes()).await;
        self.s3_put(
            &key.replace(".json", ".md5"),
            md5_base64(text.as_bytes()).as_bytes(),
        )
        .await;
    }

    pub async fn s3_get(&self, key: &str) -> Vec<u8> {
        let response = super::client()
            .get(format!("{}/{BUCKET}/{key}", self.s3_url))
            .send()
            .await
            .unwrap();
        assert!(
            response.status().is_success(),
            "{key}: {}",
            response.status()
        );
        response.bytes().await.unwrap().to_vec()
    }

    pub async fn s3_put(&self, key: &str, bytes: &[u8]) {
        let response = super::client()
            .put(format!("{}/{BUCKET}/{key}", self.s3_url))
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert!(
            response.status().is_success(),
            "{key}: {}",
            response.status()
        );
    }

    pub async fn s3_delete(&self, key: &str) {
        let response = super::client()
            .delete(format!("{}/{BUCKET}/{key}", self.s3_url))
            .send()
            .await
            .unwrap();
        assert!(
            response.status().is_success(),
            "{key}: {}",
            response.status()
        );
    }

    /// Changes an object's bytes without S3's knowledge: length and ETag are reported as before.
    pub fn rot(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.s3_folder.join(BUCKET).join(key);
        let mut bytes = std::fs::read(&file).unwrap();
        change(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
    }
}

pub fn md5_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(bytes))
}

pub fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
