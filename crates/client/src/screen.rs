//! Where results and remarks go: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use console::{Style, Term};

use super::table::{Cell, Table};
use super::words::clean_json;

/// Standard output and standard error of a command.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Results are the API's JSON.
    pub json: bool,
    /// No remarks and no progress; of what was made only the id.
    pub quiet: bool,
}

impl Screen {
    /// Writes a line of a result.
    pub fn line(self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Writes JSON as it came, with a line end; control characters in it are written as escapes.
    pub fn json(self, text: &str) -> io::Result<()> {
        self.line(&clean_json(text.trim_end()))
    }

    /// Writes a piece of a result as it is.
    pub fn piece(self, text: &str) -> io::Result<()> {
        io::stdout().lock().write_all(text.as_bytes())
    }

    /// Writes some rows of a table.
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

    /// Writes named values, those that have one.
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

    /// A remark for people. That it cannot be written is no failure.
    pub fn note(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Whether progress may be drawn.
    pub fn draws_progress(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// The colour of a status.
pub fn status_style(status: &str) -> Style {
    match status {
        "COMPLETED" | "DELIVERED" | "passed" | "enabled" => Style::new().green(),
        "FAILED" | "TIMED_OUT" | "EXHAUSTED" | "failed" => Style::new().red(),
        "CANCELLED" | "ABANDONED" | "warning" | "disabled" => Style::new().yellow(),
        "IN_PROGRESS" | "RUNNING" | "running" => Style::new().cyan(),
        _ => Style::new(),
    }
}

/// A status in its colour, in a table.
pub fn status_cell(status: &str) -> Cell {
    Cell::styled(status, status_style(status))
}
