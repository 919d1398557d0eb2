//! The final table, and what there is to know of each violation.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::checker::{FIGURES, Outcome};
use crate::nemesis::Worst;
use crate::stage::Stage;
use crate::{Arguments, database, say};

/// After SIGKILL all work is taken over within this.
const KILL_GOAL_S: f64 = 20.0;
/// After SIGTERM another replica carries on within this.
const STOP_GOAL_S: f64 = 2.0;
/// How many violations are told in full.
const TOLD_IN_FULL: usize = 10;

/// Which run it was.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// As it was asked for.
    pub arguments: &'a Arguments,
    /// Its seed.
    pub seed: u64,
    /// How long it took.
    pub lasted: Duration,
}

/// What was measured beside the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Calm {
    /// How often `/readyz` said 200 and was judged.
    pub looks: usize,
    /// The most connections to Postgres that a replica used when nobody called any more.
    pub used: f64,
}

/// Prints the table; whether every promise was kept.
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
    line(
        "given up by their clients",
        outcome.unacknowledged.to_string(),
    );
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
        "attempts at most for one",
        outcome.most_attempts.to_string(),
    );
    line(
        "late writes that changed nothing",
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
            "  beyond when it was due",
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
        "worst after a healing: accepts",
        format!(
            "{:.1} s (limit {:.0} s)",
            resumed.accepts_s, stage.limits.works_s
        ),
    );
    line(
        "  every worker claims",
        format!("{:.1} s (the same)", resumed.claims_s),
    );
    line(
        "  an export asked for then starts",
        format!("{:.1} s (the same)", resumed.starts_s),
    );
    line("  and ends", format!("{:.1} s (the same)", resumed.ends_s));
    line(
        "  and its callback comes",
        format!(
            "{:.1} s (limit {:.0} s)",
            resumed.delivers_s, stage.limits.delivers_s
        ),
    );
    line("connections that fell silent", worst.silenced.to_string());
    line(
        "/readyz said 200, and was judged",
        format!("{} times", calm.looks),
    );
    line(
        "connections in use in the end",
        format!("{} at most", calm.used),
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
        tell(stage, outcome).await;
        let (folder, again) = (stage.folder.display(), arguments.command(seed));
        say(&format!(
            "\nchaos: FAILED. Logs: {folder}. The same plan again: {again}"
        ));
    }
    kept
}

async fn tell(stage: &Stage, outcome: &Outcome) {
    let mut told = BTreeSet::new();
    for violation in &outcome.violations {
        let id = violation.export_id.as_deref().unwrap_or("-");
        say(&format!("\n{}: {id}: {}", violation.figure, violation.what));
        if let Some(id) = &violation.export_id
            && told.len() < TOLD_IN_FULL
            && told.insert(id.clone())
        {
            for line in database::dump(&stage.pool, id).await {
                say(&format!("    {line}"));
            }
        }
    }
}
