//! Finds out which commit this is built from, for `tableferry --version` and the first log line
//! (`src/version.rs`).
//!
//! `SOURCE_COMMIT` says it where git cannot: in a container build, or from an archive. Without it
//! git is asked, if this folder is the root of a work tree. Else the commit is `unknown`, which
//! stops no build.

use std::path::Path;
use std::process::Command;

/// What the binary is made of. A change of these that is not committed is told, and nothing else
/// is.
const MADE_OF: [&str; 7] = [
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
    for path in MADE_OF.iter().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = match told() {
        Some(commit) => commit,
        None => commit_of_checkout().unwrap_or_else(|| "unknown".to_owned()),
    };
    // Not TABLEFERRY_…: `cargo run` sets it for the program too, which would take it for a setting.
    println!("cargo::rustc-env=BUILT_FROM_COMMIT={commit}");
}

/// What `SOURCE_COMMIT` says.
#[expect(
    clippy::disallowed_methods,
    reason = "read when building, not when running"
)]
fn told() -> Option<String> {
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

/// What git says of the checkout that this folder is the root of.
fn commit_of_checkout() -> Option<String> {
    let root = git(&["rev-parse", "--show-toplevel"])?;
    // A copy inside somebody else's checkout is not of that commit.
    if Path::new(&root).canonicalize().ok()? != Path::new(".").canonicalize().ok()? {
        return None;
    }
    if is_release() {
        watch_head();
    }
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    let status = [
        &["status", "--porcelain", "--untracked-files=normal", "--"],
        MADE_OF.as_slice(),
    ]
    .concat();
    let modified = if git(&status)?.is_empty() {
        ""
    } else {
        "-modified"
    };
    Some(format!("{}{modified}", shortened(&commit)))
}

/// A build for development tells the commit that it was made at, and is not made again for a commit
/// alone, which takes minutes.
#[expect(clippy::disallowed_methods, reason = "cargo says it so")]
fn is_release() -> bool {
    std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

/// Runs this again where a commit, a checkout or a reset leaves its trace, also in a worktree. The
/// reflog tells of a branch whose file is packed.
fn watch_head() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref())
    {
        // A file that does not exist would make every build run this again.
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

/// What git prints, if it is there and content.
fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A hook of git's sets these, perhaps for another checkout. No locks: somebody may be at work
    // here.
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
