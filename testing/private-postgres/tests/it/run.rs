//! The command `private-postgres run`: the environment of the command, and what is left after
//! kills.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::{TempFolder, children, kill, listens, postmaster_pid, query, wait_until};
use private_postgres::{DATABASE, Options, PrivatePostgres};

fn private_postgres(temp: &TempFolder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-postgres"));
    command
        .env("TMPDIR", temp.path())
        .arg("run")
        .args(arguments);
    command
}

/// Starts it with a command that prints the URL and then keeps running; returns the URL and the
/// rest of the output.
fn start_sleeper(temp: &TempFolder, arguments: &[&str]) -> (Child, String, BufReader<ChildStdout>) {
    let script = ["--", "sh", "-c", "echo $DATABASE_URL; exec sleep 300"];
    let mut child = private_postgres(temp, &[arguments, &script].concat())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut url = String::new();
    output.read_line(&mut url).expect("the URL");
    (child, url.trim().to_owned(), output)
}

#[test]
fn the_command_gets_the_urls_and_gives_its_exit_code() {
    let temp = TempFolder::new();
    let script = r#"[ "$DATABASE_URL" = "$TABLEFERRY_TEST_DATABASE_URL" ] && psql -Xqc 'SELECT 1' "$DATABASE_URL" && exit 7"#;
    let output = private_postgres(&temp, &["--", "sh", "-c", script])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(temp.entries().is_empty());
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let temp = TempFolder::new();
    let output = private_postgres(&temp, &["--", "no-such-command"])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no-such-command"),
        "{output:?}"
    );
    assert!(temp.entries().is_empty());
}

#[test]
fn killed_by_any_signal_it_takes_command_postgres_and_folder_along() {
    for signal in ["KILL", "TERM", "INT"] {
        let temp = TempFolder::new();
        let (mut child, url, mut output) = start_sleeper(&temp, &[]);
        query(&url, "SELECT 1").expect("a query");
        assert_eq!(temp.entries().len(), 1);

        kill(signal, child.id());
        child.wait().expect("its end");
        output
            .read_to_end(&mut Vec::new())
            .expect("the command's end");
        wait_until("the port is closed", || !listens(&url));
        wait_until("the folder is gone", || temp.entries().is_empty());
    }
}

#[test]
fn a_start_right_after_a_kill_waits_for_the_watchdog() {
    let temp = TempFolder::new();
    let data_dir = temp.path().join("pg");
    let (mut child, url, _output) = start_sleeper(
        &temp,
        &["--data-dir", data_dir.to_str().expect("a path in UTF-8")],
    );
    query(&url, "CREATE TABLE t ()").expect("a table");
    kill("KILL", child.id());
    child.wait().expect("its end");

    let next = PrivatePostgres::start(Options {
        data_dir: Some(data_dir),
        ..Options::default()
    })
    .expect("start");
    query(&next.url(DATABASE), "SELECT FROM t").expect("the table");
    next.stop().expect("stop");
}

#[test]
fn a_postgres_left_running_without_a_watchdog_is_stopped_by_the_next_start() {
    let temp = TempFolder::new();
    let data_dir = temp.path().join("pg");
    let (mut child, url, _output) = start_sleeper(
        &temp,
        &["--data-dir", data_dir.to_str().expect("a path in UTF-8")],
    );
    query(&url, "CREATE TABLE t ()").expect("a table");
    let postmaster = postmaster_pid(&data_dir);
    kill("STOP", child.id()); // so that it does not notice what happens to its children
    for helper in children(child.id()) {
        if helper != postmaster {
            kill("KILL", helper); // both watchdogs, and the command
        }
    }
    kill("KILL", child.id());
    child.wait().expect("its end");
    query(&url, "SELECT FROM t").expect("Postgres is left running");

    let next = PrivatePostgres::start(Options {
        data_dir: Some(data_dir.clone()),
        ..Options::default()
    })
    .expect("start");
    assert!(next.url(DATABASE) == url || !listens(&url));
    assert_ne!(postmaster_pid(&data_dir), postmaster);
    query(&next.url(DATABASE), "SELECT FROM t").expect("the table");
    next.stop().expect("stop");
}
