//! A PgBouncer in front of a private Postgres. Skipped if it is not installed.

use std::net::TcpStream;

use crate::support::{listens, query};
use private_postgres::{DATABASE, Options, PgBouncer, PgBouncerOptions, PrivatePostgres};

#[test]
fn it_passes_on_restarts_on_its_port_and_leaves_nothing() {
    if !PgBouncer::is_installed() {
        return;
    }
    let postgres = PrivatePostgres::start(Options::default()).expect("a Postgres");
    let url = postgres.url(DATABASE);
    let address = url
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .expect("host and port")
        .to_owned();
    let options = PgBouncerOptions {
        to: address.parse().expect("an address"),
        pool_size: 5,
        ignored_parameters: String::new(),
    };
    let mut pooler = PgBouncer::start(&postgres, &options).expect("a PgBouncer");
    let through = url.replace(&address, &pooler.address().to_string());
    for _ in 0..2 {
        assert_eq!(
            query(&through, "SELECT current_user").expect("an answer"),
            "tableferry"
        );
        pooler.stop().expect("its end");
        assert!(!listens(&through));
        pooler.start_again().expect("a start on the same port");
    }
    let address = pooler.address();
    drop(pooler);
    assert!(TcpStream::connect(address).is_err());
}
