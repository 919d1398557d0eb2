//! What every case stands on: a Postgres with fsync on, the simulator without limits, and processes of the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use private_postgres::{DATABASE, Options, PrivatePostgres};
use serde_json::Value;
use tableferry_simulator::{Limits, Seed, Settings, Simulator};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::Failed;

/// A fresh stage for one round.
pub struct Stage {
    program: PathBuf,
    folder: PathBuf,
    database_url: String,
    aws_url: String,
    s3_url: String,
    /// A client for loopback.
    pub http: reqwest::Client,
    postgres: PrivatePostgres,
    simulator: Simulator,
}

/// A process of the service. Dropping it ends it.
pub struct Service {
    /// Its API.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Stage {
    /// Starts Postgres and the simulator.
    pub async fn set_up(program: &Path) -> Result<Self, Failed> {
        if !program.exists() {
            return Err(format!("{} is not there: make bench builds it", program.display()).into());
        }
        let folder = std::env::temp_dir().join(format!("tableferry-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let options = Options { durable: true, ..Options::default() };
        let postgres = tokio::task::spawn_blocking(move || PrivatePostgres::start(options)).await??;
        let settings =
            Settings { seed: Some(Seed::sample()), limits: Limits::unlimited(), any_account: true, ..Settings::new(folder.join("s3")) };
        let simulator = Simulator::start(settings).await?;
        #[expect(clippy::disallowed_methods, reason = "a measurement talks to loopback only")]
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            program: program.to_owned(),
            folder,
            database_url: postgres.url(DATABASE),
            aws_url: simulator.dynamodb_url(),
            s3_url: simulator.s3_url(),
            http,
            postgres,
            simulator,
        })
    }

    /// Starts a process of the service and waits until it is ready.
    pub async fn service(&self, role: &str) -> Result<Service, Failed> {
        let address: SocketAddr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let mut command = Command::new(&self.program);
        command.args(["serve", "--role", role]).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command.stderr(std::fs::File::create(self.folder.join(format!("{role}.log")))?);
        for (name, value) in [
            ("DATABASE_URL", self.database_url.as_str()),
            ("TABLEFERRY_LISTEN", &address.to_string()),
            ("TABLEFERRY_AUTH", "none"),
            ("TABLEFERRY_START_BURST", "100000"),
            ("TABLEFERRY_START_RATE_PER_S", "100000"),
            ("TABLEFERRY_LOOK_BURST", "100000"),
            ("TABLEFERRY_LOOK_RATE_PER_S", "100000"),
            ("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", "true"),
            ("TABLEFERRY_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("TABLEFERRY_LOG", "error"),
            ("AWS_ENDPOINT_URL", &self.aws_url),
            ("AWS_ENDPOINT_URL_S3", &self.s3_url),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
        ] {
            command.env(name, value);
        }
        let child = command.spawn()?;
        let service = Service { url: format!("http://{address}"), address, child };
        for _ in 0..600 {
            let ready = self.http.get(format!("{}/readyz", service.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(service);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("the service did not become ready; its log is {}", self.folder.display()).into())
    }

    /// The URL of an object.
    pub fn s3(&self, bucket: &str, key: &str) -> String {
        format!("{}/{bucket}/{key}", self.s3_url)
    }

    /// The database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// A program of the Postgres that runs.
    pub fn postgres_program(&self, name: &str) -> Result<PathBuf, Failed> {
        Ok(self.postgres.program(name)?)
    }

    /// A folder of this stage's own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets AWS end every export that runs.
    pub async fn finish_exports(&self) {
        self.simulator.control().finish_exports().await;
    }

    /// Sends a POST and reads the JSON of its answer.
    pub async fn post(&self, url: String, body: &Value) -> Result<Value, Failed> {
        let answer = self.http.post(url).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("the service answered {status}: {text}").into());
        }
        Ok(serde_json::from_str(&text)?)
    }
}

impl Service {
    /// The most memory that the process has held so far, in MB.
    pub fn peak_memory_mb(&self) -> Result<f64, Failed> {
        let status = std::fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kb: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kb / 1000.0)
    }

    /// How much processor time the process has used, in seconds.
    pub fn cpu_s(&self) -> Result<f64, Failed> {
        let stat = std::fs::read_to_string(self.proc("stat")?)?;
        // After the name in brackets, user and system time are the 12th and 13th field, in hundredths of a second.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).ok_or("a short /proc/stat");
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    fn proc(&self, file: &str) -> Result<PathBuf, Failed> {
        Ok(PathBuf::from(format!("/proc/{}/{file}", self.child.id().ok_or("the service has ended")?)))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Left behind in the temp folder at worst.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
