//! What is seen of a download: bars of bytes on a terminal, a line for each file elsewhere, nothing
//! with `--quiet`.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::screen::Screen;
use crate::words::{clean, size};

/// The bars of a download.
#[derive(Debug)]
pub struct Bars {
    screen: Screen,
    all: Option<(MultiProgress, ProgressBar)>,
}

/// The bar of one file.
#[derive(Debug)]
pub struct FileBar {
    file: Option<ProgressBar>,
    total: Option<ProgressBar>,
}

/// How much of a name is shown.
const NAME: usize = 40;

impl Bars {
    /// Nothing downloaded yet.
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

    /// So many bytes more are to come.
    pub fn expect(&self, bytes: u64) {
        if let Some((_, total)) = &self.all {
            total.inc_length(bytes);
        }
    }

    /// So many files are there.
    pub fn files(&self, done: u64) {
        if let Some((_, total)) = &self.all {
            total.set_message(format!("{done} files done"));
        }
    }

    /// A file begins.
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

    /// A file has ended.
    pub fn tell(&self, what: &str, key: &str, bytes: u64) {
        match &self.all {
            // On a terminal only what is not as it should be.
            Some(_) if what == "ok" || what == "there" => {}
            Some((all, _)) => drop(all.println(format!("{what}  {}", clean(key)))),
            None => self
                .screen
                .note(&format!("{what:<6}  {:>10}  {}", size(bytes), clean(key))),
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        if let Some((all, total)) = &self.all {
            total.finish_and_clear();
            drop(all.clear());
        }
    }
}

impl FileBar {
    /// So many bytes of the file are there.
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

/// The end of a key, where keys differ.
fn short(key: &str) -> String {
    let key = clean(key);
    let length = key.chars().count();
    if length <= NAME {
        key
    } else {
        format!("…{}", key.chars().skip(length - NAME).collect::<String>())
    }
}
