//! The final table, and the details of each violation.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::checker::{FIGURES, Outcome};
use crate::nemesis::Worst;
use crate::stage::Stage;
use crate::{Arguments, database, say};

/// After SIGKILL, all work must be taken over within this.
const KILL_GOAL_S: f64 = 20.0;
/// After SIGTERM, another replica must continue within this.
const STOP_GOAL_S: f64 = 2.0;
/// How many violations are printed in full.
const PRINTED_IN_FULL: usize = 10;

/// The parameters of the run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    pub arguments: &'a Arguments,
    pub seed: u64,
    pub lasted: Duration,
}

/// Measurements outside the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Calm {
    /// How many 200 responses of `/readyz` were judged.
    pub looks: usize,
    /// The highest number of Postgres connections that a replica used when there were no more
    /// requests.
    pub used: f64,
}

/// Prints the table. Returns whether every promise was kept.
pub async fn print(
    stage: &Stage,
    outcome: &Outcome,
    worst: &Worst,
    calm: Calm,
    run: &Run<'_>,
) -> bool {
    let Run {
        arguments,
        seed,
        lasted,
    } = *run;
    let line = |name: &str, value: String| say(&format!("  {name:<34} {value}"));
    say("");
    line("rounds", arguments.rounds.to_string());
    line("seed", seed.to_string());
    line("duration", format!("{:.0} s", lasted.as_secs_f64()));
    line("acknowledged", outcome.acknowledged.to_string());
    line("given up by the client", outcome.unacknowledged.to_string());
    line("started at AWS", outcome.started.to_string());
    let states: Vec<String> = outcome
        .by_status
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    line("ended", states.join(", "));
    for (receiver, count) in &outcome.webhooks {
        line(
            &format!("webhooks to {receiver}"),
            format!("{} ({} not answered with 2xx)", count.all, count.refused),
        );
    }
    line(
        "maximum attempts of a delivery",
        outcome.most_attempts.to_string(),
    );
    line(
        "late writes that were fenced off",
        worst.fenced_writes.to_string(),
    );
    let (killed, terminated) = (worst.killed, worst.terminated);
    let goal = |measured_s: f64, goal_s: f64| if measured_s > goal_s { " OVER" } else { "" };
    let after = |count: u32| format!("of {count} measured");
    if killed.deaths > 0 {
        let (exports_s, deliveries_s) = (killed.exports_s, killed.deliveries_s);
        line(
            "worst takeover after SIGKILL",
            format!(
                "{exports_s:.1} s{} (goal 20 s, {})",
                goal(exports_s, KILL_GOAL_S),
                after(killed.deaths)
            ),
        );
        line(
            "  of a webhook attempt",
            format!(
                "{deliveries_s:.1} s{} (goal 20 s)",
                goal(deliveries_s, KILL_GOAL_S)
            ),
        );
        line(
            "  after the due time",
            format!("{:.1} s", killed.lateness_s),
        );
    }
    if terminated.deaths > 0 {
        let lateness_s = terminated.lateness_s;
        line(
            "worst takeover after SIGTERM",
            format!(
                "{lateness_s:.1} s{} (goal 2 s, {})",
                goal(lateness_s, STOP_GOAL_S),
                after(terminated.deaths)
            ),
        );
    }
    let resumed = worst.resumed;
    line(
        "worst recovery: accepts",
        format!(
            "{:.1} s (limit {:.0} s)",
            resumed.accepts_s, stage.limits.works_s
        ),
    );
    line(
        "  every worker claims",
        format!("{:.1} s (same limit)", resumed.claims_s),
    );
    line(
        "  starts a new export",
        format!("{:.1} s (same limit)", resumed.starts_s),
    );
    line(
        "  the export ends",
        format!("{:.1} s (same limit)", resumed.ends_s),
    );
    line(
        "  its callback arrives",
        format!(
            "{:.1} s (limit {:.0} s)",
            resumed.delivers_s, stage.limits.delivers_s
        ),
    );
    line("connections that fell silent", worst.silenced.to_string());
    line("/readyz with 200, judged", format!("{} times", calm.looks));
    line(
        "connections in use at the end",
        format!("at most {}", calm.used),
    );
    line(
        "slowest stop after SIGTERM",
        format!("{:.1} s", worst.stop_s),
    );
    say("  must be 0:");
    for figure in FIGURES {
        let count = outcome
            .violations
            .iter()
            .filter(|violation| violation.figure == figure)
            .count();
        line(
            &format!("  {figure}"),
            if count == 0 {
                "0".to_owned()
            } else {
                format!("{count}  <-- VIOLATED")
            },
        );
    }
    let kept = outcome.violations.is_empty();
    if !kept {
        print_violations(stage, outcome).await;
        let (folder, again) = (stage.folder.display(), arguments.command(seed));
        say(&format!(
            "\nchaos: FAILED. Logs: {folder}. To repeat this plan: {again}"
        ));
    }
    kept
}

async fn print_violations(stage: &Stage, outcome: &Outcome) {
    let mut printed = BTreeSet::new();
    for violation in &outcome.violations {
        let id = violation.export_id.as_deref().unwrap_or("-");
        say(&format!("\n{}: {id}: {}", violation.figure, violation.what));
        if let Some(id) = &violation.export_id
            && printed.len() < PRINTED_IN_FULL
            && printed.insert(id.clone())
        {
            for line in database::dump(&stage.pool, id).await {
                say(&format!("    {line}"));
            }
        }
    }
}
