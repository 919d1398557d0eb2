//! Starts, uses and kills the machine's real Postgres, and checks what is left. Linux only, because
//! the tests read /proc.

#![cfg(target_os = "linux")]

mod library;
mod pgbouncer;
mod run;
mod standby;
mod support;
