//! The metrics that are recorded, described, documented, shown on the dashboard and used in alerts
//! are the same set, and so are the log fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tableferry::telemetry::metrics_catalog::{self, Kind, Metric};

use crate::support::promql::{Selector, selectors};
use crate::support::{TestApp, create_body};
use crate::tidy::sources;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The constant of each metric, from the macro's lines in the one file.
fn constants() -> BTreeMap<String, &'static Metric> {
    let text = read("crates/telemetry/src/metrics_catalog.rs");
    let lines = text
        .lines()
        .filter_map(|line| line.trim().split_once(" = "));
    let named = lines.filter_map(|(constant, rest)| {
        let name = rest.split('"').nth(1)?;
        Some((
            constant.to_owned(),
            metrics_catalog::ALL.iter().find(|m| m.name == name)?,
        ))
    });
    named.collect()
}

/// The arguments of every call of a macro whose name ends like this, split at the commas.
fn macro_calls(text: &str, macros: &[&str]) -> Vec<(String, Vec<String>)> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = Vec::new();
    for name in macros {
        for (at, _) in code.match_indices(&format!("{name}!(")) {
            let rest = &code[at + name.len() + 2..];
            let (mut depth, mut quoted, mut escaped) = (0, false, false);
            let mut arguments = vec![String::new()];
            for c in rest.chars() {
                let last = arguments.last_mut().unwrap();
                match c {
                    _ if escaped => escaped = false,
                    '\\' if quoted => escaped = true,
                    '"' => quoted = !quoted,
                    '(' | '[' | '{' if !quoted => depth += 1,
                    ')' | ']' | '}' if !quoted => {
                        depth -= 1;
                        if depth < 0 {
                            break;
                        }
                    }
                    ',' if !quoted && depth == 0 => {
                        arguments.push(String::new());
                        continue;
                    }
                    _ => {}
                }
                last.push(c);
            }
            let arguments = arguments
                .into_iter()
                .map(|a| a.trim().to_owned())
                .filter(|a| !a.is_empty())
                .collect();
            found.push(((*name).to_owned(), arguments));
        }
    }
    found
}

#[test]
fn only_described_metrics_are_recorded_and_all_of_them() {
    let constants = constants();
    assert_eq!(constants.len(), metrics_catalog::ALL.len());
    let mut recorded = BTreeSet::new();
    for (path, text) in sources("src").into_iter().chain(sources("crates")) {
        for (name, arguments) in macro_calls(
            &text,
            &["metrics::counter", "metrics::gauge", "metrics::histogram"],
        ) {
            let measure = constants.get(&arguments[0]);
            let measure = measure.unwrap_or_else(|| {
                panic!(
                    "{}: {arguments:?} is not described in crates/telemetry/src/metrics_catalog.rs",
                    path.display()
                )
            });
            assert_eq!(
                name,
                format!("metrics::{}", measure.kind.as_str()),
                "{}: {}",
                path.display(),
                measure.name
            );
            let labels: BTreeSet<_> = arguments[1..]
                .iter()
                .map(|a| a.split("=>").next().unwrap().trim().trim_matches('"'))
                .collect();
            assert_eq!(
                labels,
                measure.labels.iter().copied().collect(),
                "{}: {}",
                path.display(),
                measure.name
            );
            if !path.ends_with("describe.rs") || measure.name == metrics_catalog::TARGET_INFO {
                recorded.insert(measure.name);
            }
        }
    }
    let all: BTreeSet<_> = metrics_catalog::ALL.iter().map(|m| m.name).collect();
    assert_eq!(recorded, all, "every metric is recorded somewhere");
}

#[test]
fn names_follow_the_conventions() {
    for measure in metrics_catalog::ALL {
        let Metric {
            name, kind, unit, ..
        } = measure;
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        let base = name.trim_end_matches("_total");
        assert_eq!(
            base.ends_with("_seconds"),
            *unit == metrics::Unit::Seconds,
            "{name}"
        );
        assert_eq!(
            base.ends_with("_bytes"),
            *unit == metrics::Unit::Bytes,
            "{name}"
        );
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
    }
}

#[test]
fn the_guide_has_every_metric_with_its_labels() {
    let guide = read("docs/observability.md");
    for Metric {
        name, kind, labels, ..
    } in metrics_catalog::ALL
    {
        let row = guide
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` | {} |", kind.as_str())));
        let row = row.unwrap_or_else(|| {
            panic!(
                "docs/observability.md has no row | `{name}` | {} |",
                kind.as_str()
            )
        });
        for label in *labels {
            assert!(
                row.contains(&format!("`{label}`")),
                "{name}: {label} is missing in {row}"
            );
        }
    }
    let rows = guide.lines().filter(|l| {
        l.starts_with("| `")
            && [" | counter |", " | gauge |", " | histogram |"]
                .iter()
                .any(|k| l.contains(k))
    });
    assert_eq!(
        rows.count(),
        metrics_catalog::ALL.len(),
        "the guide describes a metric that does not exist"
    );
}

#[test]
fn the_guide_has_every_field_of_log_lines() {
    let guide = read("docs/observability.md");
    let table = guide
        .split("## Logs")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let documented: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut used = BTreeSet::new();
    let macros = [
        "trace",
        "debug",
        "info",
        "warn",
        "error",
        "trace_span",
        "debug_span",
        "info_span",
        "warn_span",
        "error_span",
    ];
    let macros: Vec<_> = macros
        .iter()
        .map(|name| format!("tracing::{name}"))
        .collect();
    let macros: Vec<_> = macros.iter().map(String::as_str).collect();
    for (path, text) in sources("src").into_iter().chain(sources("crates")) {
        for argument in macro_calls(&text, &macros)
            .into_iter()
            .flat_map(|(_, arguments)| arguments)
        {
            // The message, or the name of a span.
            if argument.starts_with('"') {
                continue;
            }
            let field = argument
                .split('=')
                .next()
                .unwrap()
                .trim()
                .trim_start_matches(['%', '?'])
                .to_owned();
            assert!(
                documented.contains(field.as_str()),
                "{}: docs/observability.md has no row for the field {field}",
                path.display()
            );
            used.insert(field);
        }
    }
    let unused: Vec<_> = documented
        .iter()
        .filter(|field| !used.contains(**field))
        .collect();
    assert!(unused.is_empty(), "no log line has {unused:?}");
}

/// Fails if an expression names a metric that the service does not expose, or a label that it does
/// not have.
#[track_caller]
fn check(place: &str, expression: &str) {
    let found =
        selectors(expression).unwrap_or_else(|error| panic!("{place}: {error} in {expression}"));
    assert!(!found.is_empty(), "{place}: {expression} names no metric");
    let mut labels_of_all = vec!["job", "instance", "le"];
    let mut grouped = Vec::new();
    for selector in found {
        let (name, labels) = match selector {
            Selector::Grouping(labels) => {
                grouped.extend(labels);
                continue;
            }
            Selector::Metric { name, labels } => (name, labels),
        };
        let mut allowed = vec!["job", "instance"];
        if name != "up" {
            let base = |kind: Kind, name: &str| {
                metrics_catalog::ALL
                    .iter()
                    .find(|m| m.kind == kind && m.name == name)
            };
            let suffix = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|s| Some((*s, base(Kind::Histogram, name.strip_suffix(s)?)?)));
            let measure = match suffix {
                Some((suffix, histogram)) => {
                    if suffix == "_bucket" {
                        allowed.push("le");
                    }
                    histogram
                }
                None => base(Kind::Counter, &name)
                    .or_else(|| base(Kind::Gauge, &name))
                    .unwrap_or_else(|| {
                        panic!("{place}: the service has no metric {name}: {expression}")
                    }),
            };
            allowed.extend(measure.labels);
        }
        labels_of_all.extend(&allowed);
        for label in labels {
            assert!(
                allowed.contains(&label.as_str()),
                "{place}: {name} has no label {label}: {expression}"
            );
        }
    }
    for label in grouped {
        assert!(
            labels_of_all.contains(&label.as_str()),
            "{place}: nothing has the label {label}: {expression}"
        );
    }
}

#[test]
fn alert_rules_name_only_what_exists() {
    let rules: Value = serde_saphyr::from_str(&read("ops/prometheus/alerts.yml")).unwrap();
    let runbooks = read("docs/operations.md");
    let mut names = BTreeSet::new();
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} stands there twice");
            check(name, rule["expr"].as_str().unwrap());
            assert!(
                ["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()),
                "{name}"
            );
            assert!(
                !rule["annotations"]["summary"].as_str().unwrap().is_empty(),
                "{name}"
            );
            assert_eq!(
                rule["annotations"]["runbook"],
                format!("docs/operations.md#{}", name.to_lowercase()),
                "{name}"
            );
            assert!(
                runbooks.contains(&format!("\n### {name}\n")),
                "docs/operations.md says nothing of {name}"
            );
        }
    }
    assert!(names.len() >= 20, "the file was read");
}

#[test]
fn the_dashboard_draws_only_what_exists() {
    let dashboard: Value = serde_json::from_str(&read("ops/grafana/tableferry.json")).unwrap();
    let mut drawn = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            check(
                panel["title"].as_str().unwrap(),
                target["expr"].as_str().unwrap(),
            );
            drawn += 1;
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            let query = variable["query"].as_str().unwrap();
            check(
                "a variable",
                query
                    .trim_start_matches("label_values(")
                    .split(',')
                    .next()
                    .unwrap(),
            );
        }
    }
    assert!(drawn >= 20, "the file was read");
}

#[tokio::test]
async fn the_load_is_what_is_in_the_database() {
    let app = TestApp::start().await;
    let load = |app: &TestApp| {
        let store = app.store();
        async move { store.load().await.unwrap() }
    };
    assert_eq!(load(&app).await.open, [0.0; 4]);
    for _ in 0..3 {
        app.create(&create_body()).await.expect(202);
    }
    app.pass(std::time::Duration::from_secs(60)).await;
    let waiting = load(&app).await;
    assert_eq!(waiting.open, [3.0, 0.0, 0.0, 0.0]);
    assert!(
        (60.0..120.0).contains(&waiting.oldest_due_s[0]),
        "{waiting:?}"
    );
    app.step_exports().await;
    let running = load(&app).await;
    assert_eq!(
        (running.open, running.oldest_due_s),
        ([0.0, 0.0, 3.0, 0.0], [0.0; 5])
    );
    // With many pages, half of them would be sampled and stand for all; here there is one, which is
    // sampled or not. So the planner's estimate is set, because no test fills a table that large.
    sqlx::query("UPDATE pg_class SET reltuples = 200000 WHERE oid = 'export_schedule'::regclass")
        .execute(&app.pool)
        .await
        .unwrap();
    for _ in 0..20 {
        assert!([0.0, 6.0].contains(&load(&app).await.open[2]));
    }
}
