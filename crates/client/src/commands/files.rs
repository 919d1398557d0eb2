//! `tableferry export files` and `tableferry export manifest`.

use clap::Args;
use uuid::Uuid;

use crate::error::ClientError;
use crate::exit::Outcome;
use crate::pages::HowMuch;
use crate::session::Session;
use crate::table::{Table, column};
use crate::wire::{ExportFile, Manifest};
use crate::words::{count, one_line, size};

#[derive(Debug, Args)]
pub struct Files {
    /// The export's ID
    id: Uuid,
    /// Print a presigned URL per file, valid for this time: 5s to 12h. Anyone with the URL can read
    /// the file
    #[arg(long, value_name = "DURATION")]
    presign: Option<String>,
    #[command(flatten)]
    how_much: HowMuch,
}

impl Files {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let mut call = session
            .service
            .get(&["v1", "exports", &self.id.to_string(), "files"]);
        let mut columns = vec![
            column("ITEMS").right(),
            column("SIZE").right(),
            column("MD5").rank(1),
            column("KEY"),
        ];
        if let Some(presign) = &self.presign {
            call = call.query("presign", presign);
            columns = vec![
                column("ITEMS").right(),
                column("SIZE").right(),
                column("URL"),
            ];
        }
        let row = |file: &ExportFile| {
            let mut row = vec![
                file.item_count.map(count).unwrap_or_default().into(),
                file.size_bytes
                    .map_or_else(|| "missing".to_owned(), size)
                    .into(),
            ];
            match &file.url {
                Some(url) => row.push(one_line(url).into()),
                None => row.extend([
                    one_line(file.md5.as_deref().unwrap_or_default()).into(),
                    one_line(&file.key).into(),
                ]),
            }
            row
        };
        self.how_much
            .show(session, call, "files", Table::new(&columns).whole(), row)
            .await?;
        Ok(Outcome::Done)
    }
}

pub(super) async fn manifest(session: &Session, id: Uuid) -> Result<Outcome, ClientError> {
    let answer = session
        .service
        .send(
            session
                .service
                .get(&["v1", "exports", &id.to_string(), "manifest"]),
        )
        .await?;
    if session.screen.json {
        session.screen.json(&answer.text)?;
        return Ok(Outcome::Done);
    }
    let manifest: Manifest = answer.read()?;
    let objects = manifest
        .objects
        .iter()
        .map(|object| one_line(&object.key))
        .collect::<Vec<_>>()
        .join("\n");
    session.screen.fields(&[
        ("Files", Some(count(manifest.files_count))),
        ("Items", Some(count(manifest.item_count))),
        ("Size", manifest.size_bytes.map(size)),
        ("Manifests", Some(objects)),
    ])?;
    Ok(Outcome::Done)
}
