//! `tableferry export download`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::download::{Wish, download};
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::session::Session;

/// What to download.
///
/// Keys are laid out below the folder as they are in S3: FOLDER/PREFIX/AWSDynamoDB/… What a file
/// system does not take is written as %XX (docs/loading.md). An interrupted download resumes.
#[derive(Debug, Args)]
pub struct Download {
    /// The export's id
    id: Uuid,
    /// Where to
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// original: the files as AWS wrote them; json: also their items as plain JSON lines,
    /// FILE.jsonl beside each data file
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Original)]
    format: Format,
    /// How many files side by side
    #[arg(long, short = 'j', value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// How long the URLs from S3 are good for; they are renewed when they expire
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    presign: String,
}

/// What is written.
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
        let wish = Wish {
            id: self.id.to_string(),
            folder: self.folder,
            parallel: self.parallel.into(),
            presign: self.presign,
            plain,
        };
        let summary = download(session, wish).await?;
        if session.screen.json {
            let text = serde_json::to_string(&summary)
                .map_err(|error| ClientError::Other(error.to_string()))?;
            session.screen.json(&text)?;
        } else {
            session.screen.line(&summary.in_words())?;
        }
        match summary.failed.as_slice() {
            [] => Ok(Outcome::Done),
            failed if failed.iter().any(|file| file.is_wrong) => Ok(Outcome::CheckFailed),
            _ => Err(ClientError::Other(
                "not all files could be downloaded; the same command goes on where it was"
                    .to_owned(),
            )),
        }
    }
}
