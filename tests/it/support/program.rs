//! The service as a user runs it: the binary, with a database and the simulator as AWS, and its log
//! in a file.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tableferry_simulator::{Limits, Seed, Settings, Simulator};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::{Answer, Folder, POLL_EVERY, client, client_with};
use crate::process::{PATIENCE, free_address, tableferry, terminate};

/// So fast that a sample export is done within about a second.
const SPEED: f64 = 2_000.0;

/// A process that waits for another's lock may have to wait for several.
const MIGRATE_PATIENCE: Duration = Duration::from_secs(60);

/// The environment of the service's processes: one AWS for all of them.
pub struct Outside {
    simulator: Simulator,
    folder: Folder,
}

/// A process that serves. Dropping it kills it.
pub struct Program {
    child: Child,
    folder: Folder,
    http: reqwest::Client,
    url: String,
}

/// The output of a process that has ended, and its exit status.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub said: String,
}

impl Outside {
    pub async fn start() -> Self {
        Self::start_at(SPEED).await
    }

    /// How many times faster than AWS exports run.
    pub async fn start_at(speed: f64) -> Self {
        let folder = Folder::new();
        let settings = Settings {
            seed: Some(Seed::sample()),
            speed,
            limits: Limits::unlimited(),
            ..Settings::new(folder.path().join("s3"))
        };
        Self {
            simulator: Simulator::start(settings).await.unwrap(),
            folder,
        }
    }

    /// The settings of a process, plus `more`: no authentication, and no paces.
    fn variables<'a>(
        &self,
        address: &'a str,
        more: &[(&'a str, &'a str)],
    ) -> Vec<(String, String)> {
        let all = [
            ("TABLEFERRY_AUTH", "none"),
            ("TABLEFERRY_LISTEN", address),
            ("TABLEFERRY_RATE_LIMIT_PER_S", "100000"),
            ("TABLEFERRY_RATE_LIMIT_BURST", "100000"),
            ("TABLEFERRY_START_BURST", "10000"),
            ("TABLEFERRY_LOOK_BURST", "10000"),
            ("TABLEFERRY_POLL_INTERVAL_MIN_MS", "200"),
            ("TABLEFERRY_POLL_INTERVAL_MAX_MS", "1000"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.simulator.dynamodb_url()),
            ("AWS_ENDPOINT_URL_S3", &self.simulator.s3_url()),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ];
        let home = self.folder.path().to_str().unwrap().to_owned();
        let all = all.into_iter().chain(more.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain([("HOME".to_owned(), home)])
            .collect()
    }

    /// Starts `serve` and does not wait for anything.
    pub async fn spawn(&self, variables: &[(&str, &str)]) -> Program {
        let (folder, address) = (Folder::new(), free_address().await);
        let log = File::create(folder.path().join("log")).unwrap();
        let variables = self.variables(&address, variables);
        let child = tableferry(&["serve"], &[])
            .envs(variables)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Program {
            child,
            folder,
            http: client(),
            url: format!("http://{address}"),
        }
    }

    /// Starts `serve` and waits until it is ready.
    pub async fn serve(&self, variables: &[(&str, &str)]) -> Program {
        let mut program = self.spawn(variables).await;
        if let Some(ended) = program.ready_or_ended().await {
            panic!("it ended: {ended:?}");
        }
        program
    }
}

/// Runs `migrate`.
pub async fn migrate(variables: &[(&str, &str)]) -> Ended {
    let output = timeout(
        MIGRATE_PATIENCE,
        tableferry(&["migrate"], variables).output(),
    )
    .await;
    let output = output.expect("migrate ends").unwrap();
    Ended {
        status: output.status.code(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Program {
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = timeout(PATIENCE, request.send())
            .await
            .unwrap_or_else(|_| panic!("no answer to {path}: {}", self.log()));
        Answer::read(sent.unwrap()).await
    }

    /// Sends requests from this address from now on.
    pub fn asked_from(&mut self, address: std::net::IpAddr) {
        self.http = client_with(|client| client.local_address(address));
    }

    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub async fn create(&self, body: &Value) -> Answer {
        self.send(Method::POST, "/v1/exports", None, Some(body))
            .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until it is ready (`None`) or has ended by itself.
    pub async fn ready_or_ended(&mut self) -> Option<Ended> {
        let look = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return Some(status);
                }
                let asked = self.http.get(format!("{}/readyz", self.url)).send().await;
                if asked.is_ok_and(|answer| answer.status() == 200) {
                    return None;
                }
                sleep(POLL_EVERY).await;
            }
        };
        let status = timeout(PATIENCE, look)
            .await
            .unwrap_or_else(|_| panic!("neither ready nor ended: {}", self.log()));
        status.map(|status| Ended {
            status: status.code(),
            said: self.log(),
        })
    }

    /// Stops it with SIGTERM.
    pub async fn stop(mut self) {
        terminate(&self.child);
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .expect("it stops")
            .unwrap();
        assert!(status.success(), "{}", self.log());
    }
}
