//! Webhook deliveries, and the jobs that send them again.

use clap::{ArgGroup, Args};
use serde_json::json;
use uuid::Uuid;

use super::duration;
use crate::connection::Answer;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::pages::HowMuch;
use crate::screen::{status_cell, status_style};
use crate::session::Session;
use crate::table::{Table, column};
use crate::wire::{self, Attempt};
use crate::words::{ago, clean, count, one_line, time};
use tableferry_domain::timestamp::Timestamp;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true).args(["id", "export"]))]
pub struct Deliveries {
    /// The endpoint's ID
    id: Option<Uuid>,
    /// List the deliveries of this export, including its callback's
    #[arg(long, value_name = "ID")]
    export: Option<Uuid>,
    /// Only deliveries with this status: PENDING, DELIVERED, EXHAUSTED or ABANDONED
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only deliveries of this event type, for example export.completed
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    #[command(flatten)]
    how_much: HowMuch,
}

#[derive(Debug, Args)]
pub struct Delivery {
    /// The delivery's ID (msg_…); receivers see it as webhook-id
    id: String,
}

#[derive(Debug, Args)]
pub struct Since {
    /// The endpoint's ID
    id: Uuid,
    /// The start: a time, for example 2026-04-02T11:30:13Z, or a duration before now, for example
    /// 6h
    #[arg(long, value_name = "TIME")]
    since: String,
}

impl Deliveries {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let path = match (self.id, self.export) {
            (_, Some(export)) => [
                "v1".to_owned(),
                "exports".to_owned(),
                export.to_string(),
                "deliveries".to_owned(),
            ],
            (id, None) => [
                "v1".to_owned(),
                "webhook-endpoints".to_owned(),
                id.unwrap_or_default().to_string(),
                "deliveries".to_owned(),
            ],
        };
        let mut call = session.service.get(&path.each_ref().map(String::as_str));
        for (name, value) in [
            (
                "status",
                self.status.map(|status| status.to_ascii_uppercase()),
            ),
            ("event_type", self.event_type),
        ] {
            if let Some(value) = value {
                call = call.query(name, &value);
            }
        }
        let columns = [
            column("ID"),
            column("STATUS"),
            column("EVENT"),
            column("CREATED").rank(2),
            column("ATTEMPTS").right().rank(3),
            column("LAST RESULT").rank(1),
            column("URL").rank(4),
        ];
        let now = session.clock.now();
        let row = |delivery: &wire::Delivery| {
            vec![
                one_line(&delivery.id).into(),
                status_cell(&delivery.status),
                one_line(&delivery.event_type).into(),
                ago(&delivery.created_at, now).into(),
                count(delivery.attempts.len() as u64).into(),
                delivery
                    .attempts
                    .last()
                    .map(in_words)
                    .unwrap_or_default()
                    .into(),
                one_line(&delivery.url).into(),
            ]
        };
        self.how_much
            .show(session, call, "deliveries", Table::new(&columns), row)
            .await?;
        Ok(Outcome::Done)
    }
}

impl Delivery {
    pub(super) async fn get(self, session: &Session) -> Result<Outcome, ClientError> {
        show(
            session,
            &session
                .service
                .send(session.service.get(&["v1", "deliveries", &self.id]))
                .await?,
        )?;
        Ok(Outcome::Done)
    }

    pub(super) async fn resend(self, session: &Session) -> Result<Outcome, ClientError> {
        show(
            session,
            &session
                .service
                .send(
                    session
                        .service
                        .post(&["v1", "deliveries", &self.id, "resend"]),
                )
                .await?,
        )?;
        Ok(Outcome::Done)
    }
}

impl Since {
    /// `recover` or `replay-missing`.
    pub(super) async fn run(self, session: &Session, what: &str) -> Result<Outcome, ClientError> {
        let since = match duration(&self.since) {
            Ok(ago) => session.clock.now().minus(ago).to_string(),
            Err(_) => self.since,
        };
        let call = session
            .service
            .post(&["v1", "webhook-endpoints", &self.id.to_string(), what])
            .json(&json!({"since": since}));
        show_job(session, &session.service.send(call).await?)
    }
}

pub(super) async fn ping(session: &Session, id: Uuid) -> Result<Outcome, ClientError> {
    show(
        session,
        &session
            .service
            .send(
                session
                    .service
                    .post(&["v1", "webhook-endpoints", &id.to_string(), "ping"]),
            )
            .await?,
    )?;
    Ok(Outcome::Done)
}

pub(super) async fn job(session: &Session, id: Uuid) -> Result<Outcome, ClientError> {
    show_job(
        session,
        &session
            .service
            .send(
                session
                    .service
                    .get(&["v1", "webhook-jobs", &id.to_string()]),
            )
            .await?,
    )
}

fn show(session: &Session, answer: &Answer) -> Result<(), ClientError> {
    if session.screen.json {
        return Ok(session.screen.json(&answer.text)?);
    }
    let delivery: wire::Delivery = answer.read()?;
    let attempts = delivery.attempts.iter().map(|attempt| {
        format!(
            "{}  {}  {} ms",
            time(&attempt.at),
            in_words(attempt),
            attempt.duration_ms
        )
    });
    let attempts = attempts.collect::<Vec<_>>().join("\n");
    session.screen.fields(&[
        ("Delivery", Some(clean(&delivery.id))),
        ("Event", Some(clean(&delivery.event_type))),
        ("Export", delivery.export_id.as_deref().map(clean)),
        ("To", Some(clean(&delivery.url))),
        (
            "Status",
            Some(
                status_style(&delivery.status)
                    .apply_to(clean(&delivery.status))
                    .to_string(),
            ),
        ),
        ("Created", Some(time(&delivery.created_at))),
        (
            "Next attempt",
            delivery.next_attempt_at.as_deref().map(time),
        ),
        ("Attempts", (!attempts.is_empty()).then_some(attempts)),
    ])?;
    Ok(())
}

fn show_job(session: &Session, answer: &Answer) -> Result<Outcome, ClientError> {
    let job: wire::Job = answer.read()?;
    if session.screen.json {
        session.screen.json(&answer.text)?;
        return Ok(Outcome::Done);
    }
    session.screen.fields(&[
        ("Job", Some(clean(&job.id))),
        ("Kind", Some(clean(&job.kind))),
        (
            "Status",
            Some(
                status_style(&job.status)
                    .apply_to(clean(&job.status))
                    .to_string(),
            ),
        ),
        ("Since", Some(time(&job.since))),
        (
            "Covered until",
            job.covered_until
                .as_deref()
                .filter(|at| Timestamp::parse(at).is_ok())
                .map(time),
        ),
        ("Examined", Some(count(job.examined))),
        ("Queued", Some(count(job.queued))),
    ])?;
    if job.status == "RUNNING" {
        session.screen.note(&format!(
            "\nTo see its progress:  tableferry webhook job {}",
            clean(&job.id)
        ));
    }
    Ok(Outcome::Done)
}

fn in_words(attempt: &Attempt) -> String {
    match (attempt.status_code, &attempt.error) {
        (Some(code), _) => code.to_string(),
        (None, Some(error)) => one_line(error),
        (None, None) => "no response".to_owned(),
    }
}
