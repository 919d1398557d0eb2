//! The two servers of Postgres, a primary and its synchronous standby, and how they change places.
//!
//! The replicas and the harness reach the primary through proxies, which lead to one address at a
//! time: that of a fail-over moves, as one does that DNS or a load balancer names.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use private_postgres::{DATABASE, Error, Options, PgBouncer, PgBouncerOptions, PrivatePostgres};

use crate::proxy::Proxy;
use crate::trouble::{FailOver, LinkTrouble};
use crate::{Failed, database};

/// How long an old primary that wakes up may do harm before it is ended.
const AWAKE: Duration = Duration::from_secs(2);

/// How many connections the pooler opens: in session mode, all that the replicas open (12 each),
/// and some that are being closed.
const POOL_SIZE: u32 = 60;

/// Both servers, and the harness's own way to the one that is the primary. Cheap to clone.
#[derive(Clone)]
pub struct Servers {
    pair: Arc<Mutex<Pair>>,
    /// Never troubled; cut when the address moves, so that the harness follows at once.
    own_link: Arc<Proxy>,
    pooler: Option<Pooler>,
}

/// What stands between the replicas' proxies and the primary, if anything does.
#[derive(Clone)]
struct Pooler {
    process: Arc<Mutex<PgBouncer>>,
    address: SocketAddr,
    /// From it to the primary.
    link: Arc<Proxy>,
}

struct Pair {
    /// What was promoted last.
    primary: PrivatePostgres,
    /// The other one.
    other: PrivatePostgres,
    /// Whether the other one is a synchronous standby.
    is_paired: bool,
    /// Whether the other one is an old primary that stands still.
    is_asleep: bool,
}

impl Pair {
    /// The other one becomes the standby of the primary, if it is not.
    fn rebuild(&mut self) -> Result<(), Error> {
        if !self.is_paired {
            self.other.follow(&self.primary)?;
            self.primary.be_synchronous()?;
            self.is_paired = true;
        }
        Ok(())
    }

    /// An old primary that stands still goes on; whether there was one.
    fn wake_up(&mut self) -> Result<bool, Error> {
        let was_asleep = std::mem::take(&mut self.is_asleep);
        if was_asleep {
            self.other.resume()?;
        }
        Ok(was_asleep)
    }

    /// The standby becomes the primary. What runs as the other one afterwards is the old primary.
    fn promote(&mut self) -> Result<(), Error> {
        self.other.promote()?;
        std::mem::swap(&mut self.primary, &mut self.other);
        self.is_paired = false;
        Ok(())
    }
}

impl Servers {
    /// Starts both, and a PgBouncer if it is wanted: this one ignores these parameters of its
    /// clients.
    ///
    /// # Errors
    /// One does not start.
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

    /// The URL of the database by way of a proxy.
    ///
    /// # Errors
    /// There are none.
    pub async fn url_through(&self, proxy: SocketAddr) -> Result<String, Failed> {
        let url = self.url().await?;
        let address = database::address_in(&url)?.to_string();
        Ok(url.replace(&address, &proxy.to_string()))
    }

    /// The URL by which the harness reaches whatever is the primary.
    ///
    /// # Errors
    /// There are none.
    pub async fn own_url(&self) -> Result<String, Failed> {
        self.url_through(self.own_link.address()).await
    }

    /// Where the replicas' proxies lead at first: to the pooler if there is one, else to the
    /// primary.
    ///
    /// # Errors
    /// There are none.
    pub async fn front(&self) -> Result<SocketAddr, Failed> {
        match &self.pooler {
            Some(pooler) => Ok(pooler.address),
            None => self.address().await,
        }
    }

    /// SIGTERM to the pooler, and a start after a while. Does nothing if there is none.
    ///
    /// # Errors
    /// It does not end, or does not start.
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

    /// Ends the primary as a crash would.
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn crash(&self) -> Result<(), Failed> {
        self.with(|pair| pair.primary.crash()).await
    }

    /// Starts the primary again, if it does not run.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&self) -> Result<(), Failed> {
        self.with(|pair| pair.primary.start_again()).await
    }

    /// The standby stands still for a while.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn keep_standby_away(&self, lasting: Duration) -> Result<(), Failed> {
        self.with(|pair| pair.other.pause()).await?;
        tokio::time::sleep(lasting).await;
        self.with(|pair| pair.other.resume()).await
    }

    /// The standby takes the primary's place, and in the end these proxies lead to it.
    ///
    /// # Errors
    /// A server does not do what it should.
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

    /// After a round: an old primary that stands still wakes up as a primary, and then becomes the
    /// standby.
    ///
    /// # Errors
    /// A server does not do what it should.
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
