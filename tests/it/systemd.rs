//! The unit in `ops/systemd`: what it starts, what the process may access, and whether systemd
//! accepts it, where that is installed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clap::Parser as _;
use tableferry::app::GRACE;
use tableferry::auth::Auth;
use tableferry::cli::Cli;
use tableferry::settings::Settings;

use crate::process::{PATIENCE, becomes_ready, free_address, tableferry, terminate};
use crate::support::{ENCRYPTION_KEY, Folder, fresh_database};

const PROGRAM: &str = "/usr/local/bin/tableferry";

fn read(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("ops/systemd")
            .join(name),
    )
    .unwrap()
}

/// Every `Directive=value` of the unit, in order.
fn directives() -> Vec<(String, String)> {
    let text = read("tableferry.service");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    lines
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line}")))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

fn value(name: &str) -> String {
    let found: Vec<_> = directives()
        .into_iter()
        .filter(|(directive, _)| directive == name)
        .collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0].1.clone()
}

#[test]
fn it_starts_a_known_command_and_waits_for_what_is_in_hand() {
    let line = value("ExecStart");
    assert!(line.starts_with(&format!("{PROGRAM} ")));
    Cli::try_parse_from(line.split(' ')).unwrap();
    let (credential, file) = value("LoadCredential")
        .split_once(':')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(line.contains(&format!("--config %d/{credential} ")));
    assert!(
        read("tableferry.toml").contains(&file),
        "the file says where it belongs"
    );
    let stop = Duration::from_secs(value("TimeoutStopSec").parse().unwrap());
    assert!(stop >= GRACE + Duration::from_secs(5));
    // It exits by itself only for a configuration error, which repeated restarts do not fix.
    assert_eq!(value("Restart"), "on-failure");
    // The process's metrics read it.
    assert!(directives().iter().all(|(name, _)| name != "ProcSubset"));
}

#[test]
fn the_settings_are_settings() {
    let text = read("tableferry.toml");
    let settings = Settings::read([], Some(&text)).unwrap();
    assert_eq!(settings.auth.mode, Auth::Required);
    assert!(settings.http.listen.ip().is_loopback());
    // A commented-out setting counts too.
    let with_key = text.replace(
        "# encryption_key = \"\"",
        &format!("encryption_key = \"{ENCRYPTION_KEY}\""),
    );
    assert_eq!(
        Settings::read([], Some(&with_key))
            .unwrap()
            .webhooks
            .encryption_keys
            .len(),
        1
    );
}

/// The output of systemd's checks of a unit, and whether they passed; `None` without systemd.
fn opinion(unit: &str, check: &[&str]) -> Option<(bool, String)> {
    let folder = Folder::new();
    let path = folder.path().join("tableferry.service");
    fs::write(
        &path,
        unit.replace(PROGRAM, env!("CARGO_BIN_EXE_tableferry")),
    )
    .unwrap();
    let output = Command::new("systemd-analyze")
        .args(check)
        .arg(&path)
        .output()
        .ok()?;
    // It warns about units that the machine itself lacks; only warnings about this one count.
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_it = text
        .lines()
        .filter(|line| line.contains("tableferry.service"))
        .map(|line| format!("{line}\n"))
        .collect();
    Some((output.status.success(), about_it))
}

#[test]
fn systemd_understands_the_unit() {
    let unit = read("tableferry.service");
    let said = |unit: &str| opinion(unit, &["verify", "--man=no"]).map(|(_, text)| text);
    let Some(about_it) = said(&unit) else { return };
    assert_eq!(about_it, "");
    for (right, wrong) in [
        ("LimitNOFILE", "LimitNOFIL"),
        ("ProtectSystem=strict", "ProtectSystem=perhaps"),
    ] {
        assert_ne!(said(&unit.replace(right, wrong)).unwrap(), "", "{wrong}");
    }
}

#[test]
fn systemd_finds_that_the_process_may_do_little() {
    let unit = read("tableferry.service");
    // From 0, no exposure, to 100, full.
    let is_little = |unit: &str| {
        opinion(unit, &["security", "--offline=true", "--threshold=20"]).map(|(content, _)| content)
    };
    let Some(little) = is_little(&unit) else {
        return;
    };
    assert!(little);
    assert!(
        !is_little(
            &unit
                .replace("SystemCallFilter=", "# ")
                .replace("CapabilityBoundingSet=", "# ")
        )
        .unwrap()
    );
}

#[tokio::test]
async fn the_unit_s_command_runs_with_the_settings_of_the_file() {
    let folder = Folder::new();
    let (database_url, address) = (fresh_database().await, free_address().await);
    let text = read("tableferry.toml");
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(&format!("{name} = ")))
            .unwrap()
            .to_owned()
    };
    let text = text
        .replace(
            &line("database_url"),
            &format!("database_url = \"{database_url}\""),
        )
        .replace(&line("listen"), &format!("listen = \"{address}\""));
    fs::write(folder.path().join("tableferry.toml"), text).unwrap();
    let command = value("ExecStart").replace("%d", folder.path().to_str().unwrap());
    let arguments: Vec<_> = command.split(' ').skip(1).collect();
    let mut child = tableferry(
        &arguments,
        &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")],
    )
    .spawn()
    .unwrap();
    becomes_ready(&address).await;
    terminate(&child);
    assert!(
        tokio::time::timeout(PATIENCE, child.wait())
            .await
            .expect("it stops")
            .unwrap()
            .success()
    );
}
