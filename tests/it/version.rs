//! The commit that a binary reports: the build script by itself, in temporary checkouts; then the
//! real binary.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::tableferry;
use crate::support::Folder;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The build script, compiled by itself.
fn script(folder: &Folder) -> PathBuf {
    let program = folder.path().join("build-script");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let compiled = Command::new(compiler)
        .current_dir(ROOT)
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "build_script",
            "--allow",
            "unknown_lints",
            "-o",
        ])
        .arg(&program)
        .arg("build.rs")
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    program
}

/// The script's output in a folder; the error if it fails.
fn run(program: &Path, folder: &Path, variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_remove("SOURCE_COMMIT")
        .env("PROFILE", "debug")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let lines = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    if output.status.success() {
        Ok(lines)
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

fn commit(program: &Path, folder: &Path, variables: &[(&str, &str)]) -> String {
    let lines = run(program, folder, variables).unwrap();
    lines
        .iter()
        .find_map(|line| line.strip_prefix("cargo::rustc-env=BUILT_FROM_COMMIT="))
        .unwrap()
        .to_owned()
}

/// The git files that make the script run again.
fn watched(program: &Path, folder: &Path, profile: &str) -> Vec<PathBuf> {
    let lines = run(program, folder, &[("PROFILE", profile)]).unwrap();
    let files = lines
        .iter()
        .filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="))
        .map(|path| folder.join(path));
    files
        .filter(|path| path.to_str().unwrap().contains(".git"))
        .collect()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let who = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "commit.gpgsign=false",
    ];
    let mut command = Command::new("git");
    command
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    let output = command
        .current_dir(folder)
        .args(who)
        .args(arguments)
        .output()
        .expect("git is there");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A checkout with one commit.
fn checkout(path: &Path) {
    fs::create_dir_all(path.join("src")).unwrap();
    fs::write(path.join("src/main.rs"), "fn main() {}").unwrap();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    git(path, &["add", "."]);
    git(path, &["commit", "--quiet", "--message=one"]);
}

#[test]
fn git_tells_the_commit_and_what_is_not_committed() {
    let folder = Folder::new();
    let program = script(&folder);
    let place = folder.path().join("checkout");
    checkout(&place);
    let head = git(&place, &["rev-parse", "HEAD"])[..12].to_owned();
    assert_eq!(commit(&program, &place, &[]), head);
    // Files that the binary is not built from have no effect.
    fs::write(place.join("notes.md"), "x").unwrap();
    assert_eq!(commit(&program, &place, &[]), head);
    fs::write(place.join("src/new.rs"), "").unwrap();
    assert_eq!(commit(&program, &place, &[]), format!("{head}-modified"));
    fs::remove_file(place.join("src/new.rs")).unwrap();
    fs::write(place.join("src/main.rs"), "fn main() { loop {} }").unwrap();
    assert_eq!(commit(&program, &place, &[]), format!("{head}-modified"));
    // A worktree has its own HEAD; a detached one names no branch.
    git(
        &place,
        &["worktree", "add", "--quiet", "-b", "side", "../side"],
    );
    let side = folder.path().join("side");
    assert_eq!(commit(&program, &side, &[]), head);
    git(
        &side,
        &["commit", "--quiet", "--allow-empty", "--message=two"],
    );
    let second = git(&side, &["rev-parse", "HEAD"])[..12].to_owned();
    assert_ne!(second, head);
    assert_eq!(commit(&program, &side, &[]), second);
    git(&side, &["checkout", "--quiet", "--detach", "HEAD"]);
    assert_eq!(commit(&program, &side, &[]), second);
}

#[test]
fn a_commit_changes_a_file_that_is_watched_and_every_such_file_exists() {
    let folder = Folder::new();
    let program = script(&folder);
    let place = folder.path().join("checkout");
    checkout(&place);
    git(
        &place,
        &["worktree", "add", "--quiet", "-b", "side", "../side"],
    );
    let contents = |files: &[PathBuf]| {
        files
            .iter()
            .map(|file| fs::read(file).expect("it exists"))
            .collect::<Vec<_>>()
    };
    for at in [place.clone(), folder.path().join("side")] {
        for packed in [false, true] {
            if packed {
                git(&place, &["pack-refs", "--all"]);
            }
            let files = watched(&program, &at, "release");
            let before = contents(&files);
            git(
                &at,
                &["commit", "--quiet", "--allow-empty", "--message=more"],
            );
            assert_ne!(
                contents(&files),
                before,
                "{at:?}, packed: {packed}: {files:?}"
            );
            assert!(
                watched(&program, &at, "debug").is_empty(),
                "a commit alone builds nothing again for development"
            );
        }
    }
}

#[test]
fn where_git_cannot_tell_the_variable_does_or_nobody() {
    let folder = Folder::new();
    let program = script(&folder);
    // A copy inside another project's checkout, and no git at all.
    checkout(folder.path());
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    assert_eq!(commit(&program, &copy, &[]), "unknown");
    assert_eq!(
        commit(&program, folder.path(), &[("PATH", "/nonexistent")]),
        "unknown"
    );
    assert!(watched(&program, &copy, "release").is_empty());
    let long = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(
        commit(&program, folder.path(), &[("SOURCE_COMMIT", long)]),
        "0123456789ab"
    );
    assert_eq!(
        commit(&program, &copy, &[("SOURCE_COMMIT", "0123456-modified")]),
        "0123456-modified"
    );
    assert_eq!(commit(&program, &copy, &[("SOURCE_COMMIT", "")]), "unknown");
    for bad in ["main", "01234", "0123456 more", "0123456-dirty", "ABCDEF01"] {
        let error = run(&program, &copy, &[("SOURCE_COMMIT", bad)]).unwrap_err();
        assert!(error.contains("SOURCE_COMMIT must be"), "{error}");
    }
}

#[tokio::test]
async fn the_binary_tells_version_and_commit() {
    let output = tableferry(&["--version"], &[]).output().await.unwrap();
    let expected = format!(
        "tableferry {} ({})\n",
        env!("CARGO_PKG_VERSION"),
        tableferry::version::COMMIT
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    // The version in the API stays the plain version.
    let document: serde_json::Value =
        serde_json::from_slice(include_bytes!("../../openapi/openapi.json")).unwrap();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}
