//! The background jobs of a process: the one place that builds and runs them. Tests step them
//! instead ([`runner::step`]).

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::progress::WorkerProgress;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::signals::Signals;
use crate::store::Store;
use crate::store::outcome::OutcomeQueue;
use crate::webhooks::{WebhookClient, WebhookLimits};
use crate::worker::InFlight;
use crate::worker::delivery_worker::DeliveryWorker;
use crate::worker::export_step::Stepper;
use crate::worker::export_worker::ExportWorker;
use crate::worker::lanes::Lanes;
use crate::worker::retention::{self, Retention};
use crate::worker::runner::{self, Worker};
use crate::worker::verification_worker::VerificationWorker;
use crate::worker::webhook_job_worker::WebhookJobWorker;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workers {
    pub exports: Arc<ExportWorker>,
    pub deliveries: Arc<DeliveryWorker>,
    pub webhook_jobs: Arc<WebhookJobWorker>,
    pub verifications: Arc<VerificationWorker>,
    retention: Retention,
    store: Store,
    clock: Clock,
    signals: Signals,
}

impl Workers {
    /// Fails if the TLS library for webhooks cannot be set up.
    pub fn new(settings: &Settings, shared: &Shared) -> Result<Self, rustls::Error> {
        Ok(Self {
            exports: Arc::new(export_worker(settings, shared)),
            deliveries: Arc::new(delivery_worker(settings, shared)?),
            webhook_jobs: Arc::new(WebhookJobWorker {
                store: shared.store.clone(),
                clock: shared.clock.clone(),
                signals: shared.signals.clone(),
            }),
            verifications: Arc::new(VerificationWorker::new(
                shared.store.clone(),
                Arc::clone(&shared.aws),
                shared.clock.clone(),
                shared.signals.clone(),
            )),
            retention: settings.retention,
            store: shared.store.clone(),
            clock: shared.clock.clone(),
            signals: shared.signals.clone(),
        })
    }

    /// Runs every job until the process stops.
    pub fn spawn(&self, progress: &WorkerProgress) -> Vec<JoinHandle<()>> {
        vec![
            self.spawn_one(&self.exports, progress),
            self.spawn_one(&self.deliveries, progress),
            self.spawn_one(&self.webhook_jobs, progress),
            self.spawn_one(&self.verifications, progress),
            tokio::spawn(retention::run(
                self.store.clone(),
                self.retention,
                self.clock.clone(),
                self.signals.stopping.clone(),
            )),
        ]
    }

    fn spawn_one<W: Worker>(&self, worker: &Arc<W>, progress: &WorkerProgress) -> JoinHandle<()> {
        let (worker, signals) = (Arc::clone(worker), self.signals.clone());
        tokio::spawn(runner::run(worker, signals, progress.clone()))
    }
}

fn export_worker(settings: &Settings, shared: &Shared) -> ExportWorker {
    let stepper = Stepper {
        store: shared.store.clone(),
        outcomes: OutcomeQueue::start(shared.store.clone()),
        aws: Arc::clone(&shared.aws),
        clock: shared.clock.clone(),
        bounds: settings.aws.poll,
        signals: shared.signals.clone(),
    };
    ExportWorker {
        stepper,
        lanes: Lanes::new(settings.aws.lanes),
    }
}

fn delivery_worker(settings: &Settings, shared: &Shared) -> Result<DeliveryWorker, rustls::Error> {
    let urls = settings.webhooks.urls.clone();
    Ok(DeliveryWorker {
        store: shared.store.clone(),
        client: WebhookClient::new(urls, Arc::clone(&shared.names), WebhookLimits::default())?,
        vault: shared.vault.clone(),
        keyring: Arc::clone(&shared.keyring),
        default_secret: settings.webhooks.default_secret.clone(),
        clock: shared.clock.clone(),
        signals: shared.signals.clone(),
        in_flight: InFlight::default(),
    })
}
