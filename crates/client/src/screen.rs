//! Prints results to standard output, and everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use console::{Style, Term};

use super::table::{Cell, Table};
use super::words::clean_json;

#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Print results as the API's JSON.
    pub json: bool,
    /// Print no hints and no progress; for a created resource, only its ID.
    pub quiet: bool,
}

impl Screen {
    pub fn line(self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Prints JSON as received, with control characters escaped.
    pub fn json(self, text: &str) -> io::Result<()> {
        self.line(&clean_json(text.trim_end()))
    }

    /// Prints without a line end.
    pub fn piece(self, text: &str) -> io::Result<()> {
        io::stdout().lock().write_all(text.as_bytes())
    }

    pub fn rows(self, table: &mut Table, rows: &[Vec<Cell>]) -> io::Result<()> {
        let room = Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns));
        let mut out = io::stdout().lock();
        table
            .lines(rows, room)
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"))
    }

    /// Prints the fields that have a value.
    pub fn fields(self, fields: &[(&str, Option<String>)]) -> io::Result<()> {
        let given: Vec<_> = fields
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_ref()?)))
            .collect();
        let width = given
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        let mut out = io::stdout().lock();
        let indent = " ".repeat(width + 2);
        given.iter().try_for_each(|(name, value)| {
            let title = Style::new().bold().apply_to(name);
            let padding = " ".repeat(width - name.len());
            writeln!(
                out,
                "{title}{padding}  {}",
                value.replace('\n', &format!("\n{indent}"))
            )
        })
    }

    /// Prints a hint. A failure is ignored.
    pub fn note(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    pub fn draws_progress(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

pub fn status_style(status: &str) -> Style {
    match status {
        "COMPLETED" | "DELIVERED" | "passed" | "enabled" => Style::new().green(),
        "FAILED" | "TIMED_OUT" | "EXHAUSTED" | "failed" => Style::new().red(),
        "CANCELLED" | "ABANDONED" | "warning" | "disabled" => Style::new().yellow(),
        "IN_PROGRESS" | "RUNNING" | "running" => Style::new().cyan(),
        _ => Style::new(),
    }
}

pub fn status_cell(status: &str) -> Cell {
    Cell::styled(status, status_style(status))
}
