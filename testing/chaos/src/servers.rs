//! The two Postgres servers, a primary and its synchronous standby, and how they change roles.
//!
//! The replicas and the harness reach the primary through proxies, which forward to one address at
//! a time. At a fail-over the address moves, as with DNS or a load balancer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use private_postgres::{DATABASE, Error, Options, PgBouncer, PgBouncerOptions, PrivatePostgres};

use crate::proxy::Proxy;
use crate::trouble::{FailOver, LinkTrouble};
use crate::{Failed, database};

/// How long an old primary that resumes may do harm before it is stopped.
const AWAKE: Duration = Duration::from_secs(2);

/// How many connections the pooler opens: in session mode, all that the replicas open (12 each),
/// plus some that are being closed.
const POOL_SIZE: u32 = 60;

/// Both servers, and the harness's own route to the primary. Cheap to clone.
#[derive(Clone)]
pub struct Servers {
    pair: Arc<Mutex<Pair>>,
    /// Never disturbed; reset when the address moves, so that the harness follows immediately.
    own_link: Arc<Proxy>,
    pooler: Option<Pooler>,
}

/// The pooler between the replicas' proxies and the primary, if there is one.
#[derive(Clone)]
struct Pooler {
    process: Arc<Mutex<PgBouncer>>,
    address: SocketAddr,
    /// From the pooler to the primary.
    link: Arc<Proxy>,
}

struct Pair {
    /// The server that was promoted last.
    primary: PrivatePostgres,
    /// The other server.
    other: PrivatePostgres,
    /// Whether the other server is a synchronous standby.
    is_paired: bool,
    /// Whether the other server is a stopped old primary.
    is_asleep: bool,
}

impl Pair {
    /// Makes the other server a standby of the primary, if it is not one.
    fn rebuild(&mut self) -> Result<(), Error> {
        if !self.is_paired {
            self.other.follow(&self.primary)?;
            self.primary.be_synchronous()?;
            self.is_paired = true;
        }
        Ok(())
    }

    /// Continues a stopped old primary. Returns whether there was one.
    fn wake_up(&mut self) -> Result<bool, Error> {
        let was_asleep = std::mem::take(&mut self.is_asleep);
        if was_asleep {
            self.other.resume()?;
        }
        Ok(was_asleep)
    }

    /// Promotes the standby. What runs as the other server afterwards is the old primary.
    fn promote(&mut self) -> Result<(), Error> {
        self.other.promote()?;
        std::mem::swap(&mut self.primary, &mut self.other);
        self.is_paired = false;
        Ok(())
    }
}

impl Servers {
    /// Starts both servers, and a PgBouncer if requested; it ignores these startup parameters.
    pub async fn start(pooler_ignoring: Option<String>) -> Result<Self, Failed> {
        let options = Options {
            durable: true,
            ..Options::default()
        };
        let start = || {
            let primary = PrivatePostgres::start(options)?;
            let other = PrivatePostgres::start_standby(&primary)?;
            primary.be_synchronous()?;
            Ok::<_, Error>(Pair {
                primary,
                other,
                is_paired: true,
                is_asleep: false,
            })
        };
        let pair = tokio::task::spawn_blocking(start).await??;
        let primary = database::address_in(&pair.primary.url(DATABASE))?;
        let own_link = Arc::new(Proxy::start(primary).await?);
        let mut servers = Self {
            pair: Arc::new(Mutex::new(pair)),
            own_link,
            pooler: None,
        };
        if let Some(ignored_parameters) = pooler_ignoring {
            let link = Arc::new(Proxy::start(primary).await?);
            let options = PgBouncerOptions {
                to: link.address(),
                pool_size: POOL_SIZE,
                ignored_parameters,
            };
            let process = servers
                .with(move |pair| PgBouncer::start(&pair.primary, &options))
                .await?;
            servers.pooler = Some(Pooler {
                address: process.address(),
                process: Arc::new(Mutex::new(process)),
                link,
            });
        }
        Ok(servers)
    }

    /// The database's URL through a proxy.
    pub async fn url_through(&self, proxy: SocketAddr) -> Result<String, Failed> {
        let url = self.url().await?;
        let address = database::address_in(&url)?.to_string();
        Ok(url.replace(&address, &proxy.to_string()))
    }

    /// The URL by which the harness reaches the current primary.
    pub async fn own_url(&self) -> Result<String, Failed> {
        self.url_through(self.own_link.address()).await
    }

    /// Where the replicas' proxies forward to at first: the pooler if there is one, otherwise the
    /// primary.
    pub async fn front(&self) -> Result<SocketAddr, Failed> {
        match &self.pooler {
            Some(pooler) => Ok(pooler.address),
            None => self.address().await,
        }
    }

    /// SIGTERM to the pooler, and a start after a while. Does nothing if there is none.
    pub async fn restart_pooler(&self, back_after: Duration) -> Result<(), Failed> {
        let Some(pooler) = &self.pooler else {
            return Ok(());
        };
        let with_process = |act: fn(&mut PgBouncer) -> Result<(), Error>| {
            let process = Arc::clone(&pooler.process);
            tokio::task::spawn_blocking(move || {
                act(&mut process.lock().unwrap_or_else(PoisonError::into_inner))
            })
        };
        with_process(PgBouncer::stop).await??;
        tokio::time::sleep(back_after).await;
        Ok(with_process(PgBouncer::start_again).await??)
    }

    async fn address(&self) -> Result<SocketAddr, Failed> {
        database::address_in(&self.url().await?)
    }

    async fn url(&self) -> Result<String, Failed> {
        self.with(|pair| Ok(pair.primary.url(DATABASE))).await
    }

    /// Stops the primary as a crash would.
    pub async fn crash(&self) -> Result<(), Failed> {
        self.with(|pair| pair.primary.crash()).await
    }

    /// Starts the primary again, if it is not running.
    pub async fn start_again(&self) -> Result<(), Failed> {
        self.with(|pair| pair.primary.start_again()).await
    }

    /// Stops the standby with SIGSTOP for a while.
    pub async fn keep_standby_away(&self, lasting: Duration) -> Result<(), Failed> {
        self.with(|pair| pair.other.pause()).await?;
        tokio::time::sleep(lasting).await;
        self.with(|pair| pair.other.resume()).await
    }

    /// Promotes the standby; at the end these proxies forward to it.
    pub async fn fail_over(
        &self,
        way: FailOver,
        address_after: Duration,
        links: &[Proxy],
    ) -> Result<(), Failed> {
        self.with(move |pair| {
            match way {
                FailOver::Paused => pair.primary.pause()?,
                FailOver::Killed | FailOver::OldAsStandby { .. } => pair.primary.kill()?,
            }
            pair.promote()?;
            pair.is_asleep = way == FailOver::Paused;
            Ok(())
        })
        .await?;
        let address = self.address().await?;
        self.own_link.lead_to(address);
        self.own_link.make(LinkTrouble::Cut);
        if let FailOver::OldAsStandby { lasting } = way {
            self.with(Pair::rebuild).await?;
            tokio::time::sleep(lasting).await;
        }
        tokio::time::sleep(address_after).await;
        match &self.pooler {
            Some(pooler) => pooler.link.lead_to(address),
            None => links.iter().for_each(|link| link.lead_to(address)),
        }
        Ok(())
    }

    /// After a round: a stopped old primary resumes as a primary, and then becomes the standby.
    pub async fn pair_again(&self) -> Result<(), Failed> {
        if self.with(|pair| pair.wake_up()).await? {
            tokio::time::sleep(AWAKE).await;
        }
        self.with(Pair::rebuild).await
    }

    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Pair) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failed> {
        let pair = Arc::clone(&self.pair);
        let acted = tokio::task::spawn_blocking(move || {
            act(&mut pair.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(acted.await??)
    }
}
