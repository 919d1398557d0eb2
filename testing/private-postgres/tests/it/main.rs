//! A real Postgres of this machine, started, used, killed and looked for. Linux only: the tests
//! look into /proc.

#![cfg(target_os = "linux")]

mod library;
mod pgbouncer;
mod run;
mod standby;
mod support;
