//! Time, randomness and new identifiers: the one file that draws them. Everyone else gets them as
//! arguments.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;
use uuid::{ContextV7, Uuid};

use tableferry_domain::backoff::Jitter;
use tableferry_domain::caller::secret::ApiKeySecret;
use tableferry_domain::ids::{ClientToken, DeliveryId, ExportId};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::endpoint::EndpointId;
use tableferry_domain::webhook::secret::WebhookSecret;

/// The source of time, randomness and identifiers. Cheap to clone; clones share their clock.
#[derive(Debug, Clone, Default)]
pub struct Chance {
    ahead_ms: Arc<AtomicI64>,
    /// Lets export ids grow also within a millisecond.
    order: Arc<Mutex<ContextV7>>,
}

#[expect(clippy::disallowed_methods, reason = "this is the file that may")]
impl Chance {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = time::Duration::milliseconds(self.ahead_ms.load(Ordering::Relaxed));
        OffsetDateTime::now_utc().saturating_add(ahead).into()
    }

    /// Moves the clock ahead, so that tests need not wait.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(
            i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
            Ordering::Relaxed,
        );
    }

    /// A new export's id: a UUIDv7 of this time, growing within this process.
    #[must_use]
    pub fn export_id(&self) -> ExportId {
        let now = OffsetDateTime::from(self.now());
        ExportId(Uuid::new_v7(uuid::Timestamp::from_unix(
            &*self.order,
            now.unix_timestamp().unsigned_abs(),
            now.nanosecond(),
        )))
    }

    /// A new delivery's id.
    #[must_use]
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId(Uuid::now_v7())
    }

    /// A new client token, from the system's secure randomness.
    #[must_use]
    pub fn client_token(&self) -> ClientToken {
        ClientToken::from_uuid(Uuid::new_v4())
    }

    /// A new endpoint's id.
    #[must_use]
    pub fn endpoint_id(&self) -> EndpointId {
        EndpointId(Uuid::now_v7())
    }

    /// A new id of anything else that is ordered by creation.
    #[must_use]
    pub fn ordered_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// Bytes from the system's secure randomness, for keys.
    #[must_use]
    pub fn secret_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        #[expect(
            clippy::expect_used,
            reason = "a system without randomness can make no keys, and must not pretend to"
        )]
        aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
        bytes
    }

    /// A new API key.
    #[must_use]
    pub fn api_key_secret(&self) -> ApiKeySecret {
        ApiKeySecret::new(&self.secret_bytes())
    }

    /// A new secret that signs webhooks.
    #[must_use]
    pub fn webhook_secret(&self) -> WebhookSecret {
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are within the bounds of a secret"
        )]
        WebhookSecret::from_key(&self.secret_bytes())
            .expect("32 bytes are within the bounds of a secret")
    }

    /// A random number that spreads a delay.
    #[must_use]
    pub fn jitter(&self) -> Jitter {
        Jitter(fastrand::f64())
    }
}
