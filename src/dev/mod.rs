//! `tableferry dev`: everything a first look needs, in one process tree. Never part of a production
//! build (feature `dev`).
//!
//! A private Postgres and a stand-in for AWS are started below `.tableferry/`, then the service on
//! top of them, then one sample export before the user's eyes. Everything stops with the process;
//! data stays for the next time.

mod places;
mod receiver;
mod sample;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use private_postgres::PrivatePostgres;
use secrecy::SecretString;
use tableferry_simulator::{Simulator, StartError};

use crate::app::{App, AppError, Role};
use crate::aws::Aws;
use crate::cli::stop_signal;
use crate::clock::Chance;
use crate::domain::webhook::secret::WebhookSecret;
use crate::settings::{Auth, Settings};
use crate::store::{Store, StoreError};
use crate::webhooks::SystemNames;
use crate::webhooks::vault::VaultKey;

/// How `tableferry dev` runs.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where Postgres, the stand-in's tables and the exported files are kept
    #[arg(long, default_value = ".tableferry", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// How many times faster than AWS exports run (AWS takes 2 to 12 minutes)
    #[arg(long, default_value_t = 60.0, value_name = "N")]
    speed: f64,
    /// End after the sample export instead of staying up; exit status 0 if it was COMPLETED
    #[arg(long)]
    once: bool,
}

/// Why `tableferry dev` ended.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// Postgres does not start.
    #[error("the private Postgres does not start")]
    Postgres(#[from] private_postgres::Error),
    /// The stand-in for AWS does not start.
    #[error("the stand-in for AWS does not start")]
    Simulator(#[from] StartError),
    /// The service does not start.
    #[error(transparent)]
    App(#[from] AppError),
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// A thread or a listener could not be had.
    #[error("{what}")]
    Machine {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The sample export did not end well.
    #[error("the sample export did not complete: {0}")]
    Sample(String),
}

impl Dev {
    /// Runs until Ctrl-C, or until the sample export has ended.
    ///
    /// # Errors
    /// Something does not start, or (with `--once`) the sample export did not complete.
    pub async fn run(self, settings: Settings) -> Result<(), DevError> {
        let stop = stop_signal();
        places::say("Tableferry is starting; Ctrl-C stops everything.\n");
        let postgres = start_postgres(self.data_dir.join("postgres")).await?;
        let simulator =
            Simulator::start(places::simulator_settings(&self.data_dir, self.speed).await).await?;
        let settings = self.settings(settings, &postgres)?;
        let listener = places::listen(settings.listen).await?;
        let service = places::url_of(&listener)?;
        let receiver = receiver::start(settings.webhook_secret.clone()).await?;
        places::introduce(&self, &postgres, &simulator, &service);

        let store = match &settings.database_url {
            Some(url) => Store::connect_lazily(url, None)?,
            None => return Err(DevError::Sample("there is no database".to_owned())),
        };
        store.migrate().await?;
        let aws = Aws::at_endpoints(&simulator.dynamodb_url(), &simulator.s3_url())
            .await
            .with_roles(settings.accounts.clone());
        let app = App::new(&settings, store, aws, Arc::new(SystemNames::default()))?;
        let running =
            tokio::spawn(app.run(Role::All, listener, true, stop.clone().cancelled_owned()));
        let shown = tokio::select! {
            shown = sample::show(&service, &simulator, &receiver) => shown,
            () = stop.cancelled() => Ok(()),
        };
        match &shown {
            Ok(()) if !self.once && !stop.is_cancelled() => {
                places::farewell(&service, &simulator);
                stop.cancelled().await;
            }
            Err(error) if !self.once => {
                places::say(&format!(
                    "\n{error}\nThe service stays up: {service}/docs\n"
                ));
                stop.cancelled().await;
            }
            _ => stop.cancel(),
        }
        places::say("\nStopping …\n");
        let ended = running.await;
        simulator.shutdown().await;
        // Blocking, and last: the service has let go of the database.
        let stopped = tokio::task::spawn_blocking(move || postgres.stop()).await;
        match (ended, stopped) {
            (Ok(Err(error)), _) => Err(error.into()),
            (_, Ok(Err(error))) => Err(error.into()),
            _ if self.once => shown,
            _ => Ok(()),
        }
    }

    /// The user's settings, with what a first look needs.
    fn settings(
        &self,
        settings: Settings,
        postgres: &PrivatePostgres,
    ) -> Result<Settings, DevError> {
        Ok(Settings {
            database_url: Some(SecretString::from(postgres.url(private_postgres::DATABASE))),
            auth: Auth::None,
            webhook_urls: settings.webhook_urls.allowing_private(),
            webhook_secret: settings.webhook_secret.clone().or_else(development_secret),
            encryption_keys: if settings.encryption_keys.is_empty() {
                vec![self.encryption_key()?]
            } else {
                settings.encryption_keys.clone()
            },
            ..settings
        })
    }

    /// Seals secrets: a key of this data folder's own, made when it is first needed.
    fn encryption_key(&self) -> Result<VaultKey, DevError> {
        let path = self.data_dir.join("encryption-key");
        let broken = |source| DevError::Machine {
            what: "the file encryption-key in the data folder cannot be read or written",
            source,
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = VaultKey::text(&Chance::default().secret_bytes());
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .map_err(broken)?;
                file.write_all(text.as_bytes()).map_err(broken)?;
                text
            }
            Err(error) => return Err(broken(error)),
        };
        VaultKey::parse(&text).map_err(|error| broken(std::io::Error::other(error)))
    }
}

/// Signs callbacks when the user has set no secret. It is in the source for everybody to read: only
/// for development.
fn development_secret() -> Option<WebhookSecret> {
    WebhookSecret::parse("whsec_dGFibGVmZXJyeSBkZXZlbG9wbWVudCBvbmx5").ok()
}

async fn start_postgres(data_dir: PathBuf) -> Result<PrivatePostgres, DevError> {
    let options = private_postgres::Options {
        data_dir: Some(data_dir),
        durable: true,
        port: None,
    };
    let started = tokio::task::spawn_blocking(move || PrivatePostgres::start(options)).await;
    started
        .map_err(|e| DevError::Machine {
            what: "a thread for starting Postgres ended early",
            source: e.into(),
        })?
        .map_err(Into::into)
}

/// How long the sample export is watched before it is given up.
const SAMPLE_PATIENCE: Duration = Duration::from_secs(300);
