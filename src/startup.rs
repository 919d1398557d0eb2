//! Waits at the start until the database can be used, and migrates it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::error_chain::in_words;
use crate::store::{DatabaseProblem, Store, StoreError};

/// Returns once the database answers and has this version's schema, or when the process stops.
/// Fails if waiting would not help. `is_unprepared` is true while an attempt has failed; callers
/// get 503 meanwhile.
pub async fn wait_for_database(
    store: &Store,
    migrate: bool,
    is_unprepared: &AtomicBool,
    stopping: &CancellationToken,
) -> Result<(), StoreError> {
    let mut logged = false;
    while !stopping.is_cancelled() {
        let prepared = tokio::select! {
            prepared = prepare(store, migrate) => prepared,
            () = stopping.cancelled() => return Ok(()),
        };
        match prepared {
            Ok(()) => {
                is_unprepared.store(false, Ordering::Relaxed);
                if logged {
                    tracing::info!("the database answers now");
                }
                return Ok(());
            }
            Err(error) if error.is_permanent() => return Err(error),
            // The health check logs it.
            Err(StoreError::Unhealthy(_)) => {}
            Err(error) if !logged => {
                tracing::warn!(
                    error.message = in_words(&error),
                    "the database does not answer; trying again every second"
                );
            }
            Err(_) => {}
        }
        logged = true;
        is_unprepared.store(true, Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stopping.cancelled() => {}
        }
    }
    Ok(())
}

/// Migrates the database if `migrate`, and checks whether it can be used.
async fn prepare(store: &Store, migrate: bool) -> Result<(), StoreError> {
    store.check_connection().await?;
    let migrated = if migrate {
        store.migrate().await
    } else {
        Ok(())
    };
    match (migrated, store.health().await) {
        (Ok(()), Err(problem @ DatabaseProblem::OldSchema)) if migrate => {
            tracing::warn!(
                "the schema was migrated but is still old: does TABLEFERRY_DIRECT_DATABASE_URL name another database?"
            );
            Err(StoreError::Unhealthy(problem))
        }
        (Ok(()), health) => health.map_err(StoreError::Unhealthy),
        // Migrations cannot be checked, but the schema is this version's.
        (Err(error), Ok(())) if error.is_unavailable() => {
            tracing::warn!(
                error.message = in_words(&error),
                "migrations could not be checked; the schema is current"
            );
            Ok(())
        }
        (Err(error), _) => Err(error),
    }
}
