//! Why a command failed.

use std::path::PathBuf;

use crate::app::AppError;
use crate::settings::SettingsError;
use crate::telemetry::TelemetryError;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    #[error("the settings file {} cannot be opened", path.display())]
    SettingsFile {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A setting that the command needs is not set.
    #[error("{0}")]
    Missing(&'static str),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(
        "{resealed} secrets were resealed, but {unreadable} could not be opened with any key of TABLEFERRY_ENCRYPTION_KEY and were not changed"
    )]
    Unreadable { resealed: u64, unreadable: u64 },
    /// What was asked of an API key is not possible.
    #[error("{0}")]
    Key(String),
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
    #[error("the OpenAPI document cannot be written")]
    Openapi(#[source] serde_json::Error),
    #[error("the completions cannot be written")]
    Completions(#[source] std::io::Error),
    #[error("not ready: {0}")]
    NotReady(String),
    #[cfg(feature = "dev")]
    #[error(transparent)]
    Dev(#[from] crate::dev::DevError),
}
