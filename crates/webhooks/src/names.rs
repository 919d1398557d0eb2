//! Looks up the host names of receivers, and checks a receiver when a caller names it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::url::{UrlPolicy, WebhookUrl};

pub type LookUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Resolves host names. The result may change between two look-ups.
pub trait Names: fmt::Debug + Send + Sync {
    /// The future ends only when the look-up has.
    fn look_up(&self, name: String) -> LookUp;
}

/// Maximum number of concurrent look-ups per process: one per attempt that a worker may have in
/// flight, and some more. Each needs a thread, for half a minute if no server answers.
const MAX_LOOK_UPS: usize = 600;

/// The system's resolver: DNS, hosts file, search domains.
#[derive(Debug, Clone)]
pub struct SystemNames {
    free: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MAX_LOOK_UPS)),
        }
    }
}

impl Names for SystemNames {
    fn look_up(&self, name: String) -> LookUp {
        let free = Arc::clone(&self.free);
        Box::pin(async move {
            let permit = free.acquire_owned().await.map_err(io::Error::other)?;
            let (answer, answered) = oneshot::channel();
            // A thread of its own: a look-up cannot be cancelled, and neither the runtime's threads
            // nor its shutdown should wait for one.
            std::thread::Builder::new()
                .name("name look-up".to_owned())
                .spawn(move || {
                    let found = (name.as_str(), 0)
                        .to_socket_addrs()
                        .map(|all| all.map(|address| address.ip()).collect());
                    drop(permit);
                    // The receiving end may have timed out.
                    let _ = answer.send(found);
                })?;
            answered.await.map_err(io::Error::other)?
        })
    }
}

/// How long a request waits for the look-up of the name in its URL.
const VETTING_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum number of concurrent look-ups for callers per process. Most of [`MAX_LOOK_UPS`] are left
/// to deliveries.
const MAX_VETTED: usize = 32;

/// Checks the receiver in a request by the addresses of its host name. Cheap to clone; clones share
/// the limit.
#[derive(Debug, Clone)]
pub struct Vetting {
    policy: UrlPolicy,
    names: Arc<dyn Names>,
    free: Arc<Semaphore>,
}

impl Vetting {
    #[must_use]
    pub fn new(policy: UrlPolicy, names: Arc<dyn Names>) -> Self {
        Self {
            policy,
            names,
            free: Arc::new(Semaphore::new(MAX_VETTED)),
        }
    }

    /// Refuses a URL that the policy forbids, or whose host name has an address that the policy
    /// forbids. One such address is enough: a receiver on the public internet has none. A name that
    /// does not resolve within two seconds passes, and so does any name while [`MAX_VETTED`]
    /// look-ups run: each delivery checks again, and connects only to permitted addresses.
    pub async fn vet(&self, url: &WebhookUrl) -> Result<(), Invalid> {
        url.check(&self.policy)?;
        let Some(name) = url.name().filter(|name| !self.policy.trusts_name(name)) else {
            return Ok(());
        };
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            return Ok(());
        };
        let looking = self.names.look_up(name.to_owned());
        // A task of its own, so that the permit is held until the look-up ends.
        let found = tokio::spawn(async move {
            let found = looking.await;
            drop(permit);
            found
        });
        let Ok(Ok(Ok(found))) = timeout(VETTING_TIMEOUT, found).await else {
            return Ok(());
        };
        if found
            .iter()
            .all(|address| self.policy.permits(name, *address))
        {
            return Ok(());
        }
        Err(Invalid::new(
            "must have a host whose addresses are all public; this host has others \
             (the operator can allow it with TABLEFERRY_WEBHOOK_ALLOW_HOSTS)",
        ))
    }
}
