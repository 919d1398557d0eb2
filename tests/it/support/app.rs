//! A whole service on a fresh database and a simulator with a frozen clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tableferry::app::{App, Role};
use tableferry::auth::Auth;
use tableferry::auth::oidc::OidcSettings;
use tableferry::aws::Aws;
use tableferry::clock::Clock;
use tableferry::domain::aws::account::AccountRole;
use tableferry::domain::aws::arn::TableArn;
use tableferry::domain::aws::s3::{S3Bucket, S3Destination};
use tableferry::domain::export::estimate::Prices;
use tableferry::domain::export::request::ExportRequest;
use tableferry::domain::lifecycle::backoff::PollBounds;
use tableferry::domain::lifecycle::outcome::Claimed;
use tableferry::domain::origins::Origins;
use tableferry::domain::public_url::PublicUrl;
use tableferry::domain::rate::pace::{LaneLimits, PaceLimits};
use tableferry::domain::webhook::policy::{HostList, PortList, UrlPolicy};
use tableferry::domain::webhook::secret::WebhookSecret;
use tableferry::listener::{ConnectionLimits, Proxies, TlsFiles};
use tableferry::request_limits::RequestLimits;
use tableferry::settings::{
    AuthSettings, AwsSettings, DatabaseSettings, HttpSettings, Settings, WebhookSettings,
};
use tableferry::signals::Signals;
use tableferry::store::Store;
use tableferry::store::outcome::OutcomeQueue;
use tableferry::store::schedule::{Kind, Quota};
use tableferry::telemetry::TelemetrySettings;
use tableferry::webhooks::Names;
use tableferry::webhooks::vault::VaultKey;
use tableferry::worker::export_step::Stepper;
use tableferry::worker::export_worker::ExportWorker;
use tableferry::worker::lanes::Lanes;
use tableferry::worker::retention::Retention;
use tableferry::worker::runner;
use tableferry::workers::Workers;
use tableferry_simulator::{
    Control, Limits as AwsLimits, Seed, Settings as SimulatorSettings, Simulator,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Answer, Folder, TestNames, migrated_database};

/// A table of the sample with point-in-time recovery enabled.
pub const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";
/// A URL without a listener.
pub const NOWHERE: &str = "http://127.0.0.1:1";
/// A bucket of the sample.
pub const BUCKET: &str = "tableferry-exports";

/// So far in the future that everything is due.
pub const FAR_AHEAD: Duration = Duration::from_secs(400 * 24 * 3600);

/// Encrypts secrets in tests.
pub const ENCRYPTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What a test can configure.
pub struct TestOptions {
    pub webhook_secret: Option<&'static str>,
    pub allow_private: bool,
    /// The settings with these names; empty means not set.
    pub allow_hosts: &'static str,
    pub ports: &'static str,
    pub names: Arc<dyn Names>,
    /// The first one encrypts.
    pub encryption_keys: &'static [&'static str],
    /// An earlier app's database, for a restart. By default a fresh one.
    pub database_url: Option<String>,
    /// AWS's real limits and the service's default paces instead of none.
    pub limits: bool,
    pub longest_poll: Duration,
    pub max_in_flight: Option<u32>,
    /// S3 is not reachable for the service.
    pub s3_is_away: bool,
    /// Accounts that are accessed through a role, as in the settings.
    pub accounts: &'static str,
    /// Whether callers must authenticate.
    pub auth: Auth,
    /// An issuer whose tokens are accepted.
    pub oidc: Option<OidcSettings>,
    pub rate_limits: PaceLimits,
    /// The callers' rate limits.
    pub connection_limits: ConnectionLimits,
    pub request_limits: RequestLimits,
    /// Serve the API with TLS.
    pub tls: Option<TlsFiles>,
    /// The public URL and the trusted proxies, as in the settings; empty means not set.
    pub public_url: &'static str,
    pub trusted_proxies: &'static str,
    pub proxy_protocol: bool,
    pub cors_origins: &'static str,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self {
            webhook_secret: Some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
            allow_private: true,
            allow_hosts: "",
            ports: "",
            names: Arc::new(TestNames::default()),
            encryption_keys: &[ENCRYPTION_KEY],
            database_url: None,
            limits: false,
            longest_poll: Duration::from_secs(30),
            max_in_flight: None,
            s3_is_away: false,
            accounts: "[]",
            auth: Auth::None,
            oidc: None,
            rate_limits: PaceLimits {
                burst: 1e5,
                rate_per_s: 1e5,
            },
            connection_limits: ConnectionLimits::default(),
            request_limits: RequestLimits::default(),
            tls: None,
            public_url: "",
            trusted_proxies: "",
            proxy_protocol: false,
            cors_origins: "",
        }
    }
}

/// A running service, whose workers the test steps.
pub struct TestApp {
    pub url: String,
    pub database_url: String,
    pub pool: PgPool,
    pub clock: Clock,
    pub aws: Control,
    pub dynamodb_url: String,
    pub s3_url: String,
    pub s3_folder: PathBuf,
    pub workers: Workers,
    http: reqwest::Client,
    stop: CancellationToken,
    _simulator: Simulator,
    _folder: Folder,
}

/// A non-empty setting.
fn set(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A body that is accepted.
pub fn create_body() -> Value {
    json!({"table_arn": TABLE, "s3_bucket": BUCKET})
}

/// A quota for everything in the sample's lane.
pub fn everything() -> [Quota; 3] {
    [Kind::Start, Kind::StartInDoubt, Kind::Poll].map(|kind| Quota {
        lane: "123456789012/us-east-1".to_owned(),
        kind,
        max: 100,
    })
}

/// A request as the worker sends it to AWS, for exports that are started without the service.
pub fn plain_request(table: &str) -> ExportRequest {
    let destination = S3Destination {
        bucket: S3Bucket::parse(BUCKET).unwrap(),
        bucket_owner: None,
        prefix: None,
        encryption: None,
    };
    ExportRequest::new(TableArn::parse(table).unwrap(), destination)
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(TestOptions::default()).await
    }

    pub async fn start_with(options: TestOptions) -> Self {
        let folder = Folder::new();
        let simulator = Simulator::start(SimulatorSettings {
            seed: Some(Seed::sample()),
            freeze_clock: true,
            limits: if options.limits {
                AwsLimits::default()
            } else {
                AwsLimits::unlimited()
            },
            ..SimulatorSettings::new(folder.path().join("s3"))
        })
        .await
        .unwrap();
        let s3_url = simulator.s3_url();
        let database_url = match options.database_url {
            Some(earlier) => earlier,
            None => migrated_database().await,
        };
        let lanes = if options.limits {
            default_lanes()
        } else {
            unlimited_lanes()
        };
        let settings = Settings {
            database: DatabaseSettings {
                url: Some(database_url.clone().into()),
                direct_url: None,
            },
            http: HttpSettings {
                listen: ([127, 0, 0, 1], 0).into(),
                tls: options.tls,
                public_url: set(options.public_url)
                    .map(|url| PublicUrl::parse(url).unwrap())
                    .unwrap_or_default(),
                proxies: set(options.trusted_proxies)
                    .map(|list| Proxies::parse(list, options.proxy_protocol).unwrap())
                    .unwrap_or_default(),
                cors_origins: set(options.cors_origins).map(|list| Origins::parse(list).unwrap()),
                connection_limits: options.connection_limits,
                request_limits: options.request_limits,
            },
            auth: AuthSettings {
                mode: options.auth,
                oidc: options.oidc,
                rate_limits: options.rate_limits,
            },
            aws: AwsSettings {
                lanes: LaneLimits {
                    max_in_flight: options.max_in_flight.unwrap_or(lanes.max_in_flight),
                    ..lanes
                },
                accounts: AccountRole::parse_all(options.accounts).unwrap(),
                prices: Prices::default(),
                poll: PollBounds {
                    min: Duration::from_secs(2),
                    max: options.longest_poll,
                },
            },
            retention: Retention::default(),
            webhooks: WebhookSettings {
                default_secret: options
                    .webhook_secret
                    .map(|s| WebhookSecret::parse(s).unwrap()),
                urls: policy(options.allow_private, options.allow_hosts, options.ports),
                encryption_keys: options
                    .encryption_keys
                    .iter()
                    .map(|key| VaultKey::parse(key).unwrap())
                    .collect(),
            },
            telemetry: TelemetrySettings {
                metrics: true,
                traces: false,
                log: Some("off".to_owned()),
                log_format: None,
            },
        };
        let store = Store::connect_lazily(settings.database.url.as_ref().unwrap(), None).unwrap();
        store.migrate().await.unwrap();
        let aws = Aws::at_endpoints(
            &simulator.dynamodb_url(),
            if options.s3_is_away { NOWHERE } else { &s3_url },
        )
        .await;
        let aws = aws.with_roles(settings.aws.accounts.clone());
        let app = App::new(&settings, store, aws, options.names).unwrap();
        let listener = TcpListener::bind(settings.http.listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (clock, workers) = (app.clock.clone(), app.workers.clone());
        let stop = CancellationToken::new();
        // The role `api`: the test steps the workers.
        tokio::spawn(app.run(Role::Api, listener, false, stop.clone().cancelled_owned()));
        Self {
            url,
            pool: PgPool::connect(&database_url).await.unwrap(),
            database_url,
            clock,
            aws: simulator.control(),
            dynamodb_url: simulator.dynamodb_url(),
            s3_url,
            s3_folder: folder.path().join("s3"),
            workers,
            http: client(),
            stop,
            _simulator: simulator,
            _folder: folder,
        }
    }

    /// The same simulated AWS, as another process has it.
    pub async fn another_aws(&self) -> Aws {
        Aws::at_endpoints(&self.dynamodb_url, &self.s3_url).await
    }

    /// Another worker on the same database and AWS: a second replica.
    pub async fn second_worker(&self) -> ExportWorker {
        let stepper = Stepper {
            outcomes: OutcomeQueue::start(self.store()),
            store: self.store(),
            aws: Arc::new(self.another_aws().await),
            clock: self.clock.clone(),
            bounds: self.workers.exports.stepper.bounds,
            signals: Signals::default(),
        };
        ExportWorker {
            stepper,
            lanes: Lanes::new(unlimited_lanes()),
        }
    }

    /// The store by itself, for what the API does not offer.
    pub fn store(&self) -> Store {
        Store::connect_lazily(&self.database_url.clone().into(), None).unwrap()
    }

    /// Claims every scheduled export of the sample's lane, whether due or not.
    pub async fn claim_everything(&self) -> Vec<Claimed> {
        let claimed = self
            .store()
            .claim_exports(&everything(), 100, FAR_AHEAD, self.clock.now())
            .await
            .unwrap();
        claimed.into_iter().map(|one| one.claimed).collect()
    }

    /// Takes one step of every scheduled export, whether due or not. Returns their number.
    pub async fn step_exports(&self) -> usize {
        runner::step(&*self.workers.exports, FAR_AHEAD)
            .await
            .unwrap()
    }

    /// Claims and works as a worker does at this moment. Returns the number of batches.
    pub async fn step_due_exports(&self) -> usize {
        runner::step(&*self.workers.exports, Duration::ZERO)
            .await
            .unwrap()
    }

    /// Time passes for AWS, for the service, and for the database's schedule.
    pub async fn pass(&self, by: Duration) {
        self.advance(by).await;
        sqlx::query("UPDATE export_schedule SET due_at = due_at - $1 * interval '1 second'")
            .bind(by.as_secs_f64())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Makes one attempt of every pending delivery, whether due or not. Returns their number.
    pub async fn step_deliveries(&self) -> usize {
        runner::step(&*self.workers.deliveries, FAR_AHEAD)
            .await
            .unwrap()
    }

    /// Works on every webhook job for as long as possible, and gives up what must be given up.
    /// Returns the number of jobs.
    pub async fn step_webhook_jobs(&self) -> usize {
        runner::step(&*self.workers.webhook_jobs, FAR_AHEAD)
            .await
            .unwrap()
    }

    /// Makes one attempt of the deliveries that are due now.
    pub async fn step_due_deliveries(&self) -> usize {
        runner::step(&*self.workers.deliveries, Duration::ZERO)
            .await
            .unwrap()
    }

    /// Time passes: for AWS and for the service.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.aws.advance(by).await;
    }

    /// Creates an export and runs it to its end at AWS. Returns its id.
    pub async fn export_to_end(&self, body: &Value) -> String {
        let id = self.create(body).await.expect(202).id();
        self.step_exports().await;
        self.aws.finish_exports().await;
        self.step_exports().await;
        id
    }

    pub async fn create(&self, body: &Value) -> Answer {
        self.send(self.request(Method::POST, "/v1/exports").json(body))
            .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn export(&self, id: &str) -> Value {
        self.get(&format!("/v1/exports/{id}"))
            .await
            .expect(200)
            .json
    }

    /// The types of an export's events, oldest first.
    pub async fn event_types(&self, id: &str) -> Vec<String> {
        let events = self
            .get(&format!("/v1/exports/{id}/events"))
            .await
            .expect(200)
            .json;
        events["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["type"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }

    /// How many times an AWS operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        self.aws
            .calls()
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    /// What only the database's owner can do.
    pub async fn run_sql(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    /// Everything that is stored, to check that nothing was.
    pub async fn stored_exports(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM exports")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The service's defaults.
pub fn default_lanes() -> LaneLimits {
    Settings::read([], None).unwrap().aws.lanes
}

fn unlimited_lanes() -> LaneLimits {
    let without = PaceLimits {
        burst: 1e6,
        rate_per_s: 1e6,
    };
    LaneLimits {
        starts: without,
        polls: without,
        max_in_flight: 1_000_000,
    }
}

/// A policy from the texts of its settings; empty means not set.
pub fn policy(allow_private: bool, hosts: &str, ports: &str) -> UrlPolicy {
    let ports = (!ports.is_empty()).then(|| PortList::parse(ports).unwrap());
    UrlPolicy::new(allow_private, HostList::parse(hosts).unwrap(), ports)
}

/// A client for loopback.
#[expect(clippy::disallowed_methods, reason = "tests talk to loopback only")]
pub fn client_with(
    make: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> reqwest::Client {
    make(reqwest::Client::builder().no_proxy()).build().unwrap()
}

/// The usual one.
pub fn client() -> reqwest::Client {
    client_with(|client| client)
}
