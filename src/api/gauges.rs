//! The gauges that are read when somebody asks for metrics: those of the pool, of the queue of
//! accepts, and those that only the database knows. The latter are kept for a while, so that
//! scrapes cost the database nothing, however many scrape.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::ApiState;
use crate::store::load::{Load, OPEN_STATES, WORK};
use crate::telemetry::metrics_catalog::{
    ACCEPTS_WAITING, DATABASE_UP, DB_CONNECTION_LIMIT, DB_CONNECTIONS, EXPORTS_OPEN, OLDEST_DUE,
    SINCE_CLAIM,
};

/// For how long they are kept.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// How long the database may take. Prometheus gives a scrape ten seconds unless it is told
/// otherwise.
const PATIENCE: Duration = Duration::from_secs(4);

/// The name of our one pool, which the convention wants.
const POOL: &str = "postgres";

/// When the database was last asked.
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
            .set(pool.most);
        metrics::gauge!(ACCEPTS_WAITING)
            .set(u32::try_from(state.accepts.waiting()).unwrap_or(u32::MAX));
        for (worker, since) in state.progress.since_claims() {
            metrics::gauge!(SINCE_CLAIM, "worker" => worker).set(since.as_secs_f64());
        }
        // Whoever asks at the same time waits for the one answer.
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
