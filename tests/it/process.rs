//! The real binary: its errors when it cannot start, and how it stops.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::fresh_database;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn tableferry(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tableferry"));
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn fails(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = timeout(PATIENCE, tableferry(arguments, variables).output())
        .await
        .unwrap()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let half_an_issuer = fails(
        &["serve"],
        &[("TABLEFERRY_OIDC_ISSUER", "https://login.example")],
    )
    .await;
    assert!(
        half_an_issuer.contains("TABLEFERRY_OIDC_AUDIENCE must be set"),
        "{half_an_issuer}"
    );
    let keys_over_http = fails(
        &["serve"],
        &[
            ("TABLEFERRY_OIDC_ISSUER", "http://login.example"),
            ("TABLEFERRY_OIDC_AUDIENCE", "a"),
        ],
    )
    .await;
    assert!(
        keys_over_http.contains("TABLEFERRY_OIDC_ISSUER must be the https URL"),
        "{keys_over_http}"
    );
    let no_database = fails(&["serve"], &[("TABLEFERRY_AUTH", "none")]).await;
    assert!(
        no_database.contains("DATABASE_URL is not set") && no_database.contains("make run"),
        "{no_database}"
    );
    let bad_url = fails(
        &["serve"],
        &[("TABLEFERRY_AUTH", "none"), ("DATABASE_URL", "hunter2")],
    )
    .await;
    assert!(
        bad_url.contains("DATABASE_URL") && !bad_url.contains("hunter2"),
        "{bad_url}"
    );
    let other_database = fails(
        &["migrate"],
        &[("DATABASE_URL", "mysql://u:hunter2@127.0.0.1/d")],
    )
    .await;
    assert!(
        other_database.contains("postgres://") && !other_database.contains("hunter2"),
        "{other_database}"
    );
    let misspelt = fails(&["openapi"], &[("TABLEFERRY_LISTN", "x")]).await;
    assert!(misspelt.contains("TABLEFERRY_LISTN"), "{misspelt}");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let in_use = fails(
        &["serve"],
        &[
            ("TABLEFERRY_AUTH", "none"),
            ("DATABASE_URL", "postgres://127.0.0.1:1/d"),
            ("TABLEFERRY_LISTEN", &address),
        ],
    )
    .await;
    assert!(
        in_use.contains(&format!("cannot listen on {address}")),
        "{in_use}"
    );
    let no_file = fails(&["serve", "--config", "/no/such/file"], &[]).await;
    assert!(no_file.contains("/no/such/file"), "{no_file}");
}

#[tokio::test]
async fn openapi_prints_the_document() {
    let older = include_bytes!("../../openapi/openapi-3.0.json");
    for (arguments, committed) in [
        (
            &["openapi"][..],
            &include_bytes!("../../openapi/openapi.json")[..],
        ),
        (&["openapi", "--openapi-version", "3.0"], older),
        (
            &["openapi", "--openapi-version", "3.0", "--without-webhooks"],
            older,
        ),
    ] {
        let output = tableferry(arguments, &[]).output().await.unwrap();
        assert!(
            output.stdout == committed,
            "openapi/ is stale ({arguments:?}): run `make generate`"
        );
    }
    let without = tableferry(&["openapi", "--without-webhooks"], &[])
        .output()
        .await
        .unwrap();
    let without: serde_json::Value = serde_json::from_slice(&without.stdout).unwrap();
    assert!(without["webhooks"].is_null() && without["paths"].is_object());
}

#[tokio::test]
async fn a_key_of_the_command_line_opens_the_service() {
    let (database_url, address) = (fresh_database().await, free_address().await);
    let variables = [
        ("DATABASE_URL", database_url.as_str()),
        ("TABLEFERRY_LISTEN", &address),
    ];
    let run = async |arguments: &[&str]| {
        let output = timeout(PATIENCE, tableferry(arguments, &variables).output())
            .await
            .unwrap()
            .unwrap();
        let (out, err) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        (output.status.success(), out, err)
    };
    let (early, _, why) = run(&["keys", "list"]).await;
    assert!(!early && why.contains("run tableferry migrate"), "{why}");
    assert!(run(&["migrate"]).await.0);
    let create = [
        "keys",
        "create",
        "--name",
        "orders",
        "--scope",
        "exports:read,exports:write",
        "--table-arn",
        "arn:*:table/Orders",
    ];
    let (made, key, _) = run(&create).await;
    assert!(made && key.trim().starts_with("tferry_"), "{key}");
    let (again, _, why) = run(&create).await;
    assert!(
        !again && why.contains("orders is the name of another key"),
        "{why}"
    );
    let (_, _, why) = run(&[
        "keys",
        "create",
        "--name",
        "x",
        "--scope",
        "admin",
        "--s3-bucket",
        "mine",
    ])
    .await;
    assert!(why.contains("admin"), "{why}");
    let (_, _, why) = run(&["keys", "create", "--name", "x", "--scope", "exports"]).await;
    assert!(why.contains("exports:read"), "{why}");
    let _child = tableferry(&["serve"], &variables).spawn().unwrap();
    becomes_ready(&address).await;
    let list = async || {
        let url = format!("http://{address}/v1/exports");
        crate::support::client()
            .get(url)
            .bearer_auth(key.trim())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(list().await, 200);
    let (_, keys, _) = run(&["keys", "list"]).await;
    assert!(
        keys.contains("orders") && keys.contains("active") && !keys.contains(key.trim()),
        "{keys}"
    );
    let (_, keys, _) = run(&["keys", "list", "--json"]).await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&keys).unwrap()["name"],
        "orders"
    );
    assert!(run(&["keys", "revoke", "orders"]).await.0);
    assert!(!run(&["keys", "revoke", "nobody"]).await.0);
    assert!(run(&["keys", "list"]).await.1.contains("revoked"));
}

/// Reads log lines until one contains this text; returns the line.
pub async fn line_with(child: &mut Child, lines: &mut Vec<String>, text: &str) -> String {
    let stderr = child.stderr.take().unwrap();
    let mut reader = BufReader::new(stderr);
    let found = timeout(PATIENCE, async {
        loop {
            let mut line = String::new();
            assert_ne!(
                reader.read_line(&mut line).await.unwrap(),
                0,
                "the process ended: {lines:?}"
            );
            lines.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    });
    let line = found
        .await
        .unwrap_or_else(|_| panic!("no line has {text:?}: {lines:?}"));
    child.stderr = Some(reader.into_inner());
    line
}

pub async fn free_address() -> String {
    tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

/// Waits until the health check command succeeds.
pub async fn becomes_ready(address: &str) {
    let ready = async {
        loop {
            let check = tableferry(&["healthcheck"], &[("TABLEFERRY_LISTEN", address)])
                .output()
                .await
                .unwrap();
            if check.status.success() {
                return;
            }
        }
    };
    timeout(PATIENCE, ready).await.expect("it becomes ready");
}

fn child_has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

pub fn terminate(child: &Child) {
    let pid = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn it_migrates_serves_and_stops_at_sigterm() {
    let (database_url, address) = (fresh_database().await, free_address().await);
    let variables = [
        ("DATABASE_URL", database_url.as_str()),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    let mut child = tableferry(&["serve"], &variables).spawn().unwrap();
    becomes_ready(&address).await;
    let http = crate::support::client();
    assert!(!child_has_ended(&mut child));
    terminate(&child);
    // Load balancers must see that the process is not ready before connections are rejected.
    let told = async {
        while http
            .get(format!("http://{address}/readyz"))
            .send()
            .await
            .expect("readyz says it before connections are refused")
            .status()
            != 503
        {}
    };
    timeout(PATIENCE, told).await.unwrap();
    let status = timeout(Duration::from_secs(10), child.wait())
        .await
        .expect("it stops within 10 s")
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_database_that_is_away_at_the_start_is_waited_for() {
    let address = free_address().await;
    let variables = [
        ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d"),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
    ];
    let mut child = tableferry(&["serve"], &variables).spawn().unwrap();
    let mut lines = Vec::new();
    line_with(
        &mut child,
        &mut lines,
        "the database does not answer; trying again every second",
    )
    .await;
    assert!(!lines.concat().contains("hunter2"));
    let http = crate::support::client();
    let live = http
        .get(format!("http://{address}/livez"))
        .send()
        .await
        .unwrap();
    assert_eq!(live.status(), 200);
    let listed = http
        .get(format!("http://{address}/v1/exports"))
        .send()
        .await
        .unwrap();
    assert_eq!(listed.status(), 503);
    assert!(listed.headers().contains_key("retry-after"));
    terminate(&child);
    let status = timeout(Duration::from_secs(10), child.wait())
        .await
        .expect("it stops within 10 s")
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_first_look_reaches_completed_and_leaves_nothing_running() {
    let folder = std::env::temp_dir().join(format!("tableferry-first-look-{}", std::process::id()));
    let path =
        std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]).unwrap();
    let variables = [
        ("PATH", path.to_str().unwrap()),
        ("TABLEFERRY_LISTEN", "127.0.0.1:0"),
    ];
    let run = tableferry(
        &[
            "dev",
            "--once",
            "--speed",
            "2000",
            "--data-dir",
            folder.to_str().unwrap(),
        ],
        &variables,
    )
    .output();
    let output = timeout(Duration::from_secs(120), run)
        .await
        .expect("it ends")
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [
        "export.started",
        "COMPLETED: ",
        "manifest-files.json",
        ".json.gz",
        "signature valid",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    // At worst, files are left in the temp folder.
    let _ = std::fs::remove_dir_all(folder);
}
