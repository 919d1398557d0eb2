//! Bodies that describe an endpoint: a whole one to create it, any part of one to change it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};

use crate::api::ApiState;
use crate::api::exports::request::read_labels;
use crate::api::fields::{Errors, Fields};
use crate::api::own_headers::read_headers;
use crate::api::problem::{Problem, ProblemType};
use crate::domain::caller::CallerName;
use crate::domain::invalid::Invalid;
use crate::domain::labels::Labels;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::CallbackPolicy;
use crate::domain::webhook::endpoint::{
    DisabledReason, Endpoint, EndpointId, EndpointWish, SealedHeaders,
};
use crate::domain::webhook::event_type::{EndpointEventType, WebhookEventType};
use crate::domain::webhook::url::WebhookUrl;
use crate::webhooks::vault::Vault;

/// A new endpoint. Its secret is made by this service.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// Where it is: https, unless the operator allows more.
    #[schema(
        format = "iri",
        max_length = 2048,
        pattern = "^https?://[^\\s\\x00-\\x1f\\x7f-\\x9f]+$",
        example = "https://hooks.example.com/tableferry"
    )]
    pub url: String,
    /// What it is for.
    #[schema(
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        example = "tells the warehouse team"
    )]
    pub description: Option<String>,
    /// The types of events it hears of; left out or empty, every type.
    #[schema(schema_with = event_types_schema)]
    pub event_types: Option<Vec<EndpointEventType>>,
    /// It hears only of exports that bear all of these labels; left out or empty, of every export.
    #[schema(example = json!({"team": "orders"}))]
    pub labels: Option<BTreeMap<String, String>>,
    /// Headers of its own, at most 16, sent with every request. Their values are kept sealed and
    /// never returned.
    #[schema(example = json!({"X-Api-Key": "a-key-of-the-receiver"}))]
    pub headers: Option<BTreeMap<String, String>>,
    /// Send nothing to it for now; left out, it is false.
    pub disabled: Option<bool>,
}

/// Changes of an endpoint. What is left out stays; null takes back what was set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateEndpoint {
    /// Where it is now.
    #[schema(
        nullable = false,
        format = "iri",
        max_length = 2048,
        pattern = "^https?://[^\\s\\x00-\\x1f\\x7f-\\x9f]+$",
        example = "https://hooks.example.com/tableferry"
    )]
    pub url: Option<String>,
    /// What it is for.
    #[schema(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub description: Option<String>,
    /// The types of events it hears of; empty or null is every type.
    #[schema(schema_with = event_types_schema)]
    pub event_types: Option<Vec<EndpointEventType>>,
    /// It hears only of exports that bear all of these labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Headers of its own; they replace those it had.
    pub headers: Option<BTreeMap<String, String>>,
    /// `true` disables it, `false` enables it again, whatever disabled it.
    pub disabled: Option<bool>,
}

/// The types that an endpoint can choose among, each once.
fn event_types_schema() -> Schema {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(Ref::from_schema_name(EndpointEventType::name()))
        .unique_items(true)
        .description(Some(
            "The types of events it hears of; empty is every type.",
        ))
        .examples([serde_json::json!(["export.completed", "export.failed"])])
        .into()
}

/// What a body says; `None` is what it does not speak of.
#[derive(Debug, Default)]
pub struct Said {
    pub(super) url: Option<WebhookUrl>,
    description: Option<Option<String>>,
    event_types: Option<Vec<WebhookEventType>>,
    labels: Option<Labels>,
    headers: Option<Option<SealedHeaders>>,
    disabled: Option<bool>,
}

impl Said {
    /// The new endpoint, if the body names its URL, as [`read`] has made sure of for a new one.
    #[must_use]
    pub fn create(
        self,
        id: EndpointId,
        created_by: Option<CallerName>,
        now: Timestamp,
    ) -> Option<Endpoint> {
        let wish = EndpointWish {
            url: self.url?,
            description: self.description.flatten(),
            event_types: self.event_types.unwrap_or_default(),
            labels: self.labels.unwrap_or_default(),
            headers: self.headers.flatten(),
        };
        let disabled = self
            .disabled
            .unwrap_or(false)
            .then_some((now, DisabledReason::ByCaller));
        Some(Endpoint {
            id,
            created_at: now,
            created_by,
            updated_at: now,
            wish,
            disabled,
            failing_since: None,
        })
    }

    /// Changes an endpoint.
    pub(super) fn change(self, endpoint: &mut Endpoint, now: Timestamp) {
        let wish = &mut endpoint.wish;
        wish.url = self.url.unwrap_or_else(|| wish.url.clone());
        wish.description = self.description.unwrap_or_else(|| wish.description.clone());
        wish.event_types = self.event_types.unwrap_or_else(|| wish.event_types.clone());
        wish.labels = self.labels.unwrap_or_else(|| wish.labels.clone());
        wish.headers = self.headers.unwrap_or_else(|| wish.headers.clone());
        match self.disabled {
            Some(true) if endpoint.disabled.is_none() => {
                endpoint.disabled = Some((now, DisabledReason::ByCaller))
            }
            Some(false) => endpoint.disabled = None,
            _ => {}
        }
        endpoint.updated_at = now;
    }
}

/// Reads a body; a new endpoint must say where it is. Its name is looked up, if no other rule is
/// broken.
///
/// # Errors
/// A problem that names every field that breaks a rule.
pub(super) async fn read(
    state: &ApiState,
    body: &Map<String, Value>,
    is_new: bool,
) -> Result<Said, Problem> {
    let said = read_fields(body, &state.callbacks, &state.vault, is_new)?;
    if let Some(url) = &said.url {
        state.vet("/url", url).await?;
    }
    Ok(said)
}

/// Reads a body by every rule that can be checked without looking up a name.
///
/// # Errors
/// A problem that names every field that breaks a rule.
pub fn read_fields(
    body: &Map<String, Value>,
    policy: &CallbackPolicy,
    vault: &Vault,
    is_new: bool,
) -> Result<Said, Problem> {
    let mut errors = Errors::new();
    let mut fields = Fields::of(body, "");
    let parse_url = |text: &str| WebhookUrl::parse(text, &policy.urls);
    let url = if is_new || body.contains_key("url") {
        fields.required_text("url", &mut errors, parse_url)
    } else {
        None
    };
    fields.value("url");
    let description = fields.text("description", &mut errors, |text| {
        let fits = text.chars().count() <= 255 && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned()).ok_or_else(|| {
            Invalid::new("must have at most 255 characters, without control characters")
        })
    });
    let event_types = read_event_types(&mut fields, &mut errors);
    let labels = read_labels(&mut fields, &mut errors);
    let headers = read_headers("headers", vault, &mut fields, &mut errors);
    let disabled = fields.boolean("disabled", &mut errors);
    fields.finish(&mut errors);
    if !errors.is_empty() {
        return Err(Problem::with_errors(ProblemType::ValidationFailed, errors));
    }
    let said = |name: &str| body.contains_key(name);
    Ok(Said {
        url,
        description: said("description").then_some(description),
        event_types: said("event_types").then_some(event_types),
        labels: said("labels").then_some(labels),
        headers: said("headers").then_some(headers),
        disabled,
    })
}

fn read_event_types(fields: &mut Fields<'_>, errors: &mut Errors) -> Vec<WebhookEventType> {
    let mut seen = Vec::new();
    fields.texts("event_types", usize::MAX, errors, |text| {
        let kind = WebhookEventType::parse_choice(text)?;
        if seen.contains(&kind) {
            return Err(Invalid::new("is named twice"));
        }
        seen.push(kind);
        Ok(kind)
    })
}
