//! The HTTP API: request bodies become domain values here, and only here.
//!
//! [`router`] shows every route and layer on one page. Every error is a problem document
//! ([`problem`]). Creating an export does not call AWS, unless a preflight is requested with it;
//! adopting one does.

pub mod api_keys;
mod auth_layer;
mod body;
mod caller;
mod client_address;
mod cors;
pub mod exports;
mod fields;
mod gauges;
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
mod permissions;
mod prefer;
mod problem;
mod problems;
mod query;
mod rate_headers;
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
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::auth::Authenticator;
use crate::aws::Aws;
use crate::clock::Clock;
use crate::domain::export::estimate::Prices;
use crate::domain::lifecycle::backoff::PollBounds;
use crate::domain::origins::Origins;
use crate::domain::public_url::PublicUrl;
use crate::domain::webhook::CallbackPolicy;
use crate::domain::webhook::url::WebhookUrl;
use crate::keyring::Keyring;
use crate::listener::Proxies;
use crate::progress::WorkerProgress;
use crate::signals::Signals;
use crate::store::Store;
use crate::store::accept::AcceptQueue;
use crate::webhooks::Vetting;
use crate::webhooks::vault::Vault;

use permissions::Permissions;
use problem::{FieldError, Problem};

pub use gauges::Gauges;
pub use limits::Admission;
pub use problem::ProblemType;
pub use watch::Watcher;

/// What handlers work with. It is cloned several times per request, so a clone must be cheap.
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
    pub store: Store,
    /// The queue of new exports that wait to be stored.
    pub accepts: AcceptQueue,
    /// For preflights, for adopting exports, and for reading their files.
    pub aws: Arc<Aws>,
    pub clock: Clock,
    pub authenticator: Arc<Authenticator>,
    /// The callbacks that the operator allows.
    pub callbacks: CallbackPolicy,
    /// Encrypts callers' secrets.
    pub vault: Vault,
    /// The keys that sign webhooks.
    pub keyring: Arc<Keyring>,
    /// Checks the addresses of webhook receivers.
    pub vetting: Vetting,
    /// What AWS bills per GB, by region.
    pub prices: Arc<Prices>,
    /// Per account and region.
    pub max_in_flight: u32,
    /// Bounds of the delay between two polls of an export.
    pub poll_bounds: PollBounds,
    pub admission: Admission,
    /// The proxies in front of the service that are trusted.
    pub proxies: Arc<Proxies>,
    /// The URL at which callers reach the service.
    pub public_url: PublicUrl,
    /// Origins of web pages that may call from a browser.
    pub cors_origins: Option<Origins>,
    /// The gauges that are read for each scrape.
    pub gauges: Arc<Gauges>,
    /// True after preparing the database failed, until it succeeds; no worker runs meanwhile.
    pub is_unprepared: AtomicBool,
    /// When the workers of this process last claimed work.
    pub progress: WorkerProgress,
    /// Wakes requests that wait for a change of an export.
    pub watcher: Watcher,
    pub signals: Signals,
}

impl ApiState {
    /// Rejects a receiver whose host resolves to an address that is not allowed; `pointer` is the
    /// place of the URL in the body.
    async fn vet(&self, pointer: &str, url: &WebhookUrl) -> Result<(), Problem> {
        let vetted = self.vetting.vet(url).await;
        vetted.map_err(|e| Problem::invalid_fields(vec![FieldError::new(pointer, &e)]))
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
        .routes(routes!(exports::events::list::list_export_events))
        .routes(routes!(exports::events::stream::stream_export_events))
        .routes(routes!(
            webhooks::deliveries::of_export::list_export_deliveries
        ))
        .routes(routes!(
            webhooks::create::create_endpoint,
            webhooks::list::list_endpoints
        ))
        .routes(routes!(
            webhooks::get::get_endpoint,
            webhooks::update::update_endpoint,
            webhooks::delete::delete_endpoint
        ))
        .routes(routes!(webhooks::ping::ping_endpoint))
        .routes(routes!(webhooks::secret::rotate_endpoint_secret))
        .routes(routes!(webhooks::jobs::recover::recover_deliveries))
        .routes(routes!(
            webhooks::jobs::replay_missing::replay_missing_events
        ))
        .routes(routes!(webhooks::jobs::get::get_webhook_job))
        .routes(routes!(
            webhooks::deliveries::of_endpoint::list_endpoint_deliveries
        ))
        .routes(routes!(webhooks::deliveries::get::get_delivery))
        .routes(routes!(webhooks::deliveries::resend::resend_delivery))
        .routes(routes!(webhooks::public_keys::list_webhook_public_keys))
        .routes(routes!(exports::manifest::get_export_manifest))
        .routes(routes!(exports::files::list_export_files))
        .routes(routes!(exports::items::list_export_items))
        .routes(routes!(exports::verify::verify_export))
        .routes(routes!(
            api_keys::create::create_api_key,
            api_keys::list::list_api_keys
        ))
        .routes(routes!(api_keys::get::get_api_key))
        .routes(routes!(api_keys::revoke::revoke_api_key))
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
    let context = LayerContext::new(&state, Permissions::default());
    with_layers(router.with_state(state), context)
}

/// The whole API: routes, Swagger UI at `/docs`, the document, and every layer.
pub fn router(state: ApiState) -> Router {
    let (router, document) = routes().split_for_parts();
    let permissions = Permissions::from(&document);
    let server_url = if state.public_url.is_set() {
        state.public_url.as_str()
    } else {
        openapi::SAME_SERVER
    };
    let documents = openapi::Documents::new(document, server_url);
    let context = LayerContext::new(&state, permissions.clone());
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
        router.layer(from_fn_with_state(
            (state, permissions),
            auth_layer::authenticate,
        )),
        context,
    )
}

/// What the layers around every route need.
struct LayerContext {
    admission: Admission,
    operations: Permissions,
    proxies: Arc<Proxies>,
    public_url: PublicUrl,
    cors_origins: Option<Origins>,
}

impl LayerContext {
    fn new(state: &ApiState, operations: Permissions) -> Self {
        Self {
            admission: state.admission.clone(),
            operations,
            proxies: Arc::clone(&state.proxies),
            public_url: state.public_url.clone(),
            cors_origins: state.cors_origins.clone(),
        }
    }

    /// Limits of requests, and nothing else.
    #[cfg(test)]
    fn for_test(admission: Admission) -> Self {
        Self {
            admission,
            operations: Permissions::default(),
            proxies: Arc::default(),
            public_url: PublicUrl::default(),
            cors_origins: None,
        }
    }
}

/// Every layer, the outermost first. As one, since each `Router::layer` costs every request a box.
/// None is an `async fn` that has the request: such a future reserves memory for two or more
/// copies of the request until it is answered, which may take long.
fn with_layers(router: Router, context: LayerContext) -> Router {
    let LayerContext {
        admission,
        operations,
        proxies,
        public_url,
        cors_origins,
    } = context;
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
        .layer(from_fn_with_state((admission, operations), limits::admit))
        .layer(DefaultBodyLimit::disable()); // bodies are read, and bounded, by limits::read_body alone
    router.layer(layers)
}
