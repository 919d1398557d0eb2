//! The environment of every case: a Postgres with fsync on, the simulator without limits, and
//! processes of the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use private_postgres::{DATABASE, Options, PrivatePostgres};
use serde_json::Value;
use tableferry_simulator::{Seed, Settings, Simulator};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::Failed;
use crate::processor;

pub struct Stage {
    program: PathBuf,
    folder: PathBuf,
    objects: PathBuf,
    database_url: String,
    aws_url: String,
    s3_url: String,
    /// A client for loopback.
    pub http: reqwest::Client,
    postgres: PrivatePostgres,
    simulator: Simulator,
}

/// How fast the service may call AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// As AWS allows: the service's defaults.
    Aws,
    /// As fast as it can.
    None,
}

/// A process of the service. Dropping it ends it.
pub struct Service {
    pub url: String,
    pub address: SocketAddr,
    /// How long after its start it was ready.
    pub ready_after: Duration,
    child: Child,
}

impl Stage {
    /// Starts Postgres and the simulator with its sample table.
    pub async fn set_up(program: &Path) -> Result<Self, Failed> {
        let folder = own_folder(std::env::temp_dir());
        Self::with(program, Seed::sample(), 1.0, folder).await
    }

    /// The same, with a table `Ten` of ten items in each of this many accounts, from 100000000000
    /// on, whose exports take a fraction of a second. Their files are written to memory if the
    /// system has a file system there, because S3's disks are not this machine's.
    pub async fn with_tables(program: &Path, accounts: usize) -> Result<Self, Failed> {
        let mut seed = Seed::sample();
        for n in 0..accounts {
            let table = serde_json::json!({
                "name": "Ten", "account": (100_000_000_000_u64 + n as u64).to_string(), "partition_key": {"name": "pk", "kind": "S"},
                "age": "1d", "recovery_age": "1d", "generate": {"count": 10},
            });
            seed.tables.push(serde_json::from_value(table)?);
        }
        let memory = PathBuf::from("/dev/shm");
        let folder = own_folder(if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        });
        Self::with(program, seed, 3600.0, folder).await
    }

    async fn with(
        program: &Path,
        seed: Seed,
        speed: f64,
        objects: PathBuf,
    ) -> Result<Self, Failed> {
        if !program.exists() {
            return Err(format!(
                "{} does not exist; `make bench` builds it",
                program.display()
            )
            .into());
        }
        let folder = own_folder(std::env::temp_dir());
        std::fs::create_dir_all(&folder)?;
        let options = Options {
            durable: true,
            ..Options::default()
        };
        let postgres =
            tokio::task::spawn_blocking(move || PrivatePostgres::start(options)).await??;
        let limits = tableferry_simulator::Limits::unlimited();
        let settings = Settings {
            seed: Some(seed),
            speed,
            limits,
            any_account: true,
            partitions: Some(1),
            ..Settings::new(objects.join("s3"))
        };
        let simulator = Simulator::start(settings).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a measurement talks to loopback only"
        )]
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            program: program.to_owned(),
            folder,
            objects,
            database_url: postgres.url(DATABASE),
            aws_url: simulator.dynamodb_url(),
            s3_url: simulator.s3_url(),
            http,
            postgres,
            simulator,
        })
    }

    /// Points the service at another AWS.
    pub fn set_aws_url(&mut self, url: String) {
        self.aws_url = url;
    }

    /// Starts a process of the service and waits until it is ready.
    pub async fn service(&self, role: &str) -> Result<Service, Failed> {
        self.service_named(role, role).await
    }

    /// The same, with a name for its log.
    pub async fn service_named(&self, role: &str, name: &str) -> Result<Service, Failed> {
        self.start(role, name, Limits::None, &[]).await
    }

    /// The same, with these limits and settings.
    pub async fn service_with(
        &self,
        role: &str,
        limits: Limits,
        settings: &[(&str, &str)],
    ) -> Result<Service, Failed> {
        self.start(role, role, limits, settings).await
    }

    async fn start(
        &self,
        role: &str,
        name: &str,
        limits: Limits,
        settings: &[(&str, &str)],
    ) -> Result<Service, Failed> {
        let address: SocketAddr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--role", role])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command.stderr(std::fs::File::create(
            self.folder.join(format!("{name}.log")),
        )?);
        for (name, value) in [
            ("DATABASE_URL", self.database_url.as_str()),
            ("TABLEFERRY_LISTEN", &address.to_string()),
            ("TABLEFERRY_AUTH", "none"),
            ("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", "true"),
            (
                "TABLEFERRY_ENCRYPTION_KEY",
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            ),
            ("TABLEFERRY_LOG", "error"),
            ("AWS_ENDPOINT_URL", &self.aws_url),
            ("AWS_ENDPOINT_URL_S3", &self.s3_url),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
        ] {
            command.env(name, value);
        }
        if limits == Limits::None {
            for name in [
                "START_BURST",
                "START_RATE_PER_S",
                "LOOK_BURST",
                "LOOK_RATE_PER_S",
                "MAX_EXPORTS_IN_FLIGHT",
            ] {
                command.env(format!("TABLEFERRY_{name}"), "100000");
            }
        }
        command.envs(settings.iter().copied());
        let began = Instant::now();
        let child = command.spawn()?;
        let mut service = Service {
            url: format!("http://{address}"),
            address,
            ready_after: Duration::ZERO,
            child,
        };
        while began.elapsed() < Duration::from_secs(30) {
            let ready = self
                .http
                .get(format!("{}/readyz", service.url))
                .send()
                .await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                service.ready_after = began.elapsed();
                return Ok(service);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(format!(
            "the service did not become ready; its log is {}",
            self.folder.display()
        )
        .into())
    }

    pub fn s3(&self, bucket: &str, key: &str) -> String {
        format!("{}/{bucket}/{key}", self.s3_url)
    }

    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The path of a program of the running Postgres.
    pub fn postgres_program(&self, name: &str) -> Result<PathBuf, Failed> {
        Ok(self.postgres.program(name)?)
    }

    /// CPU time of Postgres, in seconds.
    pub fn postgres_cpu_s(&self) -> Result<f64, Failed> {
        let file = std::fs::read_to_string(self.postgres.data_dir().join("data/postmaster.pid"))?;
        processor::of_all_below(file.lines().next().unwrap_or_default().trim().parse()?)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets AWS end every running export.
    pub async fn finish_exports(&self) {
        self.simulator.control().finish_exports().await;
    }

    /// Sends a POST and reads the JSON of the response.
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
    /// The peak memory of the process, in MB.
    pub fn peak_memory_mb(&self) -> Result<f64, Failed> {
        Ok(self.status_kb("VmHWM:")? / 1000.0)
    }

    /// The current memory of the process, in KB.
    pub fn memory_kb(&self) -> Result<f64, Failed> {
        self.status_kb("VmRSS:")
    }

    fn status_kb(&self, name: &str) -> Result<f64, Failed> {
        let status = std::fs::read_to_string(self.proc("status")?)?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .ok_or("a short /proc/status")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1.024)
    }

    /// CPU time of the process, in seconds.
    pub fn cpu_s(&self) -> Result<f64, Failed> {
        processor::of(self.child.id().ok_or("the service has ended")?)
    }

    fn proc(&self, file: &str) -> Result<PathBuf, Failed> {
        Ok(PathBuf::from(format!(
            "/proc/{}/{file}",
            self.child.id().ok_or("the service has ended")?
        )))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // At worst, files are left behind.
        let _ = std::fs::remove_dir_all(&self.objects);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The subfolder that belongs to this run alone.
fn own_folder(parent: PathBuf) -> PathBuf {
    parent.join(format!("tableferry-bench-{}", std::process::id()))
}
