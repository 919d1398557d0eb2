//! The figures of all rounds: a table for people, JSON for later comparison.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::Failed;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// Durable accepts of exports.
    Accepts,
    /// Polling many exports in flight.
    InFlight,
    /// Many small exports from the request to COMPLETED.
    Whole,
    /// Pages of a million exports.
    Lists,
    /// How many polls are needed to notice an end how soon.
    Polling,
    /// Many clients that wait for an end.
    Waiting,
    /// The cost of metrics, traces and log lines.
    Telemetry,
    /// Abusive clients, and their effect on the others.
    Attacks,
    /// The cost of an idle process.
    Start,
    /// From an export's end to the first attempt of its webhook.
    FirstAttempt,
    /// Deliveries per second while one of ten endpoints hangs.
    Deliveries,
    /// Reading an export's files again, to the last byte.
    DeepVerification,
}

impl Case {
    /// Every case, in the order in which they run.
    pub const ALL: [Self; 12] = [
        Self::Start,
        Self::Accepts,
        Self::Telemetry,
        Self::Polling,
        Self::InFlight,
        Self::Whole,
        Self::Lists,
        Self::Waiting,
        Self::Attacks,
        Self::FirstAttempt,
        Self::Deliveries,
        Self::DeepVerification,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepts => "accepts",
            Self::InFlight => "in_flight",
            Self::Whole => "whole",
            Self::Lists => "lists",
            Self::Polling => "polling",
            Self::Waiting => "waiting",
            Self::Telemetry => "telemetry",
            Self::Attacks => "attacks",
            Self::Start => "start",
            Self::FirstAttempt => "webhook_first_attempt",
            Self::Deliveries => "webhook_deliveries_one_of_ten_hangs",
            Self::DeepVerification => "deep_verification",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Figure {
    /// Its name, with the unit.
    pub name: &'static str,
    pub value: f64,
    pub goal: Option<Goal>,
}

/// The target of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// The markers around the table in a document.
const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";

#[derive(Debug, Default)]
pub struct Report {
    figures: BTreeMap<(Case, usize), (Figure, Vec<f64>)>,
}

#[derive(Serialize)]
struct Row {
    case: &'static str,
    figure: &'static str,
    low: f64,
    middle: f64,
    high: f64,
    rounds: usize,
    goal: Option<String>,
    met: Option<bool>,
}

impl Report {
    pub fn add(&mut self, case: Case, figures: Vec<Figure>) {
        for (place, figure) in figures.into_iter().enumerate() {
            let value = figure.value;
            self.figures
                .entry((case, place))
                .or_insert_with(|| (figure, Vec::new()))
                .1
                .push(value);
        }
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(case, figure, values): (Case, &Figure, &Vec<f64>)| {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let middle = sorted[sorted.len() / 2];
            let (goal, met) = match figure.goal {
                None => (None, None),
                Some(Goal::AtMost(most)) => (Some(format!("≤ {most}")), Some(middle <= most)),
                Some(Goal::AtLeast(least)) => (Some(format!("≥ {least}")), Some(middle >= least)),
            };
            let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
            Row {
                case: case.name(),
                figure: figure.name,
                low,
                middle,
                high,
                rounds: sorted.len(),
                goal,
                met,
            }
        };
        self.figures
            .iter()
            .map(|((case, _), (figure, values))| row((*case, figure, values)))
            .collect()
    }

    pub fn print(&self) {
        eprintln!(
            "{:<38} {:<34} {:>10} {:>10} {:>10}  {:<10} met",
            "case", "figure", "low", "middle", "high", "goal"
        );
        for row in self.rows() {
            let (goal, met) = (
                row.goal.unwrap_or_default(),
                row.met.map_or("", |met| if met { "yes" } else { "NO" }),
            );
            eprintln!(
                "{:<38} {:<34} {:>10.2} {:>10.2} {:>10.2}  {goal:<10} {met}",
                row.case, row.figure, row.low, row.middle, row.high
            );
        }
    }

    /// Replaces the table between the markers of a document.
    pub fn write_into(&self, document: &Path) -> Result<(), Failed> {
        let text = std::fs::read_to_string(document)?;
        let (before, rest) = text
            .split_once(BEGIN)
            .ok_or("no mark where figures begin")?;
        let (_, after) = rest.split_once(END).ok_or("no mark where figures end")?;
        let mut table = "| case | figure | low | middle | high | goal | met |\n|---|---|---:|---:|---:|---|---|\n".to_owned();
        for row in self.rows() {
            let number = |value: f64| {
                if value.abs() >= 100.0 {
                    format!("{value:.0}")
                } else {
                    format!("{value:.2}")
                }
            };
            let (goal, met) = (
                row.goal.unwrap_or_default(),
                row.met.map_or("", |met| if met { "yes" } else { "**no**" }),
            );
            let (low, middle, high) = (number(row.low), number(row.middle), number(row.high));
            table += &format!(
                "| `{}` | {} | {low} | {middle} | {high} | {goal} | {met} |\n",
                row.case, row.figure
            );
        }
        std::fs::write(document, format!("{before}{BEGIN}\n{table}{END}{after}"))?;
        Ok(())
    }

    pub fn write(&self, path: &Path) -> Result<(), Failed> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(&self.rows())? + "\n")?;
        Ok(())
    }
}

/// A quantile of the sorted values.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a few thousand values"
    )]
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
