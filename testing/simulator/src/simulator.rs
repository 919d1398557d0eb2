//! A running simulator: two listeners and two background tasks that share one world.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use hyper::service::service_fn;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::control::{self, Control};
use crate::dynamodb;
use crate::s3::{S3Front, S3Service};
use crate::seed::{self, SeedError};
use crate::serve::{CutConnection, serve};
use crate::settings::Settings;
use crate::world::{KeepError, World};

/// The maximum delay before a change is saved.
const KEEP_AFTER: Duration = Duration::from_millis(300);
/// The largest DynamoDB request: a batch of 16 MB plus overhead.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// A running simulator. Dropping it stops it; [`Simulator::shutdown`] also waits and saves its
/// state.
pub struct Simulator {
    world: Arc<World>,
    data_dir: PathBuf,
    dynamodb: SocketAddr,
    s3: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener could not bind to an address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    /// The data folder or the state file could not be used.
    #[error("cannot open the data folder or the state file: {0}")]
    Open(String),
    /// The seed is invalid.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl From<KeepError> for StartError {
    fn from(trouble: KeepError) -> Self {
        Self::Open(trouble.to_string())
    }
}

impl Simulator {
    /// Starts a simulator. When this returns, both listeners accept requests.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let world = Arc::new(World::new(&settings)?);
        if let Some(seed) = &settings.seed {
            seed::apply(&world, seed)?;
        }
        let (dynamodb_listener, dynamodb) = listen(settings.listen).await?;
        let (s3_listener, s3) = listen(settings.s3_listen).await?;
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(serve_dynamodb(
                Arc::clone(&world),
                dynamodb_listener,
                stop.clone(),
            )),
            tokio::spawn(serve_s3(Arc::clone(&world), s3_listener, stop.clone())),
            tokio::spawn(finish_when_due(Arc::clone(&world), stop.clone())),
            tokio::spawn(keep_changes(Arc::clone(&world), stop.clone())),
        ];
        tracing::info!(%dynamodb, %s3, data_dir = %settings.data_dir.display(), "simulator started");
        Ok(Self {
            world,
            data_dir: settings.data_dir,
            dynamodb,
            s3,
            stop,
            tasks,
        })
    }

    /// The URL of DynamoDB and the control interface.
    #[must_use]
    pub fn dynamodb_url(&self) -> String {
        format!("http://{}", self.dynamodb)
    }

    /// The URL of S3, for path-style addressing.
    #[must_use]
    pub fn s3_url(&self) -> String {
        format!("http://{}", self.s3)
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.world))
    }

    /// Stops listening, waits for calls in progress, and saves the state.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
        save(&self.world);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn serve_dynamodb(world: Arc<World>, listener: TcpListener, stop: CancellationToken) {
    let router: Router = Router::new()
        .route("/", post(dynamodb::answer).get(dynamodb::healthy))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .merge(control::routes())
        .with_state(world);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        async move {
            let Ok(response) = answer.await;
            if response.extensions().get::<CutConnection>().is_some() {
                return Err(io::Error::other("the answer is dropped"));
            }
            Ok(response)
        }
    });
    serve(listener, service, stop).await;
}

async fn serve_s3(world: Arc<World>, listener: TcpListener, stop: CancellationToken) {
    let service = S3ServiceBuilder::new(S3Service::new(Arc::clone(&world))).build();
    let front = S3Front::new(service, world);
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { front.answer(request).await }
    });
    serve(listener, service, stop).await;
}

/// Ends exports when they become due. While the clock is frozen, it waits for a change of the
/// clock.
async fn finish_when_due(world: Arc<World>, stop: CancellationToken) {
    loop {
        let next_due = world.state().next_due();
        let wait = next_due.and_then(|due| world.clock.until(due));
        let due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = world.due_changed.notified() => {}
            () = due => world.finish_due().await,
        }
    }
}

async fn keep_changes(world: Arc<World>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = world.state_changed.notified() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(KEEP_AFTER) => {}
        }
        let saving = Arc::clone(&world);
        let _ = tokio::task::spawn_blocking(move || save(&saving)).await;
    }
}

fn save(world: &World) {
    if let Err(trouble) = world.save() {
        tracing::error!(error = %trouble, "the state could not be saved");
    }
}
