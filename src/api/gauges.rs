//! The gauges that are read for each scrape: those of the pool, of the accept queue, and those that
//! come from the database. The latter are cached, so that the load on the database does not depend
//! on the number of scrapes.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::ApiState;
use crate::store::load::{Load, OPEN_STATES, WORK};
use crate::telemetry::metrics_catalog::{
    ACCEPTS_WAITING, DATABASE_UP, DB_CONNECTION_LIMIT, DB_CONNECTIONS, EXPORTS_OPEN, OLDEST_DUE,
    SINCE_CLAIM,
};

/// How long they are cached.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// How long the database may take. Prometheus's default time-out for a scrape is ten seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// The name of our only pool, which OpenTelemetry's convention requires.
const POOL: &str = "postgres";

/// When the database was last read.
#[derive(Debug, Default)]
pub struct Gauges {
    asked_at: Mutex<Option<Instant>>,
}

impl Gauges {
    /// Records all of them.
    pub async fn read(&self, state: &ApiState) {
        let pool = state.store.connections();
        let connections = |state: &'static str, count: u32| {
            metrics::gauge!(DB_CONNECTIONS, "db_client_connection_pool_name" => POOL, "db_client_connection_state" => state).set(count);
        };
        connections("idle", pool.idle);
        connections("used", pool.used);
        metrics::gauge!(DB_CONNECTION_LIMIT, "db_client_connection_pool_name" => POOL)
            .set(pool.max);
        metrics::gauge!(ACCEPTS_WAITING)
            .set(u32::try_from(state.accepts.waiting()).unwrap_or(u32::MAX));
        for (worker, since) in state.progress.since_claims() {
            metrics::gauge!(SINCE_CLAIM, "worker" => worker).set(since.as_secs_f64());
        }
        // Concurrent scrapes wait for the same answer.
        let mut asked_at = self.asked_at.lock().await;
        if asked_at.is_none_or(|at| at.elapsed() >= FRESH_FOR) {
            let load = timeout(PATIENCE, state.store.load()).await;
            record(load.ok().and_then(Result::ok).as_ref());
            *asked_at = Some(Instant::now());
        }
    }
}

fn record(load: Option<&Load>) {
    metrics::gauge!(DATABASE_UP).set(if load.is_some() { 1.0 } else { 0.0 });
    for (place, state) in OPEN_STATES.into_iter().enumerate() {
        metrics::gauge!(EXPORTS_OPEN, "state" => state)
            .set(load.map_or(f64::NAN, |load| load.open[place]));
    }
    for (place, work) in WORK.into_iter().enumerate() {
        metrics::gauge!(OLDEST_DUE, "work" => work)
            .set(load.map_or(f64::NAN, |load| load.oldest_due_s[place]));
    }
}
