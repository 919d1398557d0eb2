//! The progress of a download: bars on a terminal, a line per file elsewhere, nothing with
//! `--quiet`.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::screen::Screen;
use crate::words::{clean, size};

#[derive(Debug)]
pub struct Bars {
    screen: Screen,
    all: Option<(MultiProgress, ProgressBar)>,
}

#[derive(Debug)]
pub struct FileBar {
    file: Option<ProgressBar>,
    total: Option<ProgressBar>,
}

/// In characters.
const MAX_NAME: usize = 40;

impl Bars {
    pub fn new(screen: Screen) -> Self {
        let all = screen.draws_progress().then(|| {
            let all = MultiProgress::new();
            let template = "{spinner:.cyan} {decimal_bytes} of {decimal_total_bytes}  {bar:32.cyan/dim}  {decimal_bytes_per_sec}  {msg}";
            let total = ProgressBar::new(0).with_style(style(template));
            let total = all.add(total);
            total.enable_steady_tick(Duration::from_millis(120));
            (all, total)
        });
        Self { screen, all }
    }

    /// Adds to the total number of bytes.
    pub fn expect(&self, bytes: u64) {
        if let Some((_, total)) = &self.all {
            total.inc_length(bytes);
        }
    }

    pub fn files(&self, done: u64) {
        if let Some((_, total)) = &self.all {
            total.set_message(format!("{done} files done"));
        }
    }

    pub fn file(&self, key: &str, bytes: u64) -> FileBar {
        let file = self.all.as_ref().map(|(all, _)| {
            let bar = ProgressBar::new(bytes).with_style(style(
                "    {decimal_bytes:>10} of {decimal_total_bytes:>10}  {bar:20.dim}  {msg:.dim}",
            ));
            bar.set_message(short(key));
            all.add(bar)
        });
        FileBar {
            file,
            total: self.all.as_ref().map(|(_, total)| total.clone()),
        }
    }

    pub fn finished(&self, what: &str, key: &str, bytes: u64) {
        match &self.all {
            // On a terminal only failures are printed.
            Some(_) if what == "ok" || what == "there" => {}
            Some((all, _)) => drop(all.println(format!("{what}  {}", clean(key)))),
            None => self
                .screen
                .note(&format!("{what:<6}  {:>10}  {}", size(bytes), clean(key))),
        }
    }

    /// Removes the bars.
    pub fn finish(&self) {
        if let Some((all, total)) = &self.all {
            total.finish_and_clear();
            drop(all.clear());
        }
    }
}

impl FileBar {
    pub fn at(&self, bytes: u64) {
        if let Some(file) = &self.file {
            let before = file.position();
            file.set_position(bytes);
            if let Some(total) = &self.total {
                total.set_position((total.position() + bytes).saturating_sub(before));
            }
        }
    }
}

impl Drop for FileBar {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The end of the key, because keys of one export have the same beginning.
fn short(key: &str) -> String {
    let key = clean(key);
    let length = key.chars().count();
    if length <= MAX_NAME {
        key
    } else {
        format!(
            "…{}",
            key.chars().skip(length - MAX_NAME).collect::<String>()
        )
    }
}
