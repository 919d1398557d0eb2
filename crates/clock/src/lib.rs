//! The clock: time, randomness and new identifiers. Only this crate draws them; everything else
//! takes them as arguments.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;
use uuid::{ContextV7, Uuid};

use tableferry_domain::caller::secret::ApiKeySecret;
use tableferry_domain::ids::{ClientToken, DeliveryId, ExportId};
use tableferry_domain::lifecycle::backoff::Jitter;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::endpoint::EndpointId;
use tableferry_domain::webhook::secret::WebhookSecret;

/// The source of time, randomness and identifiers. Cheap to clone; clones share their offset.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
    /// Keeps export ids increasing within a millisecond.
    order: Arc<Mutex<ContextV7>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this crate is the one that may call them"
)]
impl Clock {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = time::Duration::milliseconds(self.ahead_ms.load(Ordering::Relaxed));
        OffsetDateTime::now_utc().saturating_add(ahead).into()
    }

    /// Moves the clock ahead, for tests.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(
            i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
            Ordering::Relaxed,
        );
    }

    /// A UUIDv7 of this time, increasing within this process.
    #[must_use]
    pub fn export_id(&self) -> ExportId {
        let now = OffsetDateTime::from(self.now());
        ExportId(Uuid::new_v7(uuid::Timestamp::from_unix(
            &*self.order,
            now.unix_timestamp().unsigned_abs(),
            now.nanosecond(),
        )))
    }

    #[must_use]
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId(Uuid::now_v7())
    }

    /// From the system's secure randomness.
    #[must_use]
    pub fn client_token(&self) -> ClientToken {
        ClientToken::from_uuid(Uuid::new_v4())
    }

    #[must_use]
    pub fn endpoint_id(&self) -> EndpointId {
        EndpointId(Uuid::now_v7())
    }

    /// An id for any other row that is ordered by creation: a UUIDv7.
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
            reason = "without the system's randomness no key can be made"
        )]
        aws_lc_rs::rand::fill(&mut bytes).expect("the system provides random bytes");
        bytes
    }

    #[must_use]
    pub fn api_key_secret(&self) -> ApiKeySecret {
        ApiKeySecret::new(&self.secret_bytes())
    }

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
