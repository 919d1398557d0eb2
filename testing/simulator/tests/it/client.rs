//! A minimal client of both endpoints, and the world from which most tests start.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tableferry_simulator::{
    Age, BucketSeed, Control, Limits, Seed, Settings, Simulator, TableSeed,
};

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ORDERS: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";
pub(crate) const BUCKET: &str = "exports";
/// Longer than any export of a small table takes.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_secs(3_600);

/// A simulator and a client to it.
pub(crate) struct Aws {
    pub(crate) sim: Option<Simulator>,
    pub(crate) http: reqwest::Client,
    folder: PathBuf,
}

/// A response: HTTP status and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The error's code, without its namespace.
    pub(crate) fn code(&self) -> &str {
        self.body["__type"]
            .as_str()
            .and_then(|kind| kind.split('#').next_back())
            .unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"]
            .as_str()
            .or_else(|| self.body["Message"].as_str())
            .unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: &str, message: &str) {
        assert_eq!(
            (self.status, self.code(), self.message()),
            (400, code, message),
            "{}",
            self.body
        );
    }
}

/// A folder of this test's own.
pub(crate) fn fresh_folder() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "simulator-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// No limits, a frozen clock, one bucket, and the table Orders: ten days old, with backups since
/// then, empty.
pub(crate) fn settings(folder: PathBuf) -> Settings {
    let days = |days| Age(time::Duration::days(days));
    let orders = TableSeed {
        age: days(10),
        recovery_age: Some(days(10)),
        ..TableSeed::new("Orders")
    };
    let seed = Seed {
        buckets: vec![BucketSeed::new(BUCKET)],
        kms_keys: vec![],
        tables: vec![orders],
    };
    Settings {
        freeze_clock: true,
        limits: Limits::unlimited(),
        seed: Some(seed),
        ..Settings::new(folder)
    }
}

impl Aws {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = fresh_folder();
        let mut settings = settings(folder.clone());
        change(&mut settings);
        Self::over(settings, folder).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test talks to its own simulator only"
    )]
    pub(crate) async fn over(settings: Settings, folder: PathBuf) -> Self {
        let sim = Simulator::start(settings).await.unwrap();
        Self {
            sim: Some(sim),
            http: reqwest::Client::new(),
            folder,
        }
    }

    pub(crate) fn sim(&self) -> &Simulator {
        self.sim.as_ref().unwrap()
    }

    pub(crate) fn control(&self) -> Control {
        self.sim().control()
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Answer {
        self.call_as(ACCOUNT, REGION, operation, input).await
    }

    pub(crate) async fn call_as(
        &self,
        account: &str,
        region: &str,
        operation: &str,
        input: Value,
    ) -> Answer {
        let response = self.send(account, region, operation, input).await.unwrap();
        let status = response.status().as_u16();
        Answer {
            status,
            body: response.json().await.unwrap(),
        }
    }

    pub(crate) async fn send(
        &self,
        account: &str,
        region: &str,
        operation: &str,
        input: Value,
    ) -> reqwest::Result<reqwest::Response> {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self
            .http
            .post(self.sim().dynamodb_url())
            .header("authorization", scope);
        let request = request.header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
        request
            .header("content-type", "application/x-amz-json-1.0")
            .body(input.to_string())
            .send()
            .await
    }

    /// Starts an export of Orders with these members besides the two required ones.
    pub(crate) async fn export(&self, members: Value) -> Answer {
        let mut input = json!({"TableArn": ORDERS, "S3Bucket": BUCKET});
        for (name, value) in members.as_object().unwrap() {
            input[name] = value.clone();
        }
        self.call("ExportTableToPointInTime", input).await
    }

    /// Starts an export that is accepted; returns its ARN.
    pub(crate) async fn started(&self, members: Value) -> String {
        let body = self.export(members).await.ok();
        body["ExportDescription"]["ExportArn"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn description(&self, arn: &str) -> Value {
        self.call("DescribeExport", json!({"ExportArn": arn}))
            .await
            .ok()["ExportDescription"]
            .clone()
    }

    /// Starts an export and lets it end; returns its last description.
    pub(crate) async fn finished(&self, members: Value) -> Value {
        let arn = self.started(members).await;
        self.control().advance(LONG_ENOUGH).await;
        self.description(&arn).await
    }

    /// Puts an item of Orders at a time in the past.
    pub(crate) fn put(&self, item: Value, ago: time::Duration) {
        let control = self.control();
        control
            .put_item(ACCOUNT, REGION, "Orders", &item, control.now() - ago)
            .unwrap();
    }

    /// Deletes an item of Orders at a time in the past.
    pub(crate) fn delete(&self, key: Value, ago: time::Duration) {
        let control = self.control();
        control
            .delete_item(ACCOUNT, REGION, "Orders", &key, control.now() - ago)
            .unwrap();
    }

    pub(crate) async fn s3(&self, path: &str) -> reqwest::Response {
        self.http
            .get(format!("{}/{path}", self.sim().s3_url()))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn object(&self, key: &str) -> Vec<u8> {
        let response = self.s3(&format!("{BUCKET}/{key}")).await;
        assert_eq!(response.status(), 200, "{key}");
        response.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&self.object(key).await).unwrap()
    }

    /// The files that a completed export's manifests list.
    pub(crate) async fn files(&self, description: &Value) -> Vec<Value> {
        let summary = self
            .json(description["ExportManifest"].as_str().unwrap())
            .await;
        let files = self
            .object(summary["manifestFilesS3Key"].as_str().unwrap())
            .await;
        String::from_utf8(files)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Every line of every data file of a completed export.
    pub(crate) async fn lines(&self, description: &Value) -> Vec<String> {
        let mut lines = Vec::new();
        for file in self.files(description).await {
            let bytes = self.object(file["dataFileS3Key"].as_str().unwrap()).await;
            let mut text = String::new();
            flate2::read::GzDecoder::new(bytes.as_slice())
                .read_to_string(&mut text)
                .unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines.sort();
        lines
    }

    /// The same, parsed as JSON.
    pub(crate) async fn records(&self, description: &Value) -> Vec<Value> {
        self.lines(description)
            .await
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Epoch seconds of a moment this long ago, on the simulator's clock.
    pub(crate) fn ago(&self, ago: time::Duration) -> Value {
        json!((self.control().now() - ago).unix_timestamp())
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.sim.take();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
