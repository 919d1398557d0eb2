//! TLS at the service's own port: the certificate, its renewal, and clients that use another
//! protocol.

use std::path::PathBuf;
use std::time::Duration;

use tableferry::listener::{ConnectionLimits, TlsFiles};
use tokio::time::timeout;

use crate::process::{free_address, tableferry, terminate};
use crate::support::{Issued, LogCapture, Raw, TestApp, TestOptions, fresh_database, issue};

const PATIENCE: Duration = Duration::from_secs(30);

/// A client that trusts only this certificate authority.
#[expect(clippy::disallowed_methods, reason = "tests talk to loopback only")]
fn client_of(issued: &Issued) -> reqwest::ClientBuilder {
    let authority = reqwest::Certificate::from_pem(issued.authority.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_certs_only([authority])
}

/// Files in a folder that is removed with the test.
struct Files {
    folder: PathBuf,
    files: TlsFiles,
}

impl Files {
    #[expect(clippy::disallowed_methods, reason = "tests may draw names")]
    fn of(issued: &Issued) -> Self {
        let folder =
            std::env::temp_dir().join(format!("tableferry-tls-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = TlsFiles {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        let made = Self { folder, files };
        made.put(&issued.cert, &issued.key);
        made
    }

    fn put(&self, cert: &str, key: &str) {
        std::fs::write(&self.files.cert, cert).unwrap();
        std::fs::write(&self.files.key, key).unwrap();
    }

    fn names(&self) -> [(&'static str, &str); 2] {
        let TlsFiles { cert, key } = &self.files;
        [
            ("TABLEFERRY_TLS_CERT", cert.to_str().unwrap()),
            ("TABLEFERRY_TLS_KEY", key.to_str().unwrap()),
        ]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // At worst, files are left in the temp folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn start(files: &Files, connection_limits: ConnectionLimits) -> (TestApp, String) {
    let app = TestApp::start_with(TestOptions {
        tls: Some(files.files.clone()),
        connection_limits,
        ..TestOptions::default()
    })
    .await;
    let url = app.url.replace("http://", "https://");
    (app, url)
}

#[tokio::test]
async fn it_is_spoken_in_both_versions() {
    let issued = issue();
    let files = Files::of(&issued);
    let (_app, url) = start(
        &files,
        ConnectionLimits {
            rest_after: Duration::ZERO,
            ..ConnectionLimits::default()
        },
    )
    .await;
    for version in [
        reqwest::tls::Version::TLS_1_2,
        reqwest::tls::Version::TLS_1_3,
    ] {
        let client = client_of(&issued)
            .tls_version_min(version)
            .tls_version_max(version)
            .pool_max_idle_per_host(1)
            .build()
            .unwrap();
        for _ in 0..3 {
            let bundle = client
                .get(format!("{url}/docs/swagger-ui-bundle.js"))
                .send()
                .await
                .unwrap();
            assert_eq!(
                (bundle.status().as_u16(), bundle.version()),
                (200, reqwest::Version::HTTP_11)
            );
            assert!(bundle.bytes().await.unwrap().len() > 1_000_000);
        }
    }
    client_of(&issue())
        .build()
        .unwrap()
        .get(format!("{url}/livez"))
        .send()
        .await
        .expect_err("another authority vouches for others");
}

#[tokio::test]
async fn who_speaks_something_else_or_nothing_is_cut() {
    let issued = issue();
    let files = Files::of(&issued);
    let (app, url) = start(&files, ConnectionLimits::default()).await;
    let mut plain = Raw::connect(&app.url).await;
    plain.say("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let answer = plain.rest().await;
    assert!(
        !answer.starts_with(b"HTTP"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let client = client_of(&issued).build().unwrap();
    assert_eq!(
        client
            .get(format!("{url}/livez"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    let (app, _) = start(
        &files,
        ConnectionLimits {
            handshake_time: Duration::from_millis(50),
            ..ConnectionLimits::default()
        },
    )
    .await;
    let silent = Raw::connect(&app.url).await;
    let mut half = Raw::connect(&app.url).await;
    // A handshake record of 512 bytes that never arrives.
    half.say("\u{16}\u{3}\u{1}\u{2}").await;
    assert_eq!((silent.rest().await, half.rest().await), (vec![], vec![]));
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_broken_one_is_not() {
    let (old, new) = (issue(), issue());
    let files = Files::of(&old);
    let logs = LogCapture::start();
    let (_app, url) = start(
        &files,
        ConnectionLimits {
            tls_check_every: Duration::from_millis(1),
            ..ConnectionLimits::default()
        },
    )
    .await;
    let (knows_old, knows_new) = (
        client_of(&old).build().unwrap(),
        client_of(&new).build().unwrap(),
    );
    let live = format!("{url}/livez");
    assert_eq!(knows_old.get(&live).send().await.unwrap().status(), 200);

    let told = |count: usize, what: &'static str| {
        let logs = &logs;
        timeout(PATIENCE, async move {
            while logs.text().matches(what).count() < count {
                tokio::task::yield_now().await;
            }
        })
    };
    files.put(&new.cert, &old.key);
    told(1, "the previous one stays in use")
        .await
        .expect("a key of another certificate is reported");
    assert_eq!(knows_old.get(&live).send().await.unwrap().status(), 200);
    std::fs::remove_file(&files.files.key).unwrap();
    told(2, "the previous one stays in use")
        .await
        .expect("a missing file is reported");
    assert_eq!(knows_old.get(&live).send().await.unwrap().status(), 200);
    files.put(&new.cert, &new.key);
    told(1, "new connections use it")
        .await
        .expect("the new pair is taken");
    assert_eq!(knows_new.get(&live).send().await.unwrap().status(), 200);
    knows_old
        .get(&live)
        .send()
        .await
        .expect_err("the old one is gone");
    let secret = new.key.lines().nth(1).unwrap();
    assert!(
        !logs.text().contains(secret) && !logs.text().contains(old.key.lines().nth(1).unwrap())
    );
}

#[tokio::test]
async fn the_binary_serves_it_and_its_health_check_speaks_it() {
    let issued = issue();
    let files = Files::of(&issued);
    let (database_url, address) = (fresh_database().await, free_address().await);
    let mut variables = vec![
        ("DATABASE_URL", database_url.as_str()),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    variables.extend(files.names());
    let mut child = tableferry(&["serve"], &variables).spawn().unwrap();
    let ready = async {
        while !tableferry(&["healthcheck"], &variables)
            .output()
            .await
            .unwrap()
            .status
            .success()
        {}
    };
    timeout(PATIENCE, ready).await.expect("it becomes ready");
    // A URL that was given has a host name, so its certificate is verified.
    let strict = tableferry(
        &["healthcheck", "--url", &format!("https://{address}")],
        &variables,
    )
    .output()
    .await
    .unwrap();
    assert!(!strict.status.success());
    let plain = tableferry(
        &["healthcheck", "--url", &format!("http://{address}")],
        &variables,
    )
    .output()
    .await
    .unwrap();
    assert!(!plain.status.success());
    terminate(&child);
    assert!(
        timeout(PATIENCE, child.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    );

    std::fs::write(
        &files.files.key,
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    let output = timeout(PATIENCE, tableferry(&["serve"], &variables).output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("key.pem") && said.contains("TABLEFERRY_TLS_KEY"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}
