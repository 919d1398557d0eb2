//! The bodies that create and change a webhook endpoint.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::ToSchema as _;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};

use crate::api::exports::request::read_labels;
use crate::api::fields::{self, Field, body};
use crate::api::own_headers::read_headers;
use crate::api::problem::Problem;
use crate::api_types::endpoint::EndpointEventType;
use crate::domain::caller::CallerName;
use crate::domain::export::labels::Labels;
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::CallbackPolicy;
use crate::domain::webhook::endpoint::{
    DisabledReason, Endpoint, EndpointId, EndpointSpec, SealedHeaders,
};
use crate::domain::webhook::event_type::WebhookEventType;
use crate::domain::webhook::url::WebhookUrl;
use crate::webhooks::vault::Vault;

body! {
    /// A new endpoint. This service generates its secret.
    pub struct CreateEndpoint, read as CreateEndpointFields {
        /// The URL that webhooks are sent to. Must be https unless the operator allows http.
        #[schema(
            format = "iri",
            max_length = 2048,
            pattern = "^https?://[^\\s\\x00-\\x1f\\x7f-\\x9f]+$",
            example = "https://hooks.example.com/tableferry"
        )]
        pub url: String,
        /// A description of your choice.
        #[schema(
            max_length = 255,
            pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
            example = "tells the warehouse team"
        )]
        pub description: Option<String>,
        /// The types of events that the endpoint receives. Default, or if empty: every type.
        #[schema(schema_with = event_types_schema)]
        pub event_types: Option<Vec<EndpointEventType>>,
        /// The endpoint receives only events of exports that have all of these labels. Default, or
        /// if empty: events of every export.
        #[schema(example = json!({"team": "orders"}))]
        pub labels: Option<BTreeMap<String, String>>,
        /// Up to 16 extra headers that are sent with every request to the endpoint. Their values
        /// are stored encrypted and never returned.
        #[schema(example = json!({"X-Api-Key": "a-key-of-the-receiver"}))]
        pub headers: Option<BTreeMap<String, String>>,
        /// Create the endpoint disabled: nothing is sent to it. Default: false.
        pub disabled: Option<bool>,
    }
}

body! {
    /// Changes to an endpoint. Fields that are left out keep their value; null resets a field.
    pub struct UpdateEndpoint, read as UpdateEndpointFields {
        /// The new URL.
        #[schema(
            nullable = false,
            format = "iri",
            max_length = 2048,
            pattern = "^https?://[^\\s\\x00-\\x1f\\x7f-\\x9f]+$",
            example = "https://hooks.example.com/tableferry"
        )]
        pub url: Option<String>,
        /// A description of your choice.
        #[schema(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
        pub description: Option<String>,
        /// The types of events that the endpoint receives. If empty or null: every type.
        #[schema(schema_with = event_types_schema)]
        pub event_types: Option<Vec<EndpointEventType>>,
        /// The endpoint receives only events of exports that have all of these labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// Extra headers; they replace all previous ones.
        pub headers: Option<BTreeMap<String, String>>,
        /// `true` disables the endpoint; `false` enables it, whatever the reason it was disabled.
        pub disabled: Option<bool>,
    }
}

fn event_types_schema() -> Schema {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(Ref::from_schema_name(EndpointEventType::name()))
        .unique_items(true)
        .description(Some(
            "The types of events that the endpoint receives. If empty: every type.",
        ))
        .examples([serde_json::json!(["export.completed", "export.failed"])])
        .into()
}

/// The body of a create.
#[derive(Debug)]
pub struct NewEndpoint {
    pub spec: EndpointSpec,
    pub disabled: bool,
}

impl NewEndpoint {
    #[must_use]
    pub fn into_endpoint(
        self,
        id: EndpointId,
        created_by: Option<CallerName>,
        now: Timestamp,
    ) -> Endpoint {
        Endpoint {
            id,
            created_at: now,
            created_by,
            updated_at: now,
            spec: self.spec,
            disabled: self.disabled.then_some((now, DisabledReason::ByCaller)),
            failing_since: None,
        }
    }
}

/// The body of a change; `None` is a field that it does not name.
#[derive(Debug, Default)]
pub struct EndpointPatch {
    pub(super) url: Option<WebhookUrl>,
    description: Option<Option<String>>,
    event_types: Option<Vec<WebhookEventType>>,
    labels: Option<Labels>,
    headers: Option<Option<SealedHeaders>>,
    disabled: Option<bool>,
}

impl EndpointPatch {
    pub(super) fn apply(self, endpoint: &mut Endpoint, now: Timestamp) {
        fn set<T>(field: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *field = new;
            }
        }
        let spec = &mut endpoint.spec;
        set(&mut spec.url, self.url);
        set(&mut spec.description, self.description);
        set(&mut spec.event_types, self.event_types);
        set(&mut spec.labels, self.labels);
        set(&mut spec.headers, self.headers);
        match self.disabled {
            Some(true) if endpoint.disabled.is_none() => {
                endpoint.disabled = Some((now, DisabledReason::ByCaller));
            }
            Some(false) => endpoint.disabled = None,
            _ => {}
        }
        endpoint.updated_at = now;
    }
}

/// Reads the body of a create, and reports every field that is invalid.
pub fn read_new(
    body: &Map<String, Value>,
    policy: &CallbackPolicy,
    vault: &Vault,
) -> Result<NewEndpoint, Problem> {
    fields::read::<CreateEndpoint, _>(body, |body| {
        let url = body.url.text(|text| WebhookUrl::parse(text, &policy.urls));
        let description = body.description.text(description);
        let event_types = read_event_types(&body.event_types);
        let labels = read_labels(&body.labels);
        let headers = read_headers(&body.headers, vault);
        let disabled = body.disabled.boolean();
        Some(NewEndpoint {
            spec: EndpointSpec {
                url: url?,
                description,
                event_types,
                labels,
                headers,
            },
            disabled: disabled.unwrap_or(false),
        })
    })
}

/// Reads the body of a change, and reports every field that is invalid.
pub fn read_patch(
    body: &Map<String, Value>,
    policy: &CallbackPolicy,
    vault: &Vault,
) -> Result<EndpointPatch, Problem> {
    fields::read::<UpdateEndpoint, _>(body, |body| {
        let parse_url = |text: &str| WebhookUrl::parse(text, &policy.urls);
        let url = if body.url.is_present() {
            body.url.required_text(parse_url)
        } else {
            None
        };
        let description = body.description.text(description);
        let event_types = read_event_types(&body.event_types);
        let labels = read_labels(&body.labels);
        let headers = read_headers(&body.headers, vault);
        Some(EndpointPatch {
            url,
            description: body.description.is_present().then_some(description),
            event_types: body.event_types.is_present().then_some(event_types),
            labels: body.labels.is_present().then_some(labels),
            headers: body.headers.is_present().then_some(headers),
            disabled: body.disabled.boolean(),
        })
    })
}

fn description(text: &str) -> Result<String, Invalid> {
    if text.chars().count() <= 255 && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(
            "must have at most 255 characters, without control characters",
        ))
    }
}

fn read_event_types(field: &Field<'_, Option<Vec<EndpointEventType>>>) -> Vec<WebhookEventType> {
    let mut seen = Vec::new();
    field.texts(usize::MAX, |text| {
        let kind = WebhookEventType::parse_choice(text)?;
        if seen.contains(&kind) {
            return Err(Invalid::new("is named twice"));
        }
        seen.push(kind);
        Ok(kind)
    })
}
