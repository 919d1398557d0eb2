//! The harness: a whole service per test.

mod answer;
mod app;
mod certificates;
mod counter;
mod database;
mod files;
mod folder;
mod hanging;
mod hostile;
mod issuer;
mod keys;
mod logs;
mod names;
mod pgbouncer;
mod program;
pub mod promql;
mod raw;
mod receiver;
mod relay;
mod reverse_proxy;
mod webhooks;

pub use answer::Answer;
pub use app::{
    BUCKET, ENCRYPTION_KEY, FAR_AHEAD, NOWHERE, TABLE, TestApp, TestOptions, client, client_with,
    create_body, everything, plain_request, policy,
};
pub use certificates::{Issued, TlsListener, issue, issue_with};
pub use counter::Counter;
pub use database::{fresh_database, migrated_database};
pub use files::{books_body, gunzip, gzip, md5_base64};
pub use folder::Folder;
pub use hanging::HangingReceiver;
pub use hostile::{HOSTILE, inside};
pub use issuer::Issuer;
pub use keys::NewKey;
pub use logs::LogCapture;
pub use names::TestNames;
pub use pgbouncer::{PgBouncer, PoolMode, PoolUse, pgbouncer_version};
pub use program::{Ended, Outside, Program, migrate};
pub use raw::Raw;
pub use receiver::{Received, Receiver};
pub use relay::Relay;
pub use reverse_proxy::ReverseProxy;
pub use webhooks::{NewEndpoint, Running};

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time `seconds` ago (in the future if negative) in RFC 3339, whole seconds.
#[expect(clippy::disallowed_methods, reason = "tests may read the clock")]
pub fn ago(seconds: i64) -> String {
    let then = OffsetDateTime::now_utc() - time::Duration::seconds(seconds);
    then.replace_nanosecond(0)
        .unwrap()
        .format(&Rfc3339)
        .unwrap()
}

/// The polling interval of a test that waits for another process.
pub const POLL_EVERY: Duration = Duration::from_millis(50);

/// Polls until the condition holds; fails the test if it does not within `limit`.
pub async fn until(what: &str, limit: Duration, holds: impl AsyncFn() -> bool) {
    let looks = async {
        while !holds().await {
            tokio::time::sleep(POLL_EVERY).await;
        }
    };
    assert!(
        tokio::time::timeout(limit, looks).await.is_ok(),
        "not within {} s: {what}",
        limit.as_secs()
    );
}
