//! The commands of the binary, one file each.

mod database;
mod error;
mod healthcheck;
mod keys;
mod openapi;
mod secrets;
mod serve;

use std::error::Error as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::app::AppError;
use crate::client::ClientCommand;
use crate::client::commands::Completions;
use crate::clock::Clock;
use crate::settings::Settings;
use crate::telemetry;
use crate::version::VERSION;

pub use error::CliError;

use database::database;

/// DynamoDB table exports to S3, run as a service.
#[derive(Debug, Parser)]
#[command(name = "tableferry", version = VERSION, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// A TOML file with settings; the environment takes precedence
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: the API and the workers
    Serve(serve::Serve),
    /// Migrate the database to this version's schema
    Migrate,
    /// Print the OpenAPI document
    Openapi(openapi::Openapi),
    /// Replace the keys that encrypt secrets and sign webhooks
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Ask a running service whether it is ready, for container health checks; exit status 0 or 1
    Healthcheck(healthcheck::Healthcheck),
    #[command(flatten)]
    Client(Box<ClientCommand>),
    /// Print completions for a shell
    Completions(Completions),
    /// Try the service out: start a private Postgres, an AWS simulator and the service, and run a
    /// sample export
    #[cfg(feature = "dev")]
    Dev(crate::dev::Dev),
}

impl Cli {
    /// Runs the command. An error is printed with its causes.
    pub async fn run(self) -> ExitCode {
        // Client commands read no settings of the service and have exit statuses of their own.
        if let Command::Client(client) = self.command {
            return Box::pin(client.run(Clock::default())).await;
        }
        match self.execute().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let mut text = format!("tableferry: {error}");
                let mut cause = error.source();
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
            // The output of the sample export says what happens; warnings are still shown.
            settings
                .telemetry
                .log
                .get_or_insert_with(|| "warn".to_owned());
        }
        let traces = telemetry::start(&settings.telemetry)?;
        let result = self.command.run(settings).await;
        if let Some(traces) = traces {
            traces.finish().await;
        }
        result
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
        // A variable that is not UTF-8 is not a setting.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(Settings::read(variables, file.as_deref())?)
    }
}

impl Command {
    async fn run(self, settings: Settings) -> Result<(), CliError> {
        match self {
            Self::Serve(serve) => serve.run(settings).await,
            Self::Migrate => Ok(database(&settings)?
                .migrate()
                .await
                .map_err(AppError::from)?),
            Self::Openapi(openapi) => openapi.print(),
            Self::Secrets(secrets) => secrets.run(&settings).await,
            Self::Keys(keys) => keys.run(&settings).await,
            Self::Healthcheck(healthcheck) => healthcheck.run(&settings).await,
            Self::Completions(completions) => Ok(completions
                .run(Cli::command())
                .map_err(CliError::Completions)?),
            // Was run before any setting was read.
            Self::Client(_) => Ok(()),
            #[cfg(feature = "dev")]
            Self::Dev(dev) => Ok(dev.run(settings).await?),
        }
    }
}
