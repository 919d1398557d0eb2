//! Whether a connection of the pool is asked if it still lives before it is used.
//!
//! The pool asks when a connection is given back. Asking again before the next use costs a tenth of what reading an export does, so a
//! connection that was just given back is trusted, until any other is found broken: after a restart of Postgres one caller hears of it, not
//! one for each connection.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnectionMetadata;
use sqlx::{Connection as _, PgConnection};

/// How long it is trusted.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// When the database last failed somebody. Of the whole process, which has one database.
static LAST_FAILURE: Mutex<Option<Instant>> = Mutex::new(None);

/// The database failed somebody: no connection that was given back before this is trusted.
pub(super) fn lost() {
    *LAST_FAILURE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Asks a connection that is not trusted.
///
/// # Errors
/// It is broken.
pub(super) async fn ask(connection: &mut PgConnection, about: PoolConnectionMetadata) -> Result<bool, sqlx::Error> {
    let last_failure = *LAST_FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    if about.idle_for > TRUSTED_FOR || last_failure.is_some_and(|at| at.elapsed() <= about.idle_for) {
        connection.ping().await?;
    }
    Ok(true)
}
