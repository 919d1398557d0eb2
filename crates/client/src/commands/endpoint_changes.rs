//! Making and changing webhook endpoints.

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

/// What an endpoint is.
#[derive(Debug, Args)]
pub struct EndpointArgs {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A type of event that it hears of, such as export.completed; may be repeated. All unless said
    #[arg(long = "event-type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// It hears only of exports with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// A header of its own, such as 'X-Team: orders'; may be repeated. For secrets use --from-file
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A file that holds it as JSON, with the API's names; - is standard input. Flags go before
    /// what it says
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// A new endpoint.
#[derive(Debug, Args)]
pub struct CreateEndpoint {
    /// Where it is
    #[arg(long, value_name = "URL", required_unless_present = "from_file")]
    url: Option<String>,
    #[command(flatten)]
    endpoint: EndpointArgs,
    /// Send nothing to it for now
    #[arg(long)]
    disabled: bool,
}

/// A changed endpoint.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("state").args(["enable", "disable"]))]
pub struct UpdateEndpoint {
    /// The endpoint's id
    id: Uuid,
    /// Where it is now
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    endpoint: EndpointArgs,
    /// Begin to send to it again, whatever stopped it
    #[arg(long)]
    enable: bool,
    /// Send nothing to it
    #[arg(long)]
    disable: bool,
    /// Take back description, event-types, labels or headers; may be repeated
    #[arg(long = "clear", value_name = "WHAT", value_parser = ["description", "event-types", "labels", "headers"])]
    clear: Vec<String>,
}

/// A new secret.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The endpoint's id
    id: Uuid,
    /// How long the old secrets sign along, such as 24h (the default); 0s ends them at once
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
    /// Not sent twice: each time is another endpoint.
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
                "nothing to change was named; --help says what can be".to_owned(),
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
    /// Not sent twice: each time is another secret.
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
