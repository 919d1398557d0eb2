//! A replica's `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::stage::Stage;

/// The timeout of a request.
const PATIENCE: Duration = Duration::from_secs(2);

/// The workers of a replica that claim several times a second, even if there is no work.
const WORKERS: [&str; 3] = ["exports", "deliveries", "verifications"];

/// The lines of one response.
#[derive(Debug, Clone)]
pub struct Metrics(String);

/// Requests a replica's metrics; `None` if it does not answer.
pub async fn of(stage: &Stage, replica: usize) -> Option<Metrics> {
    let asked = async {
        let answer = stage
            .http
            .get(stage.replicas[replica].url("/metrics"))
            .send()
            .await
            .ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .ok()?
        .map(Metrics)
}

impl Metrics {
    /// The sum of a metric over all series with these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |line: &str| {
            labels
                .iter()
                .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        };
        let of_name = |line: &&str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && has(line)
        };
        self.0
            .lines()
            .filter(of_name)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Connections to Postgres that are in use.
    #[must_use]
    pub fn used_connections(&self) -> f64 {
        self.sum(
            "db_client_connection_count",
            &[("db_client_connection_state", "used")],
        )
    }

    /// The number of each worker's claims without an error.
    #[must_use]
    pub fn claims(&self) -> BTreeMap<&'static str, f64> {
        let count = |worker| {
            self.sum(
                "tableferry_worker_claims_total",
                &[("worker", worker), ("outcome", "ok")],
            )
        };
        WORKERS
            .into_iter()
            .map(|worker| (worker, count(worker)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_chosen_by_name_and_labels() {
        let text = "# HELP a_total x\na_total{worker=\"exports\",outcome=\"ok\"} 3\na_total{worker=\"exports\",outcome=\"error\"} 4\n\
            a_total_more 9\na_total{worker=\"deliveries\",outcome=\"ok\"} 5\n";
        let metrics = Metrics(text.to_owned());
        assert!((metrics.sum("a_total", &[("outcome", "ok")]) - 8.0).abs() < 1e-9);
        assert!((metrics.sum("a_total", &[("worker", "exports")]) - 7.0).abs() < 1e-9);
        assert!(metrics.sum("b_total", &[]).abs() < 1e-9);
    }
}
