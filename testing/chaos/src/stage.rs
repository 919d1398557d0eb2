//! Everything that runs during a run: set up, shared, torn down.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tableferry_simulator::{
    Age, BucketSeed, Control, Seed, Settings as SimulatorSettings, Simulator, TableSeed,
};
use time::OffsetDateTime;

use crate::endpoints::{self, Endpoint};
use crate::ledger::Ledger;
use crate::proxy::Proxy;
use crate::receiver::{Receiver, SERVICE_SECRET};
use crate::replica::Replica;
use crate::resumes::Limits;
use crate::servers::Servers;
use crate::trouble::{ENDPOINTS, Link, REPLICAS};
use crate::{Arguments, Failed, database};

/// The regions. Each is a lane of its own in AWS's throttles.
pub const REGIONS: [&str; 6] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-southeast-2",
    "sa-east-1",
];
/// The regions of the exports that judge `/readyz`: enough of them that AWS throttles none.
pub const HONESTY_REGIONS: [&str; 10] = [
    "us-east-2",
    "us-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-1",
    "ap-south-1",
    "ca-central-1",
];
/// The regions of the exports that measure recovery, one per replica, so that no other export is
/// ahead of them.
pub const PROBE_REGIONS: [&str; REPLICAS] = ["eu-south-1", "me-south-1", "af-south-1"];
/// A table of each region that can be exported.
pub const TABLE: &str = "Ledger";
/// A table of each region that AWS rejects for export.
pub const TABLE_WITHOUT_RECOVERY: &str = "NoBackups";
/// A bucket that accepts exports.
pub const BUCKET: &str = "chaos-exports";
/// Encrypts secrets in the database: a setting of the replicas.
const ENCRYPTION_KEY: &str = "dGFibGVmZXJyeSBjaGFvcywgdGhlIHNlYWxpbmcga2U=";
pub const ACCOUNT: &str = tableferry_simulator::DEFAULT_ACCOUNT_ID;

/// How long a replica may take to become ready when nothing is broken.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// Everything that runs. Cheap to clone.
#[derive(Clone)]
pub struct Stage {
    /// The prefix of every key of this run.
    pub name: Arc<str>,
    /// How soon the service must work again after a round.
    pub limits: Limits,
    /// Logs, and the simulator's S3.
    pub folder: PathBuf,
    pub replicas: Arc<Vec<Replica>>,
    /// The proxies in front of Postgres, one per replica.
    pub database_links: Arc<Vec<Proxy>>,
    /// The proxies in front of the simulator, one per replica.
    pub aws_links: Arc<Vec<Proxy>>,
    /// Controls and inspects the simulator.
    pub aws: Control,
    /// What the clients requested.
    pub ledger: Arc<Ledger>,
    pub began: OffsetDateTime,
    /// Receives callbacks.
    pub callbacks: Arc<Receiver>,
    /// Receives the callbacks that measure recovery. It is always healthy.
    pub probe_callbacks: Arc<Receiver>,
    /// Receive every export's events, or some.
    pub endpoints: Arc<Vec<Endpoint>>,
    /// The public keys for `v1a` signatures.
    pub public_keys: Arc<Vec<String>>,
    /// The harness's own connection to the primary, which is never disturbed.
    pub pool: PgPool,
    pub http: reqwest::Client,
    /// Both Postgres servers.
    pub servers: Servers,
    simulator: Arc<Mutex<Option<Simulator>>>,
}

impl Stage {
    /// Starts everything.
    pub async fn set_up(arguments: &Arguments, seed: u64) -> Result<Self, Failed> {
        let folder = std::env::temp_dir().join(format!("tableferry-chaos-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // A copy, because the binary may be rebuilt during the run.
        let program = folder.join("tableferry");
        let built = match &arguments.tableferry {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("tableferry"),
        };
        std::fs::copy(&built, &program).map_err(|e| {
            format!(
                "{} cannot be used (cargo build makes it): {e}",
                built.display()
            )
        })?;

        let servers =
            Servers::start(arguments.pooler.map(|_| arguments.pooler_ignores.clone())).await?;
        let simulator = Simulator::start(SimulatorSettings {
            seed: Some(tables()),
            speed: arguments.speed,
            random_seed: seed,
            partitions: Some(1),
            ..SimulatorSettings::new(folder.join("s3"))
        })
        .await?;
        let aws_address: SocketAddr = simulator
            .dynamodb_url()
            .trim_start_matches("http://")
            .parse()?;
        let database_address = servers.front().await?;

        let mut ports = 20_000..32_000;
        let callbacks = Receiver::random(free_address(&mut ports)?, seed)?;
        let probe_callbacks = Receiver::controlled(free_address(&mut ports)?)?;
        let (mut database_links, mut aws_links, mut replicas) =
            (Vec::new(), Vec::new(), Vec::new());
        for index in 0..REPLICAS {
            let to_database = Proxy::start(database_address).await?;
            let to_aws = Proxy::start(aws_address).await?;
            let address = free_address(&mut ports)?;
            let variables = vec![
                (
                    "DATABASE_URL",
                    servers.url_through(to_database.address()).await?,
                ),
                ("TABLEFERRY_LISTEN", address.to_string()),
                ("TABLEFERRY_AUTH", "none".to_owned()),
                ("TABLEFERRY_POLL_INTERVAL_MIN_MS", "300".to_owned()),
                ("TABLEFERRY_POLL_INTERVAL_MAX_MS", "3000".to_owned()),
                ("TABLEFERRY_WEBHOOK_SECRET", SERVICE_SECRET.to_owned()),
                ("TABLEFERRY_ENCRYPTION_KEY", ENCRYPTION_KEY.to_owned()),
                ("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
                ("TABLEFERRY_LOG_FORMAT", "text".to_owned()),
                (
                    "AWS_ENDPOINT_URL_DYNAMODB",
                    format!("http://{}", to_aws.address()),
                ),
                ("AWS_ACCESS_KEY_ID", "chaos".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "chaos".to_owned()),
            ];
            let log = folder.join(format!("replica-{index}.log"));
            replicas.push(Replica::new(
                index,
                address,
                program.clone(),
                log,
                variables,
            ));
            database_links.push(to_database);
            aws_links.push(to_aws);
        }
        let mut stage = Self {
            name: format!("chaos-{seed}").into(),
            limits: Limits::new(arguments.pooler.is_some()),
            folder,
            replicas: Arc::new(replicas),
            database_links: Arc::new(database_links),
            aws_links: Arc::new(aws_links),
            aws: simulator.control(),
            ledger: Arc::default(),
            began: crate::now().into(),
            callbacks: Arc::new(callbacks),
            probe_callbacks: Arc::new(probe_callbacks),
            endpoints: Arc::default(),
            public_keys: Arc::default(),
            pool: database::pool(&servers.own_url().await?)?,
            http: client()?,
            servers,
            simulator: Arc::new(Mutex::new(Some(simulator))),
        };
        for replica in stage.replicas.iter() {
            replica.start().await?;
        }
        stage.wait_until_ready().await?;
        let keys = endpoints::public_keys(&stage).await?;
        stage.public_keys = Arc::new(keys.first().cloned().unwrap_or_default());
        let addresses = (0..ENDPOINTS)
            .map(|_| free_address(&mut ports))
            .collect::<Result<Vec<_>, _>>()?;
        stage.endpoints = Arc::new(endpoints::create(&stage, &addresses).await?);
        Ok(stage)
    }

    #[must_use]
    pub fn link(&self, link: Link, replica: usize) -> &Proxy {
        match link {
            Link::Database => &self.database_links[replica],
            Link::Aws => &self.aws_links[replica],
        }
    }

    /// Ends every trouble; returns when that was done. Silent connections stay silent.
    pub async fn heal(&self) -> Result<Instant, Failed> {
        self.aws.clear_faults();
        for proxy in self.database_links.iter().chain(self.aws_links.iter()) {
            proxy.heal();
        }
        self.servers.start_again().await?;
        for replica in self.replicas.iter() {
            if replica.has_died().await {
                self.ledger.violated(
                    "replica crashes",
                    format!("replica {} ended by itself", replica.index),
                    None,
                );
                replica.kill().await?;
            }
            replica.start().await?;
        }
        Ok(Instant::now())
    }

    /// Waits until all replicas are ready.
    pub async fn wait_until_ready(&self) -> Result<(), Failed> {
        let ready = async {
            for replica in self.replicas.iter() {
                while !self
                    .http
                    .get(replica.url("/readyz"))
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
                {
                    if replica.has_died().await {
                        return Err(format!(
                            "replica {} ended by itself; its log is {}",
                            replica.index,
                            replica.log.display()
                        ));
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Ok(())
        };
        let not_ready = |_| {
            format!(
                "a replica is not ready after {} s; logs in {}",
                READY_PATIENCE.as_secs(),
                self.folder.display()
            )
        };
        Ok(tokio::time::timeout(READY_PATIENCE, ready)
            .await
            .map_err(not_ready)??)
    }

    /// Stops everything. The folder with the logs stays if it is still useful.
    pub async fn tear_down(&mut self, clean: bool) {
        for replica in self.replicas.iter() {
            // Even if a process is already gone, the next step is the same.
            let _ = replica.kill().await;
        }
        self.pool.close().await;
        let simulator = self
            .simulator
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(simulator) = simulator {
            simulator.shutdown().await;
        }
        remove(&self.folder, clean);
    }
}

/// The exported files and the copy of the binary are always removed; the logs only after a clean
/// run.
fn remove(folder: &Path, clean: bool) {
    // At worst, files are left in the temp folder.
    let _ = std::fs::remove_dir_all(folder.join("s3"));
    let _ = std::fs::remove_file(folder.join("tableferry"));
    if clean {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// An address that is still free when a replica is started again: its port is outside the range
/// that the system uses for outgoing connections.
fn free_address(ports: &mut std::ops::Range<u16>) -> Result<SocketAddr, Failed> {
    let free = ports
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| "no port is free".into())
}

#[expect(clippy::disallowed_methods, reason = "everything is on loopback")]
fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(8))
        .build()
}

/// Creates a table that can be exported and one that cannot in each region, and a bucket.
fn tables() -> Seed {
    let days = |count| Age(time::Duration::days(count));
    let mut seed = Seed {
        buckets: vec![BucketSeed::new(BUCKET)],
        ..Seed::default()
    };
    for region in REGIONS
        .into_iter()
        .chain(HONESTY_REGIONS)
        .chain(PROBE_REGIONS)
    {
        let region = Some(region.to_owned());
        seed.tables.push(TableSeed {
            region: region.clone(),
            age: days(12),
            recovery_age: Some(days(10)),
            ..TableSeed::new(TABLE)
        });
        seed.tables.push(TableSeed {
            region,
            age: days(12),
            ..TableSeed::new(TABLE_WITHOUT_RECOVERY)
        });
    }
    seed
}
