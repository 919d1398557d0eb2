//! `tableferry webhook …`: which command does what.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::deliveries::{self, Deliveries, Delivery, Since};
use super::endpoint_changes::{CreateEndpoint, Rotate, UpdateEndpoint};
use super::endpoints;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::pages::HowMuch;
use crate::session::Session;

/// Webhooks.
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Make an endpoint; its secret is shown this once
    Create(CreateEndpoint),
    /// List the endpoints, newest first
    List(HowMuch),
    /// Show an endpoint
    Get(One),
    /// Change an endpoint: what is not named stays
    Update(UpdateEndpoint),
    /// Delete an endpoint
    Delete(One),
    /// Send a test to an endpoint
    Ping(One),
    /// Give an endpoint a new secret, which is shown this once
    RotateSecret(Rotate),
    /// List what was sent to an endpoint or because of an export, newest first
    Deliveries(Deliveries),
    /// Show a delivery with every attempt
    Delivery(Delivery),
    /// Send a delivery again, at once
    Resend(Delivery),
    /// Send again what failed for good since a time
    Recover(Since),
    /// Send what an endpoint wants and never got since a time
    ReplayMissing(Since),
    /// Show how far a recover or replay-missing is
    Job(Job),
}

/// An endpoint.
#[derive(Debug, Args)]
pub struct One {
    /// The endpoint's id
    id: Uuid,
}

/// A job.
#[derive(Debug, Args)]
pub struct Job {
    /// The job's id
    id: Uuid,
}

impl Webhook {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::List(how_much) => endpoints::list(session, how_much).await,
            Self::Get(one) => endpoints::get(session, one.id).await,
            Self::Update(update) => update.run(session).await,
            Self::Delete(one) => endpoints::delete(session, one.id).await,
            Self::Ping(one) => deliveries::ping(session, one.id).await,
            Self::RotateSecret(rotate) => rotate.run(session).await,
            Self::Deliveries(list) => list.run(session).await,
            Self::Delivery(one) => one.get(session).await,
            Self::Resend(one) => one.resend(session).await,
            Self::Recover(since) => since.run(session, "recover").await,
            Self::ReplayMissing(since) => since.run(session, "replay-missing").await,
            Self::Job(job) => deliveries::job(session, job.id).await,
        }
    }
}
