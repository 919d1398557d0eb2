//! The walls of the house, held by reading the source.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files of a folder.
pub fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// Fails if a file of `folder` outside `except` names one of `words` in its code.
fn nobody_names(folder: &str, except: &[&str], words: &[&str]) {
    for (path, text) in sources(folder) {
        let place = path.to_str().unwrap();
        if except.iter().any(|room| place.contains(room)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words {
                assert!(!code.contains(word), "{place}:{}: {word} does not belong here", number + 1);
            }
        }
    }
}

#[test]
fn the_domain_is_pure() {
    nobody_names(
        "src/domain",
        &[],
        &[
            "sqlx",
            "axum",
            "aws_sdk",
            "aws_config",
            "reqwest",
            "tokio",
            "async fn",
            ".await",
            "crate::store",
            "crate::api",
            "crate::aws",
            "crate::worker",
            "crate::webhook::",
        ],
    );
}

#[test]
fn proofs_are_pure_over_bytes() {
    let outside =
        ["tokio", "async fn", ".await", "crate::store", "crate::api", "crate::aws", "crate::worker", "crate::webhook::", "crate::output"];
    nobody_names("src/proof", &[], &outside);
}

#[test]
fn each_outside_has_one_room() {
    nobody_names("src", &["src/store"], &["sqlx::"]);
    // Whoever has the driver's own connection can wait for it without a limit.
    nobody_names("src/store", &["store/pool/", "store/migrate.rs"], &["PgConnection", "PgPool", "connect_with"]);
    nobody_names("src", &["src/aws"], &["aws_sdk", "aws_config", "aws_smithy"]);
    nobody_names("src", &["src/client", "src/dev", "src/cli/", "src/app.rs", "src/telemetry/traces", "src/auth"], &["reqwest"]);
    nobody_names("src", &["src/telemetry/traces"], &["opentelemetry"]);
    nobody_names("src", &["src/front", "src/webhook"], &["hyper", "tokio_rustls"]);
    nobody_names("src", &["src/client"], &["indicatif", "console::", "clap_complete"]);
}

#[test]
fn the_client_is_a_caller_like_any_other() {
    let rooms =
        ["api", "app", "aws", "cli", "dev", "front", "keyring", "output", "settings", "store", "telemetry", "vault", "webhook", "worker"];
    let inside: Vec<_> = rooms.iter().map(|room| format!("crate::{room}::")).collect();
    let inside: Vec<_> = inside.iter().map(String::as_str).collect();
    nobody_names("src/client", &[], &inside);
    nobody_names("src", &["src/client", "src/cli/", "src/lib.rs"], &["crate::client::"]);
}

#[test]
fn rooms_use_only_those_below_them() {
    nobody_names("src/api", &[], &["crate::worker", "crate::app", "crate::cli"]);
    nobody_names("src/worker", &[], &["crate::api", "crate::app", "crate::cli"]);
    for room in ["src/store", "src/aws", "src/webhook", "src/auth"] {
        nobody_names(room, &[], &["crate::api", "crate::worker", "crate::app", "crate::cli"]);
    }
    nobody_names("src/output", &[], &["crate::api", "crate::worker", "crate::app", "crate::cli", "crate::store", "crate::webhook"]);
    let above = [
        "crate::api",
        "crate::store",
        "crate::aws",
        "crate::output",
        "crate::webhook",
        "crate::worker",
        "crate::domain",
        "crate::settings",
    ];
    nobody_names("src/front", &[], &above);
    nobody_names("src/store", &[], &["crate::aws", "crate::output", "crate::proof", "crate::webhook"]);
    nobody_names("src/aws", &[], &["crate::output", "crate::proof", "crate::store", "crate::webhook"]);
}

#[test]
fn files_say_what_they_are_for_and_stay_small() {
    let mut long = Vec::new();
    let mut all = 0;
    for folder in ["src", "tests", "simulator", "private-postgres"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{} does not open with what it is for", path.display());
            let lines = text.lines().count();
            assert!(lines <= 600, "{} has {lines} lines: is it one room?", path.display());
            all += 1;
            if lines > 400 {
                long.push(path);
            }
        }
    }
    assert!(long.len() * 10 <= all, "nine in ten files stay under 400 lines; longer are {long:?}");
}

#[test]
fn documents_name_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<_> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "simulator/README.md"].iter().map(|d| root.join(d)).collect();
    documents
        .extend(fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{} links to {target}, which does not exist", document.display());
            }
        }
    }
}

#[test]
fn every_build_keeps_to_the_lock_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = fs::read_dir(root.join("scripts")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut builds = 0;
    for file in ["Makefile", "Dockerfile", ".ci/run"].into_iter().map(|name| root.join(name)).chain(scripts) {
        let text = fs::read_to_string(&file).unwrap().replace("\\\n", " ");
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let words: Vec<_> = line.split_whitespace().map(|word| word.trim_start_matches(['@', '('])).collect();
            let build = words.windows(2).any(|two| {
                two[0] == "cargo" && ["bench", "build", "check", "clippy", "doc", "install", "run", "test"].contains(&two[1])
                    || two == ["chef", "cook"]
            });
            if build {
                builds += 1;
                assert!(words.contains(&"--locked"), "{}: {line}", file.display());
            }
        }
    }
    assert!(builds >= 12, "only {builds} builds were found");
}

#[test]
fn the_guide_names_every_problem() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    for kind in tableferry::api::ProblemType::ALL {
        let name = kind.describe().0;
        assert!(guide.contains(&format!("| `{name}` |")), "docs/api.md does not speak of {name}");
    }
}
