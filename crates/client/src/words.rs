//! Formats numbers, sizes, durations and times, and makes texts from outside safe for a terminal.

use std::time::Duration;

use tableferry_domain::timestamp::Timestamp;

/// Replaces control characters, which could control the terminal.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Escapes the control characters that JSON allows unescaped (U+007F to U+009F), which could
/// control the terminal. The values stay the same.
pub fn clean_json(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // In JSON these characters occur only in strings.
            '\u{7f}'..='\u{9f}' => clean += &format!("\\u{:04x}", u32::from(c)),
            _ => clean.push(c),
        }
    }
    clean
}

/// [`clean`], and on one line.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `1,016`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 file`, `2 files`.
pub fn counted(number: u64, what: &str) -> String {
    format!(
        "{} {what}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

/// `75.1 kB`: decimal units, as AWS bills.
pub fn size(bytes: u64) -> String {
    let mut unit = "B";
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut number = bytes as f64;
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if number < 999.5 {
            break;
        }
        number /= 1000.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{number:.1} {unit}")
    }
}

/// `12m 03s`.
pub fn span(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `3m ago`, for a column.
pub fn ago(then: &str, now: Timestamp) -> String {
    let Ok(then) = Timestamp::parse(then) else {
        return clean(then);
    };
    let s = now.since(then).as_secs();
    match s {
        0..60 => format!("{s}s ago"),
        60..3600 => format!("{}m ago", s / 60),
        3600..172_800 => format!("{}h ago", s / 3600),
        _ => format!("{}d ago", s / 86_400),
    }
}

/// A time from the API, in whole seconds in UTC.
pub fn time(text: &str) -> String {
    Timestamp::parse(text).map_or_else(|_| clean(text), |at| at.whole_seconds().to_string())
}

/// The duration between two times from the API.
pub fn between(from: &str, to: &str) -> Option<Duration> {
    Some(
        Timestamp::parse(to)
            .ok()?
            .since(Timestamp::parse(from).ok()?),
    )
}

/// US dollars.
pub fn dollars(amount: f64) -> String {
    if amount >= 0.01 || amount == 0.0 {
        format!("${amount:.2}")
    } else {
        "less than $0.01".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 1000, 75_120, 999_999, 2_500_000_000].map(size),
            ["0 B", "999 B", "1.0 kB", "75.1 kB", "1.0 MB", "2.5 GB"]
        );
        assert_eq!(
            (counted(1, "file"), counted(2, "file")),
            ("1 file".to_owned(), "2 files".to_owned())
        );
    }

    #[test]
    fn spans_and_times() {
        let spans = [0, 59, 61, 3600, 90_061].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["0s", "59s", "1m 01s", "1h 00m", "1d 01h"]);
        let now = Timestamp::parse("2026-04-02T12:00:00Z").unwrap();
        assert_eq!(ago("2026-04-02T11:57:30.5Z", now), "2m ago");
        assert_eq!(ago("2026-04-02T12:57:30Z", now), "0s ago");
        assert_eq!(time("2026-04-02T11:57:30.5Z"), "2026-04-02T11:57:30Z");
    }

    #[test]
    fn texts_of_others_do_not_steer_the_terminal() {
        assert_eq!(
            clean_json("{\"é\u{2028}\":\"\u{7f}\u{9b}2J\u{85}\u{a0}\"}"),
            "{\"é\u{2028}\":\"\\u007f\\u009b2J\\u0085\u{a0}\"}"
        );
        assert_eq!(clean("a\u{1b}[2Jb\u{7}\r"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
    }
}
