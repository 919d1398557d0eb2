//! The composition root: asks every room for what it makes, wires it, runs it until it is told to
//! stop.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Admission, ApiState, Parts, Watcher};
use crate::auth::Gate;
use crate::auth::oidc::OidcError;
use crate::aws::Aws;
use crate::clock::Chance;
use crate::database_watch;
use crate::keyring::Keyring;
use crate::listener::{self, Front, Proxies, Tls, TlsError, TlsFiles};
use crate::progress::WorkerProgress;
use crate::settings::{Retention, Settings};
use crate::store::accept_queue::AcceptQueue;
use crate::store::record::StepQueue;
use crate::store::{DatabaseProblem, Store, StoreError};
use crate::telemetry;
use crate::telemetry::error_chain::in_words;
use crate::webhooks::vault::Vault;
use crate::webhooks::{Limits, Names, Vetting, WebhookClient};
use crate::worker::crew;
use crate::worker::delivery_worker::DeliveryWorker;
use crate::worker::export_step::Stepper;
use crate::worker::export_worker::ExportWorker;
use crate::worker::lanes::Lanes;
use crate::worker::retention;
use crate::worker::verification_worker::VerificationWorker;
use crate::worker::webhook_job_worker::WebhookJobWorker;

/// How long requests in hand may take after a stop was asked for.
pub const GRACE: Duration = Duration::from_secs(8);

/// How long connections are still taken after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Everything.
    All,
    /// Answers callers.
    Api,
    /// Drives exports and sends webhooks. Health and metrics are served as well.
    Worker,
}

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database's URL is malformed, or its schema cannot be brought to this version's.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The TLS library for webhooks cannot be set up.
    #[error("webhooks cannot be sent")]
    Webhook(#[source] rustls::Error),
    /// The OIDC issuer cannot be asked: its authorities cannot be read, or the TLS library cannot
    /// be set up.
    #[error("the OIDC issuer cannot be asked")]
    Issuer(#[source] OidcError),
    /// The certificate cannot be used.
    #[error("TLS cannot be served (TABLEFERRY_TLS_CERT, TABLEFERRY_TLS_KEY)")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// The service, wired and not yet running.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Time, randomness, identifiers.
    pub chance: Chance,
    /// Drives exports.
    pub exports: Arc<ExportWorker>,
    /// Sends webhooks.
    pub deliveries: Arc<DeliveryWorker>,
    /// Sends webhooks again.
    pub webhook_jobs: Arc<WebhookJobWorker>,
    /// Verifies completed exports.
    pub verifications: Arc<VerificationWorker>,
    api: ApiState,
    limits: Arc<listener::Limits>,
    proxies: Arc<Proxies>,
    tls: Option<TlsFiles>,
    retention: Retention,
}

impl App {
    /// Wires a service on this database and this AWS; `names` tells where receivers of webhooks
    /// are.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(
        settings: &Settings,
        store: Store,
        aws: Aws,
        names: Arc<dyn Names>,
    ) -> Result<Self, AppError> {
        if settings.telemetry.metrics {
            telemetry::record_metrics();
        }
        let store = store.with_public_url(settings.public_url.clone());
        let proxies = Arc::new(settings.proxies.clone());
        let aws = Arc::new(aws);
        let chance = Chance::default();
        let vault = Vault::new(&settings.encryption_keys);
        let keyring = Arc::new(Keyring::new(store.clone(), vault.clone(), chance.clone()));
        let prices = Arc::new(settings.prices.clone());
        let gate = Gate::new(
            settings.auth,
            settings.rate_limits,
            settings.oidc.clone(),
            store.clone(),
            chance.clone(),
        );
        let limits = Arc::new(settings.limits.clone());
        let api = ApiState::from(Parts {
            store: store.clone(),
            gate: Arc::new(gate.map_err(AppError::Issuer)?),
            accepts: AcceptQueue::start(store.clone(), Arc::clone(&prices)),
            aws: Arc::clone(&aws),
            chance: chance.clone(),
            callbacks: settings.callback_policy(),
            vault: vault.clone(),
            keyring: Arc::clone(&keyring),
            vetting: Vetting::new(settings.webhook_urls.clone(), Arc::clone(&names)),
            prices,
            most_in_flight: settings.lanes.most_in_flight,
            poll_bounds: settings.poll,
            admission: Admission::new(Arc::clone(&limits)),
            proxies: Arc::clone(&proxies),
            public_url: settings.public_url.clone(),
            cors_origins: settings.cors_origins.clone(),
            gauges: Arc::default(),
            is_unprepared: AtomicBool::new(false),
            progress: WorkerProgress::default(),
            watcher: Watcher::default(),
            exports_due: Arc::new(Notify::new()),
            exports_changed: Arc::new(Notify::new()),
            deliveries_due: Arc::new(Notify::new()),
            webhook_jobs_due: Arc::new(Notify::new()),
            verifications_due: Arc::new(Notify::new()),
            stopping: CancellationToken::new(),
        });
        let verifications = VerificationWorker::new(
            store.clone(),
            Arc::clone(&aws),
            chance.clone(),
            Arc::clone(&api.exports_changed),
            api.stopping.clone(),
        );
        let stepper = Stepper {
            store: store.clone(),
            steps: StepQueue::start(store.clone()),
            aws,
            chance: chance.clone(),
            bounds: settings.poll,
            changed: Arc::clone(&api.exports_changed),
            deliveries: Arc::clone(&api.deliveries_due),
        };
        let exports = ExportWorker {
            stepper,
            lanes: Lanes::new(settings.lanes),
            stopping: api.stopping.clone(),
        };
        let deliveries = DeliveryWorker {
            store: store.clone(),
            client: WebhookClient::new(settings.webhook_urls.clone(), names, Limits::default())
                .map_err(AppError::Webhook)?,
            vault,
            keyring,
            default_secret: settings.webhook_secret.clone(),
            chance: chance.clone(),
            due: Arc::clone(&api.deliveries_due),
            in_hand: Arc::default(),
        };
        let jobs = WebhookJobWorker {
            store: store.clone(),
            chance: chance.clone(),
            deliveries: Arc::clone(&api.deliveries_due),
            stopping: api.stopping.clone(),
        };
        Ok(Self {
            store,
            chance,
            exports: Arc::new(exports),
            deliveries: Arc::new(deliveries),
            webhook_jobs: Arc::new(jobs),
            verifications: Arc::new(verifications),
            api,
            limits,
            proxies,
            tls: settings.tls.clone(),
            retention: settings.retention,
        })
    }

    /// Every route and layer of a role.
    fn router(&self, role: Role) -> Router {
        match role {
            Role::All | Role::Api => api::router(self.api.clone()),
            Role::Worker => api::operations_router(self.api.clone()),
        }
    }

    /// Runs in this role until `stop`: then readyz fails, nothing more is claimed, and what is in
    /// hand is finished.
    ///
    /// # Errors
    /// The certificate cannot be used, or the schema cannot be brought to this version's, for
    /// another reason than a database that is away.
    pub async fn run(
        self,
        role: Role,
        listener: TcpListener,
        migrate: bool,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), AppError> {
        let tls = match self.tls.clone() {
            Some(files) => Some(Arc::new(Tls::load(files).await?)),
            None => None,
        };
        let stopping = self.api.stopping.clone();
        tokio::spawn({
            let stopping = stopping.clone();
            async move {
                stop.await;
                stopping.cancel();
            }
        });
        let front = Front::new(Arc::clone(&self.limits), tls).behind(Arc::clone(&self.proxies));
        let server = tokio::spawn(serve(front, listener, self.router(role), stopping.clone()));
        let watch = tokio::spawn(database_watch::run(self.store.clone(), stopping.clone()));
        let ready = wait_for_database(&self.api, migrate, &stopping).await;
        if let Err(error) = ready {
            stopping.cancel();
            // Requests that are in hand get no more time than at any other stop.
            let _ = tokio::time::timeout(GRACE, server).await;
            return Err(error.into());
        }
        let mut tasks = vec![tokio::spawn(telemetry::keep_up(stopping.clone())), watch];
        let progress = &self.api.progress;
        if role != Role::Worker {
            let watcher = self.api.watcher.clone();
            tasks.push(tokio::spawn({
                let (store, changed, stopping) = (
                    self.store.clone(),
                    Arc::clone(&self.api.exports_changed),
                    stopping.clone(),
                );
                async move { watcher.run(store, changed, stopping).await }
            }));
        }
        if role != Role::Api {
            tasks.push(tokio::spawn(crew::run(
                self.exports,
                progress.clone(),
                Arc::clone(&self.api.exports_due),
                stopping.clone(),
            )));
            tasks.push(tokio::spawn(crew::run(
                self.deliveries,
                progress.clone(),
                Arc::clone(&self.api.deliveries_due),
                stopping.clone(),
            )));
            tasks.push(tokio::spawn(crew::run(
                self.webhook_jobs,
                progress.clone(),
                Arc::clone(&self.api.webhook_jobs_due),
                stopping.clone(),
            )));
            tasks.push(tokio::spawn(crew::run(
                self.verifications,
                progress.clone(),
                Arc::clone(&self.api.verifications_due),
                stopping.clone(),
            )));
            tasks.push(tokio::spawn(retention::run(
                self.store.clone(),
                self.retention,
                self.chance.clone(),
                stopping.clone(),
            )));
        }
        stopping.cancelled().await;
        tracing::info!("stopping: nothing new is begun, what is in hand is finished");
        let finish = async {
            for task in tasks {
                let _ = task.await;
            }
            let _ = server.await;
        };
        if tokio::time::timeout(GRACE, finish).await.is_err() {
            tracing::warn!(
                grace_s = GRACE.as_secs(),
                "some work in hand did not finish in time; it will be taken up again from the database"
            );
        }
        self.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn serve(front: Front, listener: TcpListener, router: Router, stopping: CancellationToken) {
    // Requests that wait see `stopping` themselves and answer with what they have. Connections are
    // taken a moment longer, so that whoever asks readyz hears that no more should be sent here.
    let stopped = async move {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    front.serve(listener, router, stopped).await;
}

/// Waits until the database answers and has this version's schema. A database that is away is
/// waited for; callers get 503 meanwhile.
async fn wait_for_database(
    api: &ApiState,
    migrate: bool,
    stopping: &CancellationToken,
) -> Result<(), StoreError> {
    let mut logged = false;
    while !stopping.is_cancelled() {
        let prepared = tokio::select! {
            prepared = prepare(&api.store, migrate) => prepared,
            () = stopping.cancelled() => return Ok(()),
        };
        match prepared {
            Ok(()) => {
                api.is_unprepared.store(false, Ordering::Relaxed);
                if logged {
                    tracing::info!("the database answers now");
                }
                return Ok(());
            }
            Err(error) if error.is_permanent() => return Err(error),
            // The health check logs it.
            Err(StoreError::Unhealthy(_)) => {}
            Err(error) if !logged => {
                tracing::warn!(
                    error.message = in_words(&error),
                    "the database does not answer; trying again every second"
                );
            }
            Err(_) => {}
        }
        logged = true;
        api.is_unprepared.store(true, Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stopping.cancelled() => {}
        }
    }
    Ok(())
}

/// Whether the database can be used, brought to this version's schema if that is wished.
async fn prepare(store: &Store, migrate: bool) -> Result<(), StoreError> {
    store.check_connection().await?;
    let migrated = if migrate {
        store.migrate().await
    } else {
        Ok(())
    };
    match (migrated, store.health().await) {
        (Ok(()), Err(problem @ DatabaseProblem::OldSchema)) if migrate => {
            tracing::warn!(
                "the schema was migrated but is still old: does TABLEFERRY_DIRECT_DATABASE_URL name another database?"
            );
            Err(StoreError::Unhealthy(problem))
        }
        (Ok(()), health) => health.map_err(StoreError::Unhealthy),
        // Migrations cannot be checked, but the schema is this version's.
        (Err(error), Ok(())) if error.is_unavailable() => {
            tracing::warn!(
                error.message = in_words(&error),
                "migrations could not be checked; the schema is current"
            );
            Ok(())
        }
        (Err(error), _) => Err(error),
    }
}
