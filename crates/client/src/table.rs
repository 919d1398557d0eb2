//! Tables with aligned columns. If the terminal is too narrow, less important columns are left out.

use console::{Style, measure_text_width, truncate_str};

#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    right: bool,
    /// The column with the highest rank is left out first; one with rank 0 never is.
    rank: u8,
}

/// A left-aligned column with rank 0.
pub const fn column(title: &'static str) -> Column {
    Column {
        title,
        right: false,
        rank: 0,
    }
}

impl Column {
    /// Aligned to the right, for numbers.
    pub const fn right(self) -> Self {
        Self {
            right: true,
            ..self
        }
    }

    pub const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style: Some(style),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            style: None,
        }
    }
}

/// A table that can be printed in parts: later parts keep the widths of the earlier ones.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// The columns that are shown, chosen with the first part.
    shown: Option<Vec<usize>>,
    /// Whether nothing is cut or left out, however narrow the terminal is.
    whole: bool,
}

const GAP: usize = 2;

impl Table {
    pub fn new(columns: &[Column]) -> Self {
        let widths = columns.iter().map(|column| column.title.len()).collect();
        Self {
            columns: columns.to_vec(),
            widths,
            shown: None,
            whole: false,
        }
    }

    /// Cuts and leaves out nothing, for values that users copy.
    pub fn whole(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// The lines of these rows, after the titles if they are the first ones. `room` is the width of
    /// the terminal, if it is one.
    pub fn lines(&mut self, rows: &[Vec<Cell>], room: Option<usize>) -> Vec<String> {
        let room = room.filter(|_| !self.whole);
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(&cell.text));
            }
        }
        let first = self.shown.is_none();
        let shown = self.shown.take().unwrap_or_else(|| self.choose(room));
        let mut lines = Vec::new();
        if first {
            let titles: Vec<_> = self
                .columns
                .iter()
                .map(|column| Cell::styled(column.title, Style::new().bold()))
                .collect();
            lines.push(self.line(&titles, &shown, room));
        }
        lines.extend(rows.iter().map(|row| self.line(row, &shown, room)));
        self.shown = Some(shown);
        lines
    }

    fn choose(&self, room: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<_> = (0..self.columns.len()).collect();
        while let Some(room) = room {
            let needed: usize = shown.iter().map(|at| self.widths[*at] + GAP).sum();
            let least = shown
                .iter()
                .copied()
                .max_by_key(|at| self.columns[*at].rank);
            match least {
                Some(at) if needed > room + GAP && self.columns[at].rank > 0 => {
                    shown.retain(|one| *one != at)
                }
                _ => break,
            }
        }
        shown
    }

    fn line(&self, cells: &[Cell], shown: &[usize], room: Option<usize>) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (place, at) in shown.iter().enumerate() {
            let (cell, width, is_last) = (&cells[*at], self.widths[*at], place + 1 == shown.len());
            let left = room.map_or(usize::MAX, |room| room.saturating_sub(used).max(8));
            let text = if is_last {
                truncate_str(&cell.text, left, "…")
            } else {
                (&cell.text).into()
            };
            let padding = " ".repeat(width.saturating_sub(measure_text_width(&text)));
            let styled = cell.style.as_ref().map_or_else(
                || text.to_string(),
                |style| style.apply_to(&text).to_string(),
            );
            match (self.columns[*at].right, is_last) {
                (true, _) => line += &format!("{padding}{styled}"),
                (false, true) => line += &styled,
                (false, false) => line += &format!("{styled}{padding}"),
            }
            if !is_last {
                line += &" ".repeat(GAP);
            }
            used += width + GAP;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["a".into(), "12".into(), "some words".into()],
            vec!["bcd".into(), "7".into(), "x".into()],
        ]
    }

    #[test]
    fn columns_are_aligned_and_the_last_one_is_not_padded() {
        let mut table = Table::new(&[column("ID"), column("N").right(), column("WHAT")]);
        assert_eq!(
            table.lines(&rows(), None),
            ["ID    N  WHAT", "a    12  some words", "bcd   7  x"]
        );
        assert_eq!(
            table.lines(&[vec!["e".into(), "1".into(), "y".into()]], None),
            ["e     1  y"]
        );
    }

    #[test]
    fn a_narrow_terminal_shows_what_matters() {
        let mut table = Table::new(&[
            column("ID"),
            column("N").right().rank(1),
            column("WHAT").rank(2),
        ]);
        assert_eq!(
            table.lines(&rows(), Some(9)),
            ["ID    N", "a    12", "bcd   7"]
        );
    }
}
