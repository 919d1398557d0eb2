#!/usr/bin/env bash
# sqlx 0.9.0 (with runtime-tokio and postgres): the pool pings a connection when it is released, and that ping has no timeout. If the server
# has gone silent without closing the connection, a future that is dropped in the middle of a statement occupies its pool slot
# indefinitely: `acquire` fails with PoolTimedOut although the server accepts new connections.
#
# Expected of a pool with acquire_timeout: the slot becomes free after a timeout.
#
# Needs: cargo, Debian's postgresql (15 here; any version does). Everything is on loopback. Takes some minutes, mostly to compile.
set -euo pipefail

folder=$(mktemp -d)
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
run=()
[ "$(id -u)" != 0 ] || { run=(runuser -u postgres --); chown postgres "$folder"; chmod 755 "$folder"; }
stop() {
    (cd / && "${run[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop) >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd / && "${run[@]}" "$bin/initdb" -D "$folder/data" -U app -A trust >/dev/null)
(cd / && "${run[@]}" "$bin/pg_ctl" -D "$folder/data" -w -o "-p $port -k $folder -c listen_addresses=127.0.0.1" -l "$folder/log" start >/dev/null)

mkdir -p "$folder/probe/src"
cat >"$folder/probe/Cargo.toml" <<'TOML'
[package]
name = "probe"
version = "0.1.0"
edition = "2024"

[dependencies]
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }
tokio = { version = "1", features = ["io-util", "macros", "net", "rt-multi-thread", "sync", "time"] }
TOML
cat >"$folder/probe/src/main.rs" <<'RUST'
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay whose connections carry no more data but stay open once `silent` is set; later ones work.
async fn relay(listener: TcpListener, server: u16, silent: watch::Sender<u32>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
        let ((a_in, a_out), (b_in, b_out)) = (client.into_split(), server.into_split());
        for (mut from, mut to) in [(a_in, b_out), (b_in, a_out)] {
            let mut silent = silent.subscribe();
            tokio::spawn(async move {
                let mut bytes = vec![0; 8192];
                loop {
                    let read = tokio::select! {
                        _ = silent.changed() => return std::future::pending().await,
                        read = from.read(&mut bytes) => read.unwrap_or(0),
                    };
                    if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
}

#[tokio::main]
async fn main() {
    let server: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = watch::channel(0).0;
    tokio::spawn(relay(listener, server, silent.clone()));
    let url = format!("postgres://app@127.0.0.1:{port}/postgres?sslmode=disable");
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(2));
    let pool = options.connect(&url).await.unwrap();
    // Two statements are dropped by their callers after the connections have gone silent.
    let sleeping = || async { sqlx::query("SELECT pg_sleep(0.2)").execute(&pool).await };
    let dropped = tokio::time::timeout(Duration::from_millis(500), async {
        let silence = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            silent.send_modify(|n| *n += 1);
            std::future::pending::<()>().await
        };
        tokio::join!(sleeping(), sleeping(), silence)
    });
    assert!(dropped.await.is_err());
    let direct = TcpStream::connect(("127.0.0.1", port)).await;
    println!("a new connection through the same relay: {}", if direct.is_ok() { "works" } else { "fails" });
    let mut failed = 0;
    for second in 1..=10 {
        let answer = sqlx::query("SELECT 1").execute(&pool).await;
        failed += u32::from(matches!(answer, Err(sqlx::Error::PoolTimedOut)));
        println!("attempt {second}: {} (pool size {}, idle {})", answer.map_or_else(|e| e.to_string(), |_| "ok".into()), pool.size(), pool.num_idle());
    }
    println!("{failed} of 10 attempts over 20 s failed with PoolTimedOut");
    std::process::exit(if failed == 10 { 0 } else { 1 });
}
RUST
(cd "$folder/probe" && CARGO_TARGET_DIR="$folder/target" cargo run --quiet -- "$port")
echo "still so: sqlx 0.9.0 never releases the slots of dropped futures if the server is silent"
