//! The library: start, stop, what is kept and removed, and who may use a folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use crate::support::{TempFolder, listens, postmaster_pid, query, stat_field};
use private_postgres::{DATABASE, Error, Options, PrivatePostgres};

fn kept(data_dir: impl Into<PathBuf>) -> Options {
    Options {
        data_dir: Some(data_dir.into()),
        ..Options::default()
    }
}

#[test]
fn a_throwaway_postgres_works_and_leaves_nothing() {
    let postgres = PrivatePostgres::start(Options::default()).expect("start");
    let (url, folder) = (postgres.url(DATABASE), postgres.data_dir().to_owned());
    let facts = "SELECT concat_ws(' ', current_database(), current_user, pg_encoding_to_char(encoding), datcollate,
                 current_setting('fsync')) FROM pg_database WHERE datname = current_database()";
    assert_eq!(
        query(&url, facts).expect("a query"),
        "tableferry tableferry UTF8 C off"
    );
    assert_eq!(
        query(&postgres.admin_url(), "SELECT current_database()").expect("a query"),
        "postgres"
    );
    assert_eq!(
        fs::metadata(&folder)
            .expect("the folder")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );

    postgres.stop().expect("stop");
    assert!(!listens(&url));
    assert!(!folder.exists());
}

#[test]
fn dropping_it_stops_it() {
    let postgres = PrivatePostgres::start(Options::default()).expect("start");
    let (url, folder) = (postgres.url(DATABASE), postgres.data_dir().to_owned());
    drop(postgres);
    assert!(!listens(&url) && !folder.exists());
}

#[test]
fn only_the_password_opens_it() {
    let postgres = PrivatePostgres::start(Options::default()).expect("start");
    let url = postgres.url(DATABASE);
    let (before, after) = url.split_once('@').expect("user and host");
    let (user, _password) = before.rsplit_once(':').expect("a password");
    let error =
        query(&format!("{user}:guessed@{after}"), "SELECT 1").expect_err("a wrong password");
    assert!(error.contains("password authentication failed"), "{error}");
}

#[test]
fn a_kept_folder_keeps_its_data_and_password_over_a_restart() {
    let temp = TempFolder::new();
    let options = Options {
        durable: true,
        ..kept(temp.path().join("deep/pg"))
    };
    let first = PrivatePostgres::start(options.clone()).expect("first start");
    assert_eq!(
        query(&first.url(DATABASE), "SHOW fsync").expect("a query"),
        "on"
    );
    query(
        &first.url(DATABASE),
        "CREATE TABLE t AS SELECT 42 AS answer",
    )
    .expect("a table");
    first.stop().expect("stop");

    let second = PrivatePostgres::start(options).expect("second start");
    assert_eq!(
        query(&second.url(DATABASE), "SELECT answer FROM t").expect("the table"),
        "42"
    );
    assert!(second.data_dir().join("postgres.log").exists());
}

#[test]
fn a_crash_loses_nothing_and_it_starts_again_on_the_same_port() {
    let mut postgres = PrivatePostgres::start(Options {
        durable: true,
        ..Options::default()
    })
    .expect("start");
    let (url, folder) = (postgres.url(DATABASE), postgres.data_dir().to_owned());
    query(&url, "CREATE TABLE t AS SELECT 42 AS answer").expect("a table");
    for _ in 0..2 {
        postgres.crash().expect("a crash");
        assert!(!listens(&url));
        assert_eq!(postgres.url(DATABASE), url);
        postgres.start_again().expect("start again");
        assert_eq!(
            query(&url, "SELECT answer FROM t").expect("the table"),
            "42"
        );
    }
    let log = fs::read_to_string(folder.join("postgres.log")).expect("the log");
    assert!(log.contains("not properly shut down"), "{log}");
    postgres.stop().expect("stop");
    assert!(!listens(&url) && !folder.exists());
}

#[test]
fn a_folder_in_use_is_refused_and_its_postgres_left_alone() {
    let temp = TempFolder::new();
    let options = kept(temp.path().join("pg"));
    let first = PrivatePostgres::start(options.clone()).expect("first start");
    let error = PrivatePostgres::start(options).expect_err("a second start");
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    query(&first.url(DATABASE), "SELECT 1").expect("the first is still there");
}

#[test]
fn a_stale_pid_file_does_not_matter() {
    let temp = TempFolder::new();
    let options = kept(temp.path().join("pg"));
    let first = PrivatePostgres::start(options.clone()).expect("first start");
    let pid_file = first.data_dir().join("data/postmaster.pid");
    first.stop().expect("stop");
    // The number of a running process that is not a Postgres: this test.
    fs::write(&pid_file, format!("{}\n", std::process::id())).expect("a stale pid file");
    PrivatePostgres::start(options)
        .expect("second start")
        .stop()
        .expect("stop");
}

#[test]
fn an_interrupted_initdb_is_begun_anew() {
    let temp = TempFolder::new();
    let options = kept(temp.path().join("pg"));
    PrivatePostgres::start(options.clone())
        .expect("first start")
        .stop()
        .expect("stop");
    let data = temp.path().join("pg/data");
    fs::rename(&data, temp.path().join("pg/data.new")).expect("a half-made cluster");
    PrivatePostgres::start(options)
        .expect("second start")
        .stop()
        .expect("stop");
    assert!(data.exists() && !temp.path().join("pg/data.new").exists());
}

#[test]
fn a_taken_port_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let error = PrivatePostgres::start(Options {
        port: Some(port),
        ..Options::default()
    })
    .expect_err("a taken port");
    assert!(
        matches!(error, Error::PortTaken { port: taken } if taken == port),
        "{error}"
    );
}

#[test]
fn a_missing_major_version_is_named() {
    let temp = TempFolder::new();
    let options = kept(temp.path().join("pg"));
    PrivatePostgres::start(options.clone())
        .expect("first start")
        .stop()
        .expect("stop");
    fs::write(temp.path().join("pg/data/PG_VERSION"), "7\n").expect("an old version");
    let error = PrivatePostgres::start(options).expect_err("another version");
    assert!(
        error.to_string().contains("install postgresql-7"),
        "{error}"
    );
}

#[test]
fn a_folder_out_of_reach_is_replaced_only_for_root() {
    let temp = TempFolder::new();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).expect("closed to others");
    let wanted = temp.path().join("pg");
    let is_root = fs::metadata(temp.path()).expect("the folder").uid() == 0;
    let first = PrivatePostgres::start(kept(&wanted)).expect("first start");
    let used = first.data_dir().to_owned();
    first.stop().expect("stop");
    assert_eq!(used.starts_with("/var/tmp"), is_root, "{}", used.display());

    let second = PrivatePostgres::start(kept(&wanted)).expect("second start");
    assert_eq!(
        second.data_dir(),
        used,
        "the next start finds the same folder"
    );
    second.stop().expect("stop");
    fs::remove_dir_all(&used).expect("cleaning up");
}

#[test]
fn the_terminals_ctrl_c_does_not_reach_it() {
    const PROCESS_GROUP: usize = 3;
    let temp = TempFolder::new();
    let postgres = PrivatePostgres::start(kept(temp.path().join("pg"))).expect("start");
    let group = stat_field(postmaster_pid(postgres.data_dir()), PROCESS_GROUP);
    assert!(group.is_some() && group != stat_field(std::process::id(), PROCESS_GROUP));
}
