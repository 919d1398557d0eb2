//! `tableferry webhook …`: its commands.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::deliveries::{self, Deliveries, Delivery, Since};
use super::endpoint_changes::{CreateEndpoint, Rotate, UpdateEndpoint};
use super::endpoints;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::pages::HowMuch;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Create an endpoint; its secret is shown only once
    Create(CreateEndpoint),
    /// List endpoints, newest first
    List(HowMuch),
    /// Show an endpoint
    Get(One),
    /// Change an endpoint; options that are not given stay as they are
    Update(UpdateEndpoint),
    /// Delete an endpoint
    Delete(One),
    /// Send a test webhook to an endpoint
    Ping(One),
    /// Give an endpoint a new secret, which is shown only once
    RotateSecret(Rotate),
    /// List the deliveries of an endpoint or an export, newest first
    Deliveries(Deliveries),
    /// Show a delivery and its attempts
    Delivery(Delivery),
    /// Send a delivery again now
    Resend(Delivery),
    /// Retry all permanently failed deliveries that were created since a time
    Recover(Since),
    /// Send all events since a time that an endpoint should have received but was never sent
    ReplayMissing(Since),
    /// Show the progress of a recover or replay-missing job
    Job(Job),
}

#[derive(Debug, Args)]
pub struct One {
    /// The endpoint's ID
    id: Uuid,
}

#[derive(Debug, Args)]
pub struct Job {
    /// The job's ID
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
