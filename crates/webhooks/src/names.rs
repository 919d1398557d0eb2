//! Looks up the names of receivers: whom to ask, and what may be said about a receiver before
//! anything is sent to it.

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

/// A look-up that is under way.
pub type LookUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Knows the addresses of names. Answers may change between two questions.
pub trait Names: fmt::Debug + Send + Sync {
    /// Asks for the addresses of a name. The future ends only when the look-up has.
    fn look_up(&self, name: String) -> LookUp;
}

/// How many look-ups of the system run at once in a process: one for each attempt that a worker has
/// in hand, and more. Each holds a thread, for half a minute if no server answers.
const MOST_LOOK_UPS: usize = 600;

/// The names that the machine's own resolver knows: DNS, hosts file, search domains.
#[derive(Debug, Clone)]
pub struct SystemNames {
    free: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MOST_LOOK_UPS)),
        }
    }
}

impl Names for SystemNames {
    fn look_up(&self, name: String) -> LookUp {
        let free = Arc::clone(&self.free);
        Box::pin(async move {
            let permit = free.acquire_owned().await.map_err(io::Error::other)?;
            let (answer, answered) = oneshot::channel();
            // A thread of its own: nothing can end a look-up early, and neither the runtime's
            // threads nor its end should wait for one.
            std::thread::Builder::new()
                .name("name look-up".to_owned())
                .spawn(move || {
                    let found = (name.as_str(), 0)
                        .to_socket_addrs()
                        .map(|all| all.map(|address| address.ip()).collect());
                    drop(permit);
                    // Whoever asked may have given up.
                    let _ = answer.send(found);
                })?;
            answered.await.map_err(io::Error::other)?
        })
    }
}

/// How long a caller waits for the look-up of the name in a URL.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many look-ups callers may cause at once in a process: few enough to leave most of them to
/// deliveries.
const MOST_VETTED: usize = 32;

/// Judges the receiver in a request by the addresses of its name. Cheap to clone; clones share
/// their bound.
#[derive(Debug, Clone)]
pub struct Vetting {
    policy: UrlPolicy,
    names: Arc<dyn Names>,
    free: Arc<Semaphore>,
}

impl Vetting {
    /// Judges by this policy.
    #[must_use]
    pub fn new(policy: UrlPolicy, names: Arc<dyn Names>) -> Self {
        Self {
            policy,
            names,
            free: Arc::new(Semaphore::new(MOST_VETTED)),
        }
    }

    /// Refuses a URL whose name leads to an address that must not be reached. One such address is
    /// enough: a receiver of the public internet has none. A name that is not known (yet), or not
    /// within two seconds, passes, as it does when many are being looked up at this moment: each
    /// delivery looks again, and connects only to what is allowed then.
    ///
    /// # Errors
    /// The policy forbids the URL, or an address of its name.
    pub async fn vet(&self, url: &WebhookUrl) -> Result<(), Invalid> {
        url.check(&self.policy)?;
        let Some(name) = url.name().filter(|name| !self.policy.trusts_name(name)) else {
            return Ok(());
        };
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            return Ok(());
        };
        let looking = self.names.look_up(name.to_owned());
        // A task of its own, so that the permit is held until the look-up has really ended.
        let found = tokio::spawn(async move {
            let found = looking.await;
            drop(permit);
            found
        });
        let Ok(Ok(Ok(found))) = timeout(PATIENCE, found).await else {
            return Ok(());
        };
        if found
            .iter()
            .all(|address| self.policy.permits(name, *address))
        {
            return Ok(());
        }
        Err(Invalid::new(
            "must name a host whose addresses are all public; this one's are not \
             (the operator may allow it with TABLEFERRY_WEBHOOK_ALLOW_HOSTS)",
        ))
    }
}
