//! A standby: it replicates, takes over with all commits, and the old primary returns as its
//! standby.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::support::{listens, query};
use private_postgres::{DATABASE, Options, PrivatePostgres};

fn pair() -> (PrivatePostgres, PrivatePostgres) {
    let primary = PrivatePostgres::start(Options {
        durable: true,
        ..Options::default()
    })
    .expect("a primary");
    query(&primary.url(DATABASE), "CREATE TABLE t (x int)").expect("a table");
    let standby = PrivatePostgres::start_standby(&primary).expect("a standby");
    primary
        .be_synchronous()
        .expect("a standby that is synchronous");
    (primary, standby)
}

#[test]
fn the_standby_takes_over_and_the_old_primary_follows_it() {
    let (mut old, new) = pair();
    let (old_url, new_url) = (old.url(DATABASE), new.url(DATABASE));
    query(&old_url, "INSERT INTO t VALUES (1)").expect("a row");
    assert!(
        query(&new_url, "INSERT INTO t VALUES (9)")
            .expect_err("a standby only reads")
            .contains("read-only")
    );

    old.kill().expect("its end");
    assert!(!listens(&old_url));
    new.promote().expect("a promotion");
    assert_eq!(
        query(&new_url, "SELECT x FROM t").expect("what was committed"),
        "1"
    );
    query(&new_url, "INSERT INTO t VALUES (2)").expect("it does not wait for a standby");

    old.follow(&new).expect("it comes back as a standby");
    assert_eq!(old.url(DATABASE), old_url, "on its port");
    new.be_synchronous().expect("it is synchronous");
    query(&new_url, "INSERT INTO t VALUES (3)").expect("a row");
    assert!(
        query(&old_url, "INSERT INTO t VALUES (9)")
            .expect_err("it is a standby")
            .contains("read-only")
    );

    // And back again, with a crash in between.
    let mut new = new;
    new.crash().expect("a crash");
    new.start_again().expect("a start");
    query(&new_url, "INSERT INTO t VALUES (4)").expect("a row");
    new.kill().expect("its end");
    old.promote().expect("a promotion");
    assert_eq!(
        query(
            &old_url,
            "SELECT string_agg(x::text, ' ' ORDER BY x) FROM t"
        )
        .expect("all rows"),
        "1 2 3 4"
    );
}

#[test]
fn what_is_paused_answers_nothing_and_goes_on_later() {
    let (primary, mut standby) = pair();
    let url = primary.url(DATABASE);
    standby.pause().expect("SIGSTOP");
    let mut writing = Command::new("psql");
    writing
        .args(["-X", "-q", "-c", "INSERT INTO t VALUES (1)", &url])
        .stdout(Stdio::null());
    let mut writing = writing.spawn().expect("psql");
    sleep(Duration::from_millis(1_500));
    assert!(
        writing.try_wait().expect("psql").is_none(),
        "nothing is committed without the standby"
    );
    standby.resume().expect("SIGCONT");
    assert!(writing.wait().expect("psql").success());

    // A paused one can be stopped.
    standby.pause().expect("SIGSTOP");
    let (url, folder) = (standby.url(DATABASE), standby.data_dir().to_owned());
    standby.stop().expect("stop");
    assert!(!listens(&url) && !folder.exists());
}
