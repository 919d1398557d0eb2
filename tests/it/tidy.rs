//! Rules for all files that the compiler does not check: boundaries, sizes, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder with this extension, without those of third-party programs (`.work`).
fn files_of(folder: &Path, extension: &str, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && deep && !path.ends_with(".work") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// The Rust files of a folder, and their texts.
pub fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let files = files_of(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        "rs",
        true,
    );
    assert!(!files.is_empty(), "{folder} has no sources");
    let texts = files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    });
    texts.collect()
}

/// Fails if a file of `folder` outside `except` uses one of `words` in its code.
fn forbid_words(folder: &str, except: &[&str], words: &[&str]) {
    for (path, text) in sources(folder) {
        let place = path.to_str().unwrap();
        if except.iter().any(|exception| place.contains(exception)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words {
                assert!(
                    !code.contains(word),
                    "{place}:{}: {word} does not belong here",
                    number + 1
                );
            }
        }
    }
}

// The Cargo.toml of each crate says which crates it may use; here are the rules that Cargo cannot
// enforce.

/// The crates of this workspace among the `[dependencies]` of a crate.
fn crates_used_by(folder: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let (_, dependencies) = text.split_once("\n[dependencies]\n").unwrap();
    dependencies
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter_map(folder_of_crate)
        .collect()
}

/// The folder below `crates/` of the crate with this name, if it is one of this workspace.
fn folder_of_crate(name: &str) -> Option<String> {
    match name {
        "dynamodb-expressions" => Some("expressions"),
        "tcp-keepalive" => Some("tcp-keepalive"),
        _ => name.strip_prefix("tableferry-"),
    }
    .map(str::to_owned)
}

#[test]
fn the_table_of_crates_says_what_each_uses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut in_table = BTreeSet::new();
    for row in architecture.lines().filter(|l| l.starts_with("| `crates/")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, uses] = cells[..] else {
            panic!("{row} does not have three cells");
        };
        let name = name.trim_matches('`');
        let uses = uses.split(", ").filter(|used| *used != "none");
        assert_eq!(
            uses.map(str::to_owned).collect::<BTreeSet<_>>(),
            crates_used_by(&root.join(name)),
            "ARCHITECTURE.md says of {name} what its Cargo.toml does not"
        );
        in_table.insert(root.join(name));
    }
    let folders = fs::read_dir(root.join("crates")).unwrap();
    assert_eq!(
        in_table,
        folders.map(|entry| entry.unwrap().path()).collect()
    );
}

#[test]
fn the_parsers_of_export_files_are_pure() {
    forbid_words("crates/export-files", &[], &["tokio", "async fn", ".await"]);
    forbid_words(
        "crates/domain",
        &[],
        &["tokio", "async fn", ".await", "std::fs", "std::net::Tcp"],
    );
}

#[test]
fn a_connection_of_the_driver_is_not_used_outside_the_pool() {
    // It could block without a limit.
    forbid_words(
        "crates/store",
        &["store/src/pool/", "store/src/migrate.rs"],
        &["PgConnection", "PgPool", "connect_with"],
    );
}

#[test]
fn http_clients_are_used_where_operators_name_the_address() {
    forbid_words(
        "src",
        &["src/dev", "src/auth", "src/cli/", "src/app.rs"],
        &["reqwest"],
    );
}

#[test]
fn modules_of_the_service_use_only_those_below_them() {
    forbid_words(
        "src/api",
        &[],
        &[
            "crate::worker",
            "crate::app",
            "crate::cli",
            "crate::settings",
            "crate::shared",
            "crate::dev",
        ],
    );
    forbid_words(
        "src/worker",
        &[],
        &[
            "crate::api",
            "crate::auth",
            "crate::app",
            "crate::cli",
            "crate::settings",
            "crate::shared",
            "crate::workers",
            "crate::dev",
        ],
    );
    forbid_words(
        "src/auth",
        &[],
        &[
            "crate::api",
            "crate::worker",
            "crate::app",
            "crate::cli",
            "crate::settings",
            "crate::shared",
            "crate::workers",
            "crate::dev",
        ],
    );
    forbid_words("src", &["src/cli/"], &["crate::client::"]);
}

#[test]
fn files_say_what_they_are_for_and_stay_small() {
    let mut long = Vec::new();
    let mut all = 0;
    for folder in ["src", "crates", "tests", "testing"] {
        for (path, text) in sources(folder) {
            assert!(
                text.starts_with("//! "),
                "{} does not start with a `//!` line",
                path.display()
            );
            let lines = text.lines().count();
            assert!(
                lines <= 600,
                "{} has {lines} lines: split it by purpose",
                path.display()
            );
            all += 1;
            if lines > 400 {
                long.push(path);
            }
        }
    }
    assert!(
        long.len() * 10 <= all,
        "nine in ten files stay under 400 lines; longer are {long:?}"
    );
}

#[test]
fn documents_name_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = files_of(root, "md", false);
    for folder in ["docs", "crates", "testing", "ops"] {
        documents.extend(files_of(&root.join(folder), "md", true));
    }
    assert!(documents.len() > 40, "only {documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(
                    folder.join(target).exists(),
                    "{} links to {target}, which does not exist",
                    document.display()
                );
            }
        }
    }
}

#[test]
fn every_build_keeps_to_the_lock_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = fs::read_dir(root.join("scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    let mut builds = 0;
    for file in ["Makefile", "Dockerfile", ".ci/run"]
        .into_iter()
        .map(|name| root.join(name))
        .chain(scripts)
    {
        let text = fs::read_to_string(&file).unwrap().replace("\\\n", " ");
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            let words: Vec<_> = line
                .split_whitespace()
                .map(|word| word.trim_start_matches(['@', '(']))
                .collect();
            let build = words.windows(2).any(|two| {
                two[0] == "cargo"
                    && [
                        "bench", "build", "check", "clippy", "doc", "install", "run", "test",
                    ]
                    .contains(&two[1])
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
    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    for kind in tableferry::api::ProblemType::ALL {
        let name = kind.describe().name;
        assert!(
            guide.contains(&format!("| `{name}` |")),
            "docs/api.md does not speak of {name}"
        );
    }
}
