//! The database that a command needs.

use super::error::CliError;
use crate::app::AppError;
use crate::settings::Settings;
use crate::store::Store;

/// Does not connect yet.
pub(super) fn database(settings: &Settings) -> Result<Store, CliError> {
    let settings = &settings.database;
    let url = settings.url.as_ref().ok_or(CliError::Missing(
        "DATABASE_URL is not set: name a Postgres database, such as postgres://user:password@host:5432/tableferry (to try Tableferry without one, use make run)",
    ))?;
    Ok(Store::connect_lazily(url, settings.direct_url.as_ref()).map_err(AppError::from)?)
}
