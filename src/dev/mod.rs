//! `tableferry dev`: everything for a first try, in one process tree. Not part of a production
//! build (feature `dev`).
//!
//! It starts a private Postgres and an AWS simulator, both with their data below `.tableferry/`,
//! then the service, and runs a sample export while the user watches. Everything stops with the
//! process; the data is kept for the next run.

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
use crate::auth::Auth;
use crate::aws::Aws;
use crate::clock::Clock;
use crate::domain::webhook::secret::WebhookSecret;
use crate::settings::{AuthSettings, DatabaseSettings, Settings, WebhookSettings};
use crate::stop_signal::stop_signal;
use crate::store::{Store, StoreError};
use crate::webhooks::SystemNames;
use crate::webhooks::vault::VaultKey;

#[derive(Debug, Args)]
pub struct Dev {
    /// Folder of the database, the simulator's tables and the exported files
    #[arg(long, default_value = ".tableferry", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Speed of exports, as a multiple of their speed at AWS, where they take 2 to 12 minutes
    #[arg(long, default_value_t = 60.0, value_name = "N")]
    speed: f64,
    /// Stop after the sample export; exit status 0 if it is COMPLETED
    #[arg(long)]
    once: bool,
}

/// Why `tableferry dev` ended.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error("the private Postgres does not start")]
    Postgres(#[from] private_postgres::Error),
    #[error("the AWS simulator does not start")]
    Simulator(#[from] StartError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("{what}")]
    Machine {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("the sample export did not complete: {0}")]
    Sample(String),
}

impl Dev {
    /// Runs until Ctrl-C; with `--once` until the sample export has ended, and fails if it is not
    /// COMPLETED.
    pub async fn run(self, settings: Settings) -> Result<(), DevError> {
        let stop = stop_signal();
        places::say("Tableferry is starting; Ctrl-C stops everything.\n");
        let postgres = start_postgres(self.data_dir.join("postgres")).await?;
        let simulator =
            Simulator::start(places::simulator_settings(&self.data_dir, self.speed).await).await?;
        let settings = self.settings(settings, &postgres)?;
        let listener = places::listen(settings.http.listen).await?;
        let service = places::url_of(&listener)?;
        let receiver = receiver::start(settings.webhooks.default_secret.clone()).await?;
        places::show_addresses(&self, &postgres, &simulator, &service);

        let store = match &settings.database.url {
            Some(url) => Store::connect_lazily(url, None)?,
            None => return Err(DevError::Sample("there is no database".to_owned())),
        };
        store.migrate().await?;
        let aws = Aws::at_endpoints(&simulator.dynamodb_url(), &simulator.s3_url())
            .await
            .with_roles(settings.aws.accounts.clone());
        let app = App::new(&settings, store, aws, Arc::new(SystemNames::default()))?;
        let running =
            tokio::spawn(app.run(Role::All, listener, true, stop.clone().cancelled_owned()));
        let shown = tokio::select! {
            shown = sample::show(&service, &simulator, &receiver) => shown,
            () = stop.cancelled() => Ok(()),
        };
        match &shown {
            Ok(()) if !self.once && !stop.is_cancelled() => {
                places::show_next_steps(&service, &simulator);
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
        // Blocking, and last, since the service has closed its connections now.
        let stopped = tokio::task::spawn_blocking(move || postgres.stop()).await;
        match (ended, stopped) {
            (Ok(Err(error)), _) => Err(error.into()),
            (_, Ok(Err(error))) => Err(error.into()),
            _ if self.once => shown,
            _ => Ok(()),
        }
    }

    /// The user's settings, completed for a first try.
    fn settings(
        &self,
        settings: Settings,
        postgres: &PrivatePostgres,
    ) -> Result<Settings, DevError> {
        let webhooks = settings.webhooks;
        Ok(Settings {
            database: DatabaseSettings {
                url: Some(SecretString::from(postgres.url(private_postgres::DATABASE))),
                direct_url: None,
            },
            auth: AuthSettings {
                mode: Auth::None,
                ..settings.auth
            },
            webhooks: WebhookSettings {
                default_secret: webhooks.default_secret.or_else(development_secret),
                urls: webhooks.urls.allowing_private(),
                encryption_keys: if webhooks.encryption_keys.is_empty() {
                    vec![self.encryption_key()?]
                } else {
                    webhooks.encryption_keys
                },
            },
            ..settings
        })
    }

    /// The key that seals secrets: it is stored in the data folder and made when it is first
    /// needed.
    fn encryption_key(&self) -> Result<VaultKey, DevError> {
        let path = self.data_dir.join("encryption-key");
        let broken = |source| DevError::Machine {
            what: "the file encryption-key in the data folder cannot be read or written",
            source,
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = VaultKey::text(&Clock::default().secret_bytes());
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

/// Signs callbacks if the user has set no secret. It is public, since it is in the source: only for
/// development.
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

/// How long the sample export may take.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(300);
