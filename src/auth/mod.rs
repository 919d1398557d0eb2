//! Who calls: API keys and bearer tokens of an OIDC issuer become callers here, and how much each
//! may ask for is counted.
//!
//! [`Gate::admit`] is the one way in. What it has found good is [`known`] for some seconds, so that
//! most requests ask neither Postgres nor the issuer. Credentials that are refused are counted by
//! the address they come from ([`failures`]): from an address with many of them, what is not known
//! is looked up one after the other, and slowly. So whoever is good gets in, since many callers may
//! share an address.

mod failures;
mod keys;
mod known;
pub mod oidc;
pub mod rates;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Chance;
use crate::domain::caller::secret::{ApiKeySecret, PREFIX};
use crate::domain::caller::{Caller, CallerName};
use crate::domain::pace::PaceLimits;
use crate::domain::timestamp::Timestamp;
use crate::settings::Auth;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::AUTH_FAILURES;

use failures::Failures;
use known::Known;
use oidc::{Oidc, OidcError, OidcSettings};
use rates::Rates;

/// How many credentials from addresses that are put off may wait for their look-up.
const MOST_IN_LINE: usize = 64;

/// How much each refusal holds up those who come after it in that line.
const SLOWED_BY: Duration = Duration::from_millis(20);

/// Why somebody is not let in.
#[derive(Debug)]
pub enum Refusal {
    /// There is no `Authorization: Bearer …`.
    Missing,
    /// It is neither an API key nor a token that is taken here.
    Malformed,
    /// There is no such key.
    Unknown,
    /// The key is revoked or expired.
    Ended(&'static str),
    /// The token is not to be trusted.
    Token(&'static str),
    /// Too many from addresses like this one wait for their look-up.
    TooMany {
        /// When another try makes sense.
        retry_after: Duration,
    },
    /// The issuer's keys cannot be had.
    IssuerAway,
    /// The database does not answer.
    Store(StoreError),
}

impl Refusal {
    /// The reason in metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Ended(why) => why,
            Self::Token(_) => "token",
            Self::TooMany { .. } => "too_many",
            Self::IssuerAway => "issuer_away",
            Self::Store(_) => "database_away",
        }
    }

    /// Whether the credentials are at fault, and not us.
    fn is_theirs(&self) -> bool {
        matches!(
            self,
            Self::Malformed | Self::Unknown | Self::Ended(_) | Self::Token(_)
        )
    }
}

/// Lets callers in.
#[derive(Debug)]
pub struct Gate {
    auth: Auth,
    store: Store,
    chance: Chance,
    anybody: Arc<Caller>,
    oidc: Option<Oidc>,
    known: Known,
    failures: Failures,
    /// Those who wait for their turn, and whose turn it is.
    line: Semaphore,
    turn: Semaphore,
    /// How much callers may ask for.
    pub rates: Rates,
}

impl Gate {
    /// A gate that asks this database, and this issuer if there is one.
    ///
    /// # Errors
    /// The issuer's settings cannot be used.
    pub fn new(
        auth: Auth,
        limits: PaceLimits,
        oidc: Option<OidcSettings>,
        store: Store,
        chance: Chance,
    ) -> Result<Self, OidcError> {
        let oidc = oidc.map(Oidc::new).transpose()?;
        let (known, failures, rates) = (Known::default(), Failures::default(), Rates::new(limits));
        let (line, turn) = (Semaphore::new(MOST_IN_LINE), Semaphore::new(1));
        Ok(Self {
            auth,
            store,
            chance,
            anybody: Arc::new(Caller::anybody()),
            oidc,
            known,
            failures,
            line,
            turn,
            rates,
        })
    }

    /// Whether callers must say who they are.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.auth == Auth::Required
    }

    /// Whoever calls where nobody must say who they are.
    #[must_use]
    pub fn anybody(&self) -> Arc<Caller> {
        Arc::clone(&self.anybody)
    }

    /// Who sends these credentials, the text after `Bearer`, from this address.
    ///
    /// # Errors
    /// They are refused, or cannot be checked.
    pub async fn admit(
        &self,
        credentials: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Arc<Caller>, Refusal> {
        let Some(credentials) = credentials else {
            return Err(counted(Refusal::Missing));
        };
        let now = self.chance.now();
        let digest: [u8; 32] = Sha256::digest(credentials.as_bytes()).into();
        if let Some(caller) = self.known.fresh(&digest, now) {
            return Ok(caller);
        }
        let put_off = self.failures.wait(from, now);
        // Whoever was known need not stand in line, whatever others at the same address do.
        let _turn = match put_off {
            Some(retry_after) if !self.known.has(&digest) => Some(
                self.in_line()
                    .await
                    .ok_or_else(|| counted(Refusal::TooMany { retry_after }))?,
            ),
            _ => None,
        };
        match self.look_up(credentials, now).await {
            Ok((caller, until)) => Ok(self.known.insert(digest, caller, until, now)),
            Err(refusal) if refusal.is_theirs() => {
                self.known.forget(&digest);
                self.failures.count(from, now);
                match put_off {
                    // Whoever is next in line waits meanwhile.
                    Some(_) => tokio::time::sleep(SLOWED_BY).await,
                    None => tell(&refusal, credentials, from),
                }
                Err(counted(refusal))
            }
            Err(refusal) => Err(counted(refusal)),
        }
    }

    /// Waits for the one place where credentials from addresses that are put off are looked up;
    /// nothing if too many do.
    async fn in_line(&self) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.line.try_acquire().ok()?;
        self.turn.acquire().await.ok()
    }

    /// Forgets a caller, so that a change in this process holds at once; other processes hear of it
    /// within [`known::FRESH`].
    pub fn forget(&self, name: &CallerName) {
        self.known.forget_caller(name);
    }

    async fn look_up(
        &self,
        credentials: &str,
        now: Timestamp,
    ) -> Result<(Caller, Option<Timestamp>), Refusal> {
        if credentials.starts_with(PREFIX) {
            return keys::look_up(&self.store, credentials, now).await;
        }
        match &self.oidc {
            Some(oidc) => oidc.verify(credentials, now).await,
            None => Err(Refusal::Malformed),
        }
    }
}

/// Says who tries. Not more often than failures are allowed, so that it fills no log.
fn tell(refusal: &Refusal, credentials: &str, from: Option<IpAddr>) {
    let prefix = ApiKeySecret::parse(credentials).map(|key| format!("{PREFIX}{}", key.lookup()));
    let from = from.map(tracing::field::display);
    tracing::warn!(
        client.address = from,
        auth.refusal = refusal.reason(),
        api_key.prefix = prefix,
        "credentials were refused"
    );
}

fn counted(refusal: Refusal) -> Refusal {
    metrics::counter!(AUTH_FAILURES, "reason" => refusal.reason()).increment(1);
    refusal
}
