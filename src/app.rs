//! The composition root: builds the parts of the service, runs them, and stops them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Admission, ApiState, Parts, Watcher};
use crate::auth::Authenticator;
use crate::auth::oidc::OidcError;
use crate::aws::Aws;
use crate::clock::Clock;
use crate::database_watch;
use crate::listener::{ConnectionLimits, Listener, Tls, TlsError, TlsFiles};
use crate::progress::WorkerProgress;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::startup::wait_for_database;
use crate::store::accept::AcceptQueue;
use crate::store::{Store, StoreError};
use crate::telemetry;
use crate::webhooks::{Names, Vetting};
use crate::workers::Workers;

/// How long requests and other work in flight may take after a stop was requested.
pub const GRACE: Duration = Duration::from_secs(8);

/// How long connections are still accepted after a stop was requested.
const DRAIN: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Everything
    All,
    /// Serves the API
    Api,
    /// Runs the workers, which drive exports and send webhooks; serves health and metrics
    Worker,
}

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database's URL is malformed, or migrating failed.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("webhooks cannot be sent")]
    Webhook(#[source] rustls::Error),
    /// The authorities for the issuer cannot be read, or the TLS library cannot be set up.
    #[error("requests to the OIDC issuer cannot be made")]
    Issuer(#[source] OidcError),
    #[error("TLS cannot be served (TABLEFERRY_TLS_CERT, TABLEFERRY_TLS_KEY)")]
    Tls(#[from] TlsError),
    #[error("cannot listen on {address}")]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
}

/// The service, built and not yet running.
#[derive(Debug)]
pub struct App {
    pub clock: Clock,
    pub workers: Workers,
    api: ApiState,
    connection_limits: Arc<ConnectionLimits>,
    tls: Option<TlsFiles>,
}

impl App {
    /// Builds a service. `names` resolves the host names of webhook receivers.
    pub fn new(
        settings: &Settings,
        store: Store,
        aws: Aws,
        names: Arc<dyn Names>,
    ) -> Result<Self, AppError> {
        if settings.telemetry.metrics {
            telemetry::record_metrics();
        }
        let shared = Shared::new(settings, store, aws, names);
        Ok(Self {
            clock: shared.clock.clone(),
            workers: Workers::new(settings, &shared).map_err(AppError::Webhook)?,
            api: api_state(settings, shared)?,
            connection_limits: Arc::new(settings.http.connection_limits.clone()),
            tls: settings.http.tls.clone(),
        })
    }

    /// Runs in this role until `stop`. Then `/readyz` fails, nothing more is claimed, and the work
    /// in flight is finished. Fails if the certificate cannot be used, or if the database cannot be
    /// prepared and waiting would not help.
    pub async fn run(
        self,
        role: Role,
        listener: TcpListener,
        migrate: bool,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), AppError> {
        let store = self.api.store.clone();
        let stopping = self.api.signals.stopping.clone();
        let server = self.spawn_server(role, listener).await?;
        tokio::spawn({
            let stopping = stopping.clone();
            async move {
                stop.await;
                stopping.cancel();
            }
        });
        let watch = tokio::spawn(database_watch::run(store.clone(), stopping.clone()));
        let ready = wait_for_database(&store, migrate, &self.api.is_unprepared, &stopping).await;
        if let Err(error) = ready {
            stopping.cancel();
            // Requests in flight get as much time as at any other stop.
            let _ = tokio::time::timeout(GRACE, server).await;
            return Err(error.into());
        }
        let mut tasks = self.spawn_tasks(role);
        tasks.push(watch);
        stopping.cancelled().await;
        tracing::info!("stopping: no new work is started, work in flight is finished");
        let finish = async {
            for task in tasks {
                let _ = task.await;
            }
            let _ = server.await;
        };
        if tokio::time::timeout(GRACE, finish).await.is_err() {
            tracing::warn!(
                grace_s = GRACE.as_secs(),
                "some work in flight did not finish in time; it will be continued from the database"
            );
        }
        store.close().await;
        tracing::info!("stopped");
        Ok(())
    }

    async fn spawn_server(
        &self,
        role: Role,
        listener: TcpListener,
    ) -> Result<JoinHandle<()>, AppError> {
        let tls = match self.tls.clone() {
            Some(files) => Some(Arc::new(Tls::load(files).await?)),
            None => None,
        };
        let router = match role {
            Role::All | Role::Api => api::router(self.api.clone()),
            Role::Worker => api::operations_router(self.api.clone()),
        };
        let server = Listener::new(Arc::clone(&self.connection_limits), tls)
            .behind(Arc::clone(&self.api.proxies));
        let stopping = self.api.signals.stopping.clone();
        Ok(tokio::spawn(serve(server, listener, router, stopping)))
    }

    /// Starts what runs besides the server once the database can be used.
    fn spawn_tasks(&self, role: Role) -> Vec<JoinHandle<()>> {
        let signals = &self.api.signals;
        let mut tasks = vec![tokio::spawn(telemetry::run_upkeep(
            signals.stopping.clone(),
        ))];
        if role != Role::Worker {
            let (watcher, store) = (self.api.watcher.clone(), self.api.store.clone());
            let signals = signals.clone();
            tasks.push(tokio::spawn(async move {
                watcher.run(store, &signals).await;
            }));
        }
        if role != Role::Api {
            tasks.extend(self.workers.spawn(&self.api.progress));
        }
        tasks
    }
}

fn api_state(settings: &Settings, shared: Shared) -> Result<ApiState, AppError> {
    let prices = Arc::new(settings.aws.prices.clone());
    let authenticator = Authenticator::new(
        settings.auth.mode,
        settings.auth.rate_limits,
        settings.auth.oidc.clone(),
        shared.store.clone(),
        shared.clock.clone(),
    )
    .map_err(AppError::Issuer)?;
    Ok(ApiState::from(Parts {
        accepts: AcceptQueue::start(shared.store.clone(), Arc::clone(&prices)),
        store: shared.store,
        authenticator: Arc::new(authenticator),
        aws: shared.aws,
        clock: shared.clock,
        callbacks: settings.webhooks.callback_policy(),
        vault: shared.vault,
        keyring: shared.keyring,
        vetting: Vetting::new(settings.webhooks.urls.clone(), shared.names),
        prices,
        max_in_flight: settings.aws.lanes.max_in_flight,
        poll_bounds: settings.aws.poll,
        admission: Admission::new(Arc::new(settings.http.request_limits.clone())),
        proxies: Arc::new(settings.http.proxies.clone()),
        public_url: settings.http.public_url.clone(),
        cors_origins: settings.http.cors_origins.clone(),
        gauges: Arc::default(),
        is_unprepared: AtomicBool::new(false),
        progress: WorkerProgress::default(),
        watcher: Watcher::default(),
        signals: shared.signals,
    }))
}

async fn serve(
    server: Listener,
    listener: TcpListener,
    router: Router,
    stopping: CancellationToken,
) {
    // Requests that wait see `stopping` themselves and answer with what they have. Connections are
    // accepted a moment longer, so that load balancers that ask /readyz learn of the stop.
    let stopped = async move {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    server.serve(listener, router, stopped).await;
}
