//! Determines the commit of the sources, for `tableferry --version` and the first log line
//! (`src/version.rs`).
//!
//! `SOURCE_COMMIT` names it where git cannot: in a container build, or when building from an
//! archive. Without it, git is asked if this folder is the root of a work tree. Otherwise the
//! commit is `unknown`, and the build continues.

use std::path::Path;
use std::process::Command;

/// The sources of the binary. Only uncommitted changes of these make the commit `-modified`.
const SOURCES: [&str; 7] = [
    ".sqlx",
    "Cargo.lock",
    "Cargo.toml",
    "build.rs",
    "crates",
    "migrations",
    "src",
];

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_COMMIT");
    for path in SOURCES.iter().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = match commit_from_environment() {
        Some(commit) => commit,
        None => commit_of_checkout().unwrap_or_else(|| "unknown".to_owned()),
    };
    // Not TABLEFERRY_…: `cargo run` sets the variable for the program too, which would read it as a
    // setting.
    println!("cargo::rustc-env=BUILT_FROM_COMMIT={commit}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "read when building, not when running"
)]
fn commit_from_environment() -> Option<String> {
    let text = std::env::var("SOURCE_COMMIT")
        .ok()
        .filter(|text| !text.is_empty())?;
    let digits = text.strip_suffix("-modified").unwrap_or(&text);
    let is_commit = (7..=64).contains(&digits.len())
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    assert!(
        is_commit,
        "SOURCE_COMMIT must be the 7 to 64 hexadecimal digits of a commit in lower case, perhaps followed by -modified"
    );
    Some(format!("{}{}", shortened(digits), &text[digits.len()..]))
}

/// The commit of the checkout whose root is this folder.
fn commit_of_checkout() -> Option<String> {
    let root = git(&["rev-parse", "--show-toplevel"])?;
    // A copy of the sources inside another checkout is not of that commit.
    if Path::new(&root).canonicalize().ok()? != Path::new(".").canonicalize().ok()? {
        return None;
    }
    if is_release() {
        watch_head();
    }
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    let status = [
        &["status", "--porcelain", "--untracked-files=normal", "--"],
        SOURCES.as_slice(),
    ]
    .concat();
    let modified = if git(&status)?.is_empty() {
        ""
    } else {
        "-modified"
    };
    Some(format!("{}{modified}", shortened(&commit)))
}

/// Only a release build is repeated because of a new commit alone. For development that would cost
/// minutes, so the commit may be an earlier one there.
#[expect(clippy::disallowed_methods, reason = "cargo sets this variable")]
fn is_release() -> bool {
    std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

/// Runs this script again after a commit, a checkout or a reset, also in a worktree. The reflog
/// changes even if the branch's file is packed.
fn watch_head() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref())
    {
        // A file that does not exist would make every build run this script again.
        if let Some(path) =
            git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn shortened(commit: &str) -> &str {
    &commit[..commit.len().min(12)]
}

/// The output of git, or `None` if it fails or is not installed.
fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // Git hooks set these variables, perhaps for another checkout. No locks: the developer may be
    // running git here at the same time.
    command
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .arg("--no-optional-locks")
        .args(arguments);
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}
