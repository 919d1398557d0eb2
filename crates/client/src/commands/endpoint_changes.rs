//! `tableferry webhook create`, `update` and `rotate-secret`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::endpoints::show;
use crate::body::{change_in, header, key_value, read_object, set_texts};
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::session::Session;

#[derive(Debug, Args)]
pub struct EndpointArgs {
    /// What the endpoint is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Send only events of this type, for example export.completed; may be repeated. A new endpoint
    /// gets all types by default
    #[arg(long = "event-type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// Send only events of exports with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// An additional header, for example 'X-Team: orders'; may be repeated. For secrets use
    /// --from-file
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Read the endpoint from a JSON file with the API's field names; - is standard input. Options
    /// override the file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CreateEndpoint {
    /// The URL that receives the webhooks
    #[arg(long, value_name = "URL", required_unless_present = "from_file")]
    url: Option<String>,
    #[command(flatten)]
    endpoint: EndpointArgs,
    /// Create it disabled: nothing is sent to it
    #[arg(long)]
    disabled: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("state").args(["enable", "disable"]))]
pub struct UpdateEndpoint {
    /// The endpoint's ID
    id: Uuid,
    /// The new URL
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    endpoint: EndpointArgs,
    /// Enable it again, whatever disabled it
    #[arg(long)]
    enable: bool,
    /// Disable it: nothing is sent to it
    #[arg(long)]
    disable: bool,
    /// Remove the description, event-types, labels or headers; may be repeated
    #[arg(long = "clear", value_name = "WHAT", value_parser = ["description", "event-types", "labels", "headers"])]
    clear: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// The endpoint's ID
    id: Uuid,
    /// How long the old secrets still sign too; 0s stops them at once [default: 24h]
    #[arg(long, value_name = "DURATION")]
    overlap: Option<String>,
}

impl EndpointArgs {
    fn body(&self, url: &Option<String>) -> Result<Map<String, Value>, ClientError> {
        let mut body = self
            .from_file
            .as_deref()
            .map_or_else(|| Ok(Map::new()), read_object)?;
        set_texts(
            &mut body,
            &[("url", url), ("description", &self.description)],
        );
        if !self.event_types.is_empty() {
            body.insert("event_types".to_owned(), json!(self.event_types));
        }
        for (name, pairs) in [("labels", &self.labels), ("headers", &self.headers)] {
            if !pairs.is_empty() {
                change_in(&mut body, name, |inner| {
                    inner.extend(pairs.iter().map(|(key, value)| (key.clone(), json!(value))))
                });
            }
        }
        Ok(body)
    }
}

impl CreateEndpoint {
    /// Not repeated: each request creates another endpoint.
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let mut body = self.endpoint.body(&self.url)?;
        if self.disabled {
            body.insert("disabled".to_owned(), json!(true));
        }
        let call = session
            .service
            .post(&["v1", "webhook-endpoints"])
            .json(&Value::Object(body));
        show(session, &session.service.send(call).await?)?;
        Ok(Outcome::Done)
    }
}

impl UpdateEndpoint {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let mut body = self.endpoint.body(&self.url)?;
        for name in &self.clear {
            body.insert(name.replace('-', "_"), Value::Null);
        }
        if self.enable || self.disable {
            body.insert("disabled".to_owned(), json!(self.disable));
        }
        if body.is_empty() {
            return Err(ClientError::Usage(
                "no change was given; see --help".to_owned(),
            ));
        }
        let call = session.service.call(
            Method::PATCH,
            &["v1", "webhook-endpoints", &self.id.to_string()],
        );
        show(
            session,
            &session
                .service
                .send(call.json(&Value::Object(body)).repeatable())
                .await?,
        )?;
        Ok(Outcome::Done)
    }
}

impl Rotate {
    /// Not repeated: each request creates another secret.
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let mut body = Map::new();
        set_texts(&mut body, &[("overlap", &self.overlap)]);
        let call = session.service.post(&[
            "v1",
            "webhook-endpoints",
            &self.id.to_string(),
            "rotate-secret",
        ]);
        show(
            session,
            &session
                .service
                .send(call.json(&Value::Object(body)))
                .await?,
        )?;
        Ok(Outcome::Done)
    }
}
