//! `tableferry export events`.

use clap::Args;
use uuid::Uuid;

use crate::error::ClientError;
use crate::exit::Outcome;
use crate::screen::{status_cell, status_style};
use crate::session::Session;
use crate::table::{Table, column};
use crate::wait::{self, Seen, read_stream};
use crate::wire::{Event, EventList};
use crate::words::{clean, one_line, time};

#[derive(Debug, Args)]
pub struct Events {
    /// The export's ID
    id: Uuid,
    /// Print new events until the export ends. With --json, prints one event per line
    #[arg(long)]
    follow: bool,
}

impl Events {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let (id, screen) = (self.id.to_string(), session.screen);
        if self.follow {
            return self.follow(session).await;
        }
        let answer = session
            .service
            .send(session.service.get(&["v1", "exports", &id, "events"]))
            .await?;
        if screen.json {
            screen.json(&answer.text)?;
            return Ok(Outcome::Done);
        }
        let events: EventList = answer.read()?;
        let mut table = Table::new(&[
            column("TIME"),
            column("EVENT"),
            column("STATUS").rank(1),
            column("DETAIL"),
        ]);
        let row = |event: &Event| {
            vec![
                time(&event.timestamp).into(),
                one_line(&event.kind).into(),
                status_cell(&event.export_status),
                one_line(&event.detail).into(),
            ]
        };
        screen.rows(
            &mut table,
            &events.events.iter().map(row).collect::<Vec<_>>(),
        )?;
        Ok(Outcome::Done)
    }

    async fn follow(&self, session: &Session) -> Result<Outcome, ClientError> {
        let (id, screen) = (self.id.to_string(), session.screen);
        let mut seen = Seen::default();
        loop {
            let mut written = Ok(());
            let show = |event: &Event, raw: &str| {
                let kind = format!("{:<18}", clean(&event.kind));
                let kind = status_style(&event.export_status).apply_to(kind);
                let line = format!(
                    "{}  {kind}  {}",
                    time(&event.timestamp),
                    one_line(&event.detail)
                );
                written = screen.line(if screen.json { raw } else { &line });
                written.is_ok()
            };
            read_stream(session, &id, &mut seen, show, None).await?;
            written?;
            if wait::has_ended(&wait::fetch(session, &id).await?.1) {
                return Ok(Outcome::Done);
            }
            tokio::time::sleep(wait::RECONNECT_AFTER).await;
        }
    }
}
