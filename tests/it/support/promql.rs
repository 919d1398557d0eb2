//! Which metrics and labels a Prometheus expression names: as much of the grammar as that needs.

#[derive(Debug, PartialEq, Eq)]
pub enum Selector {
    /// A metric and the labels of its matchers.
    Metric { name: String, labels: Vec<String> },
    /// Labels of `by`, `without`, `on` and so on.
    Grouping(Vec<String>),
}

const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const WORDS: [&str; 8] = [
    "and", "or", "unless", "offset", "bool", "inf", "nan", "atan2",
];

/// Everything that the expression names.
pub fn selectors(expression: &str) -> Result<Vec<Selector>, String> {
    let mut found = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = after_string(rest)?;
        } else if first.is_ascii_digit() || first == '$' {
            // A number, a duration such as 5m, or a Grafana variable.
            rest = rest[1..]
                .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        } else if first.is_ascii_alphabetic() || first == '_' {
            let (word, after) = word(rest);
            rest = after.trim_start();
            if GROUPING.contains(&word) {
                let (inside, after) = rest
                    .strip_prefix('(')
                    .and_then(|r| r.split_once(')'))
                    .ok_or("a grouping without brackets")?;
                found.push(Selector::Grouping(
                    inside
                        .split(',')
                        .map(|l| l.trim().to_owned())
                        .filter(|l| !l.is_empty())
                        .collect(),
                ));
                rest = after;
            } else if let Some(matchers) = rest.strip_prefix('{') {
                let (labels, after) = matchers_of(matchers)?;
                found.push(Selector::Metric {
                    name: word.to_owned(),
                    labels,
                });
                rest = after;
            } else if !rest.starts_with('(') && !WORDS.contains(&word) && !is_operator_of(rest) {
                found.push(Selector::Metric {
                    name: word.to_owned(),
                    labels: Vec::new(),
                });
            }
        } else if first == '{' {
            return Err("a selector without a metric".to_owned());
        } else {
            rest = &rest[first.len_utf8()..];
        }
        rest = rest.trim_start();
    }
    Ok(found)
}

/// Whether what follows makes the word before it an aggregation: `sum by (…)`.
fn is_operator_of(rest: &str) -> bool {
    matches!(word(rest).0, "by" | "without")
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(text.len()),
    )
}

fn after_string(text: &str) -> Result<&str, String> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(&text[at + 1..]),
            _ => {}
        }
    }
    Err("a string does not end".to_owned())
}

/// The labels of matchers, and what follows their closing bracket.
fn matchers_of(text: &str) -> Result<(Vec<String>, &str), String> {
    let (mut labels, mut rest) = (Vec::new(), text.trim_start());
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (label, after) = word(rest);
        let value = after
            .trim_start()
            .trim_start_matches(['=', '!', '~'])
            .trim_start();
        if label.is_empty() || !value.starts_with('"') {
            return Err(format!("no matcher begins at {rest}"));
        }
        labels.push(label.to_owned());
        rest = after_string(value)?.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

#[test]
fn expressions_are_read() {
    let metric = |name: &str, labels: &[&str]| Selector::Metric {
        name: name.to_owned(),
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
    };
    let expression = r#"sum by (le, a) (rate(x_bucket{job="a}\"b", c=~"5..",}[5m] offset 1h)) / on(i) group_left() y:z > bool 2e3 or max(w[$__range])"#;
    let grouping =
        |labels: &[&str]| Selector::Grouping(labels.iter().map(|l| (*l).to_owned()).collect());
    assert_eq!(
        selectors(expression).unwrap(),
        [
            grouping(&["le", "a"]),
            metric("x_bucket", &["job", "c"]),
            grouping(&["i"]),
            grouping(&[]),
            metric("y:z", &[]),
            metric("w", &[])
        ]
    );
    assert!(
        selectors("x{a=1}").is_err()
            && selectors("x{a=\"1}").is_err()
            && selectors("sum by le (x)").is_err()
    );
}
