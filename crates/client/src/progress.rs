//! Shows progress while a command waits: a spinner or bar on a terminal, plain lines elsewhere,
//! nothing with `--quiet`.

use std::time::{Duration, Instant};

use console::Style;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::screen::{Screen, status_style};
use super::wire::{Event, Export};
use super::words::{between, clean, one_line, span};
use tableferry_domain::timestamp::Timestamp;

const REDRAW_EVERY: Duration = Duration::from_millis(120);

/// The progress of an export.
#[derive(Debug)]
pub struct Waiting {
    screen: Screen,
    bar: Option<ProgressBar>,
    created_at: String,
}

impl Waiting {
    pub fn start(export: &Export, screen: Screen, now: Timestamp) -> Self {
        let bar = screen.draws_progress().then(|| {
            let age = Timestamp::parse(&export.created_at)
                .map_or(Duration::ZERO, |created| now.since(created));
            let bar = ProgressBar::new_spinner().with_elapsed(age);
            bar.enable_steady_tick(REDRAW_EVERY);
            bar
        });
        let waiting = Self {
            screen,
            bar,
            created_at: export.created_at.clone(),
        };
        waiting.show(export, now);
        waiting
    }

    pub fn show(&self, export: &Export, now: Timestamp) {
        let Some(bar) = &self.bar else { return };
        bar.set_style(style(expected_end(export, now)));
        let reason = export
            .status_reason
            .as_deref()
            .filter(|_| export.export_status == "PENDING")
            .map(one_line);
        let status = status_style(&export.export_status)
            .for_stderr()
            .bold()
            .apply_to(&export.export_status);
        bar.set_message(status.to_string());
        bar.set_prefix(reason.map_or_else(String::new, |reason| format!("  {reason}")));
    }

    pub fn show_event(&self, event: &Event) {
        let after = between(&self.created_at, &event.timestamp).unwrap_or_default();
        let style = status_style(if event.kind == "export.started" {
            ""
        } else {
            &event.export_status
        })
        .for_stderr();
        let kind = format!("{:<18}", clean(&event.kind));
        let line = format!(
            "{:>8}  {}  {}",
            span(after),
            style.apply_to(kind),
            clean(&event.detail)
        );
        self.note(&line);
    }

    /// Prints a line above the spinner.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.screen.note(line),
        }
    }

    /// Removes the spinner.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// When the export is expected to end, by the monotonic clock. `None` without an estimate.
fn expected_end(export: &Export, now: Timestamp) -> Option<Instant> {
    let expected = Timestamp::parse(&export.estimate.as_ref()?.expected_end_time).ok()?;
    Some(Instant::now() + expected.since(now))
}

fn style(expected_end: Option<Instant>) -> ProgressStyle {
    let estimate = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        // A failure to draw is ignored.
        let _ = match expected_end.map(|end| end.saturating_duration_since(Instant::now())) {
            None => Ok(()),
            Some(left) if left.is_zero() => out.write_str("  longer than estimated"),
            Some(left) => write!(out, "  about {} left", span(left)),
        };
    };
    let elapsed = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = out.write_str(&span(state.elapsed()));
    };
    let template =
        ProgressStyle::with_template("{spinner:.cyan} {msg}  {clock}{estimate:.dim}{prefix:.dim}");
    template
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("clock", elapsed)
        .with_key("estimate", estimate)
}

/// The progress of a verification.
#[derive(Debug)]
pub struct Files {
    screen: Screen,
    bar: Option<ProgressBar>,
}

impl Files {
    pub fn start(screen: Screen) -> Self {
        let bar = screen.draws_progress().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(REDRAW_EVERY);
            bar.set_message("reading the manifests");
            bar
        });
        Self { screen, bar }
    }

    pub fn show(&self, done: u64, total: Option<u64>) {
        let (Some(bar), Some(total)) = (&self.bar, total) else {
            return;
        };
        if bar.length() != Some(total) {
            let template = ProgressStyle::with_template(
                "{spinner:.cyan} checking files  {bar:32.cyan/dim}  {pos} of {len}  {elapsed}",
            );
            bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    /// Prints a line above the bar.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.screen.note(line),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

pub fn dim(text: &str) -> String {
    Style::new().for_stderr().dim().apply_to(text).to_string()
}
