//! `tableferry serve`: runs the service until a signal stops it.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::database::database;
use super::error::CliError;
use crate::app::{App, AppError, Role};
use crate::auth::Auth;
use crate::aws::Aws;
use crate::listener::connections_within_open_files;
use crate::settings::Settings;
use crate::stop_signal::stop_signal;
use crate::version::COMMIT;
use crate::webhooks::SystemNames;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// What this process does
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    /// Do not migrate the database; wait until its schema is this version's
    #[arg(long)]
    no_migrate: bool,
}

impl Serve {
    pub(super) async fn run(self, mut settings: Settings) -> Result<(), CliError> {
        warn_of_risks(&settings);
        let connections = &mut settings.http.connection_limits.connections;
        *connections = connections_within_open_files(*connections);
        let store = database(&settings)?;
        let listener = listen(settings.http.listen).await?;
        let aws = Aws::from_environment()
            .await
            .with_roles(settings.aws.accounts.clone());
        let app = App::new(&settings, store, aws, Arc::new(SystemNames::default()))?;
        tracing::info!(
            server.address = %settings.http.listen,
            service.role = ?self.role,
            service.version = env!("CARGO_PKG_VERSION"),
            service.commit = COMMIT,
            "tableferry starts"
        );
        let stop = stop_signal().cancelled_owned();
        Ok(app.run(self.role, listener, !self.no_migrate, stop).await?)
    }
}

fn warn_of_risks(settings: &Settings) {
    if settings.auth.mode == Auth::None {
        tracing::warn!(
            "TABLEFERRY_AUTH is none: everyone who reaches the port can use the service; keep it private"
        );
    }
    if settings.webhooks.encryption_keys.is_empty() {
        tracing::warn!(
            "TABLEFERRY_ENCRYPTION_KEY is not set: the database holds the secrets of webhooks unencrypted"
        );
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Listen { address, source })
}
