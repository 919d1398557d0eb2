//! `tableferry export download`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::download::{DownloadSpec, download};
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::session::Session;

#[derive(Debug, Args)]
pub struct Download {
    /// The export's ID
    id: Uuid,
    /// The folder to download to
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// original: the files as AWS wrote them; json: also their items as plain JSON lines, in
    /// FILE.jsonl beside each data file
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Original)]
    format: Format,
    /// Number of files to download in parallel
    #[arg(long, short = 'j', value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// How long the presigned URLs are valid; they are renewed when they expire
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    presign: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The files as AWS wrote them.
    Original,
    /// Their items too, as plain JSON lines.
    Json,
}

impl Download {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let plain = self.format == Format::Json;
        let spec = DownloadSpec {
            id: self.id.to_string(),
            folder: self.folder,
            parallel: self.parallel.into(),
            presign: self.presign,
            plain,
        };
        let summary = download(session, spec).await?;
        if session.screen.json {
            let text = serde_json::to_string(&summary)
                .map_err(|error| ClientError::Other(error.to_string()))?;
            session.screen.json(&text)?;
        } else {
            session.screen.line(&summary.to_text())?;
        }
        match summary.failed.as_slice() {
            [] => Ok(Outcome::Done),
            failed if failed.iter().any(|file| file.is_wrong) => Ok(Outcome::CheckFailed),
            _ => Err(ClientError::Other(
                "not all files could be downloaded; repeat the command to continue".to_owned(),
            )),
        }
    }
}
