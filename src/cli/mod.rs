//! The commands of the binary.

mod keys;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::openapi::{self, Form};
use crate::app::{App, AppError, Role};
use crate::aws::Aws;
use crate::client::ClientCommand;
use crate::client::commands::Completions;
use crate::clock::Chance;
use crate::domain::duration::parse_duration;
use crate::domain::webhook::secret::Sealed;
use crate::keyring::Keyring;
use crate::settings::{Auth, Settings, SettingsError};
use crate::store::{Resealed, Store};
use crate::telemetry::{self, TelemetryError};
use crate::version::{COMMIT, VERSION};
use crate::webhooks::SystemNames;
use crate::webhooks::vault::Vault;

/// DynamoDB table exports to S3, run as a service.
#[derive(Debug, Parser)]
#[command(name = "tableferry", version = VERSION, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// A TOML file that holds settings; the environment goes before it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: API and workers
    Serve(Serve),
    /// Bring the database to this version's schema, and end
    Migrate,
    /// Print the OpenAPI document
    Openapi(Openapi),
    /// Work on what signs webhooks and what seals secrets
    #[command(subcommand)]
    Secrets(Secrets),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Ask a running service whether it is ready, for container health checks; exit status 0 or 1
    Healthcheck {
        /// The service; derived from TABLEFERRY_LISTEN unless given
        #[arg(long)]
        url: Option<String>,
    },
    #[command(flatten)]
    Client(Box<ClientCommand>),
    /// Print completions for a shell
    Completions(Completions),
    /// Run everything a first look needs: a private Postgres, a stand-in for AWS, the service and a
    /// sample export
    #[cfg(feature = "dev")]
    Dev(crate::dev::Dev),
}

#[derive(Debug, Subcommand)]
enum Secrets {
    /// Seal everything with the first key of TABLEFERRY_ENCRYPTION_KEY; then the other keys can be
    /// taken away
    Reseal,
    /// Make a new ed25519 key that signs webhooks (v1a); the old ones sign along for a while
    RotateSigningKey {
        /// For how long the old keys sign along
        #[arg(long, default_value = "24h", value_parser = overlap)]
        overlap: Duration,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// What this process does
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    /// Leave the database's schema as it is; wait until it is this version's
    #[arg(long)]
    no_migrate: bool,
}

#[derive(Debug, Args)]
struct Openapi {
    /// The version of OpenAPI; 3.0 is for generators that do not know 3.1
    #[arg(long, value_enum, default_value = "3.1")]
    openapi_version: OpenapiVersion,
    /// Leave out what receivers of webhooks are sent, for generators that fail on it; 3.0 never has
    /// it
    #[arg(long)]
    without_webhooks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OpenapiVersion {
    #[value(name = "3.1")]
    V3_1,
    #[value(name = "3.0")]
    V3_0,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings cannot be used.
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    /// The settings file cannot be opened.
    #[error("the settings file {} cannot be opened", path.display())]
    SettingsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A setting is missing or not possible for this command.
    #[error("{0}")]
    Missing(&'static str),
    /// Logs or traces cannot begin.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The service cannot run.
    #[error(transparent)]
    App(#[from] AppError),
    /// Some things could not be sealed anew.
    #[error(
        "{done} were sealed anew, but {unreadable} could not be opened with any key of TABLEFERRY_ENCRYPTION_KEY and were left as they are"
    )]
    Unreadable {
        /// How many were.
        done: u64,
        /// How many were not.
        unreadable: u64,
    },
    /// What was said of an API key is not possible.
    #[error("{0}")]
    Key(String),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written")]
    Openapi(#[source] serde_json::Error),
    /// The completions cannot be written.
    #[error("the completions cannot be written")]
    Completions(#[source] std::io::Error),
    /// The service is not ready.
    #[error("not ready: {0}")]
    NotReady(String),
    /// `tableferry dev` cannot run.
    #[cfg(feature = "dev")]
    #[error(transparent)]
    Dev(#[from] crate::dev::DevError),
}

impl Cli {
    /// Runs the command and tells what went wrong, causes included.
    pub async fn run(self) -> ExitCode {
        // What uses a service reads none of its settings, and has exit statuses of its own.
        if let Command::Client(client) = self.command {
            return Box::pin(client.run(Chance::default())).await;
        }
        match self.execute().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let mut text = format!("tableferry: {error}");
                let mut cause = std::error::Error::source(&error);
                while let Some(current) = cause {
                    text = format!("{text}\n  because: {current}");
                    cause = current.source();
                }
                // Standard error, since standard output may be a document.
                eprintln!("{text}");
                ExitCode::FAILURE
            }
        }
    }

    async fn execute(self) -> Result<(), CliError> {
        #[cfg_attr(
            not(feature = "dev"),
            expect(unused_mut, reason = "only dev changes a default")
        )]
        let mut settings = self.settings()?;
        #[cfg(feature = "dev")]
        if let Command::Dev(_) = &self.command {
            // The sample export tells its own story; trouble is still shown.
            settings
                .telemetry
                .log
                .get_or_insert_with(|| "warn".to_owned());
        }
        let traces = telemetry::start(&settings.telemetry)?;
        let done = self.command.run(settings).await;
        if let Some(traces) = traces {
            traces.finish().await;
        }
        done
    }

    #[expect(clippy::disallowed_methods, reason = "settings are read here, once")]
    fn settings(&self) -> Result<Settings, CliError> {
        let file =
            match &self.config {
                Some(path) => Some(std::fs::read_to_string(path).map_err(|source| {
                    CliError::SettingsFile {
                        path: path.clone(),
                        source,
                    }
                })?),
                None => None,
            };
        // Variables that are not UTF-8 are none of ours.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(Settings::read(variables, file.as_deref())?)
    }
}

impl Command {
    async fn run(self, settings: Settings) -> Result<(), CliError> {
        match self {
            Self::Serve(serve) => serve_forever(serve, &settings).await,
            Self::Migrate => Ok(database(&settings)?
                .migrate()
                .await
                .map_err(AppError::from)?),
            Self::Openapi(which) => which.print(),
            Self::Secrets(secrets) => secrets.run(&settings).await,
            Self::Keys(keys) => keys.run(&settings).await,
            Self::Healthcheck { url } => healthcheck(url, &settings).await,
            Self::Completions(completions) => Ok(completions
                .run(Cli::command())
                .map_err(CliError::Completions)?),
            // Has been run before any setting was read.
            Self::Client(_) => Ok(()),
            #[cfg(feature = "dev")]
            Self::Dev(dev) => Ok(dev.run(settings).await?),
        }
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "must be a duration such as 24h or 30m".to_owned())
}

impl Secrets {
    async fn run(self, settings: &Settings) -> Result<(), CliError> {
        let store = database(settings)?;
        let vault = Vault::new(&settings.encryption_keys);
        match self {
            Self::Reseal => {
                let current = vault.current_prefix().ok_or(CliError::Missing(
                    "TABLEFERRY_ENCRYPTION_KEY is not set: there is no key to seal with (make one with: openssl rand -base64 32)",
                ))?;
                let reseal = |old: &Sealed| vault.open(old).ok().map(|text| vault.seal(&text));
                let Resealed { done, unreadable } = store
                    .reseal(&current, reseal)
                    .await
                    .map_err(AppError::from)?;
                if unreadable > 0 {
                    return Err(CliError::Unreadable { done, unreadable });
                }
                eprintln!("{done} were sealed anew; everything is sealed with the first key now");
            }
            Self::RotateSigningKey { overlap } => {
                let chance = Chance::default();
                let now = chance.now();
                let public = Keyring::new(store, vault, chance)
                    .rotate(now, now.plus(overlap))
                    .await
                    .map_err(AppError::from)?;
                eprintln!(
                    "the new public key is {public}; running processes sign with it from now on"
                );
            }
        }
        Ok(())
    }
}

fn database(settings: &Settings) -> Result<Store, CliError> {
    let url: &SecretString = settings.database_url.as_ref().ok_or(CliError::Missing(
        "DATABASE_URL is not set: name a Postgres database, such as postgres://user:password@host:5432/tableferry (to try Tableferry without one, use make run)",
    ))?;
    Ok(
        Store::connect_lazily(url, settings.direct_database_url.as_ref())
            .map_err(AppError::from)?,
    )
}

async fn serve_forever(serve: Serve, settings: &Settings) -> Result<(), CliError> {
    if settings.auth == Auth::None {
        tracing::warn!(
            "TABLEFERRY_AUTH is none: whoever reaches the port may use the service; keep it private"
        );
    }
    if settings.encryption_keys.is_empty() {
        tracing::warn!(
            "TABLEFERRY_ENCRYPTION_KEY is not set: the secrets of webhooks are kept in the database in clear"
        );
    }
    let settings = &Settings {
        limits: settings.limits.clone().within_files(),
        ..settings.clone()
    };
    let store = database(settings)?;
    let listener = listen(settings.listen).await?;
    let aws = Aws::from_environment()
        .await
        .with_roles(settings.accounts.clone());
    let app = App::new(settings, store, aws, Arc::new(SystemNames::default()))?;
    tracing::info!(
        server.address = %settings.listen,
        service.role = ?serve.role,
        service.version = env!("CARGO_PKG_VERSION"),
        service.commit = COMMIT,
        "tableferry starts"
    );
    Ok(app
        .run(
            serve.role,
            listener,
            !serve.no_migrate,
            stop_signal().cancelled_owned(),
        )
        .await?)
}

/// Listens on an address.
///
/// # Errors
/// The address is taken or not this machine's.
pub async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Listen { address, source })
}

/// Cancelled at the first SIGTERM or SIGINT. A second one ends the process at once.
pub fn stop_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        told.cancel();
        wait_for_signal().await;
        std::process::exit(130);
    });
    stop
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

impl Openapi {
    #[expect(clippy::print_stdout, reason = "the document is this command's output")]
    fn print(self) -> Result<(), CliError> {
        let form = match (self.openapi_version, self.without_webhooks) {
            (OpenapiVersion::V3_0, _) => Form::Version30,
            (OpenapiVersion::V3_1, false) => Form::Whole,
            (OpenapiVersion::V3_1, true) => Form::WithoutWebhooks,
        };
        print!("{}", openapi::document(form).map_err(CliError::Openapi)?);
        Ok(())
    }
}

async fn healthcheck(url: Option<String>, settings: &Settings) -> Result<(), CliError> {
    let own = url.is_none();
    let url = url.unwrap_or_else(|| {
        let mut address = settings.listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let scheme = if settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{address}")
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator's own address, not a caller's"
    )]
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5));
    // The certificate is for the service's name, not for this machine's address, and nothing secret
    // is asked.
    let client = client.tls_danger_accept_invalid_certs(own).build();
    let client = client.map_err(|e| CliError::NotReady(e.to_string()))?;
    let answer = client
        .get(format!("{}/readyz", url.trim_end_matches('/')))
        .send()
        .await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(CliError::NotReady(format!(
            "the service answers {}",
            answer.status()
        ))),
        Err(error) => Err(CliError::NotReady(error.to_string())),
    }
}
