//! HTTP in: wire JSON becomes domain values here and nowhere else, and domain values become wire
//! JSON again.
//!
//! [`router`] shows every route and layer on one page. Every error is a problem document
//! ([`problem`]). Nothing here calls AWS to accept an export; a preflight and an adoption do, to
//! tell the truth at once.

pub mod api_keys;
mod body;
mod client_address;
mod cors;
pub mod exports;
mod fields;
mod gauges;
mod guard;
mod health;
mod home;
mod limits;
mod links;
mod observe;
pub mod openapi;
mod own_headers;
pub mod page_token;
mod paging;
mod path;
mod prefer;
mod problem;
mod problem_docs;
mod problems;
mod query;
mod shown_once;
mod trace;
mod watch;
pub mod webhooks;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::auth::Gate;
use crate::aws::Aws;
use crate::clock::Chance;
use crate::domain::backoff::PollBounds;
use crate::domain::estimate::Prices;
use crate::domain::origins::Origins;
use crate::domain::public_url::PublicUrl;
use crate::domain::webhook::CallbackPolicy;
use crate::domain::webhook::url::WebhookUrl;
use crate::keyring::Keyring;
use crate::listener::Proxies;
use crate::progress::WorkerProgress;
use crate::store::Store;
use crate::store::accept_queue::AcceptQueue;
use crate::webhooks::Vetting;
use crate::webhooks::vault::Vault;

use guard::Permissions;
use problem::{FieldError, Problem};

pub use gauges::Gauges;
pub use limits::Admission;
pub use problem::ProblemType;
pub use watch::Watcher;

/// What handlers work with, shared by all: cloned several times a request, so a clone must cost
/// nothing.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<Parts>);

impl From<Parts> for ApiState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts that handlers work with.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Where new exports wait to be stored.
    pub accepts: AcceptQueue,
    /// AWS, for preflights, for adopting exports, and for reading their files.
    pub aws: Arc<Aws>,
    /// Time, randomness, identifiers.
    pub chance: Chance,
    /// Lets callers in.
    pub gate: Arc<Gate>,
    /// What the operator allows of callbacks.
    pub callbacks: CallbackPolicy,
    /// Seals what callers entrust.
    pub vault: Vault,
    /// The keys that sign webhooks.
    pub keyring: Arc<Keyring>,
    /// Judges receivers by the addresses of their names.
    pub vetting: Vetting,
    /// What AWS bills for a GB, by region.
    pub prices: Arc<Prices>,
    /// How many exports may be in flight in an account and region.
    pub most_in_flight: u32,
    /// Bounds of the delay between two polls of an export.
    pub poll_bounds: PollBounds,
    /// How many requests may be worked on.
    pub admission: Admission,
    /// What stands before the service.
    pub proxies: Arc<Proxies>,
    /// Where callers reach the service.
    pub public_url: PublicUrl,
    /// Web pages that may call from a browser, if any may.
    pub cors_origins: Option<Origins>,
    /// The gauges that are read when somebody asks for metrics.
    pub gauges: Arc<Gauges>,
    /// The database could not be prepared yet, so no worker runs: false until that has failed once.
    pub is_unprepared: AtomicBool,
    /// When the workers of this process last claimed work.
    pub progress: WorkerProgress,
    /// Wakes those who wait for an export.
    pub watcher: Watcher,
    /// Told when an export is due at once.
    pub exports_due: Arc<Notify>,
    /// Told when an export changed.
    pub exports_changed: Arc<Notify>,
    /// Told when a delivery was written.
    pub deliveries_due: Arc<Notify>,
    /// Told when a job was stored.
    pub webhook_jobs_due: Arc<Notify>,
    /// Told when a verification is due at once.
    pub verifications_due: Arc<Notify>,
    /// Cancelled when the process begins to stop.
    pub stopping: CancellationToken,
}

impl ApiState {
    /// Refuses a receiver whose name leads where it must not; `pointer` says where the URL stands
    /// in the body.
    async fn vet(&self, pointer: &str, url: &WebhookUrl) -> Result<(), Problem> {
        let vetted = self.vetting.vet(url).await;
        vetted.map_err(|e| {
            Problem::with_errors(
                ProblemType::ValidationFailed,
                vec![FieldError::new(pointer, &e)],
            )
        })
    }
}

/// Every documented route.
fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(
            exports::create::create_export,
            exports::list::list_exports
        ))
        .routes(routes!(exports::import::import_export))
        .routes(routes!(exports::discover::discover_exports))
        .routes(routes!(exports::preflight::preflight_export))
        .routes(routes!(
            exports::get::get_export,
            exports::delete::delete_export
        ))
        .routes(routes!(exports::cancel::cancel_export))
        .routes(routes!(exports::retry::retry_export))
        .routes(routes!(exports::events::list_export_events))
        .routes(routes!(exports::events::stream_export_events))
        .routes(routes!(webhooks::deliveries::list_export_deliveries))
        .routes(routes!(
            webhooks::create::create_endpoint,
            webhooks::get::list_endpoints
        ))
        .routes(routes!(
            webhooks::get::get_endpoint,
            webhooks::update::update_endpoint,
            webhooks::get::delete_endpoint
        ))
        .routes(routes!(webhooks::ping::ping_endpoint))
        .routes(routes!(webhooks::secret::rotate_endpoint_secret))
        .routes(routes!(webhooks::jobs::recover_deliveries))
        .routes(routes!(webhooks::jobs::replay_missing_events))
        .routes(routes!(webhooks::jobs::get_webhook_job))
        .routes(routes!(webhooks::deliveries::list_endpoint_deliveries))
        .routes(routes!(webhooks::deliveries::get_delivery))
        .routes(routes!(webhooks::deliveries::resend_delivery))
        .routes(routes!(webhooks::public_keys::list_webhook_public_keys))
        .routes(routes!(exports::manifest::get_export_manifest))
        .routes(routes!(exports::files::list_export_files))
        .routes(routes!(exports::items::list_export_items))
        .routes(routes!(exports::verify::verify_export))
        .routes(routes!(
            api_keys::create::create_api_key,
            api_keys::get::list_api_keys
        ))
        .routes(routes!(api_keys::get::get_api_key))
        .routes(routes!(api_keys::get::revoke_api_key))
        .routes(routes!(health::get_liveness))
        .routes(routes!(health::get_readiness))
        .routes(routes!(health::get_metrics))
        .routes(routes!(problems::explain_problem))
}

/// Health and metrics alone, for a process that only works.
pub fn operations_router(state: ApiState) -> Router {
    let (router, _) = OpenApiRouter::new()
        .routes(routes!(health::get_liveness))
        .routes(routes!(health::get_readiness))
        .routes(routes!(health::get_metrics))
        .routes(routes!(problems::explain_problem))
        .split_for_parts();
    let surroundings = Surroundings::from(&state);
    with_layers(router.with_state(state), surroundings)
}

/// The whole API: routes, Swagger UI at `/docs`, the document, and every layer.
pub fn router(state: ApiState) -> Router {
    let (router, document) = routes().split_for_parts();
    let permissions = Permissions::of(&document);
    let server_url = if state.public_url.is_set() {
        state.public_url.as_str()
    } else {
        openapi::SAME_SERVER
    };
    let documents = openapi::Documents::of(document, server_url);
    let surroundings = Surroundings::from(&state);
    // Relative, it is found below a prefix of a proxy too.
    let document_url = if state.public_url.is_set() {
        state.public_url.to(openapi::DOCUMENT)
    } else {
        format!("..{}", openapi::DOCUMENT)
    };
    let swagger_ui = SwaggerUi::new("/docs").config(Config::from(document_url));
    let router = router
        .with_state(state.clone())
        .route("/", get(home::home))
        .merge(swagger_ui)
        .merge(documents.router());
    with_layers(
        router.layer(from_fn_with_state((state, permissions), guard::guard)),
        surroundings,
    )
}

/// What the layers around every route need.
struct Surroundings {
    admission: Admission,
    proxies: Arc<Proxies>,
    public_url: PublicUrl,
    cors_origins: Option<Origins>,
}

impl From<&ApiState> for Surroundings {
    fn from(state: &ApiState) -> Self {
        let (proxies, public_url, cors_origins) = (
            Arc::clone(&state.proxies),
            state.public_url.clone(),
            state.cors_origins.clone(),
        );
        Self {
            admission: state.admission.clone(),
            proxies,
            public_url,
            cors_origins,
        }
    }
}

#[cfg(test)]
impl Surroundings {
    /// Nothing but what bounds requests.
    fn of(admission: Admission) -> Self {
        Self {
            admission,
            proxies: Arc::default(),
            public_url: PublicUrl::default(),
            cors_origins: None,
        }
    }
}

/// Every layer, the outermost first. As one, since each `Router::layer` costs every request a box.
/// None is an `async fn` that has the request: such a future keeps room for the request twice or
/// more until it is answered, which may be long.
fn with_layers(router: Router, surroundings: Surroundings) -> Router {
    let Surroundings {
        admission,
        proxies,
        public_url,
        cors_origins,
    } = surroundings;
    let layers = ServiceBuilder::new()
        .map_request(move |request| client_address::find(&proxies, request))
        .map_request(observe::only_good_request_ids)
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn(observe::observe))
        .option_layer(cors_origins.as_ref().map(cors::layer))
        .map_response(move |response| links::make_absolute(&public_url, response))
        .layer(from_fn(problem::finish))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(admission, limits::admit))
        .layer(DefaultBodyLimit::disable()); // bodies are read, and bounded, by limits::read_body alone
    router.layer(layers)
}
