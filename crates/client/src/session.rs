//! What each client command works with: the service, the screen, and where time and new ids come
//! from.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::connection::Connection;
use super::error::ClientError;
use super::screen::Screen;
use tableferry_clock::Chance;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Options of every client command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every client command")]
pub struct SessionArgs {
    /// The service [default: http://127.0.0.1:8080]
    #[arg(
        long,
        global = true,
        env = "TABLEFERRY_SERVER",
        hide_env_values = true,
        value_name = "URL"
    )]
    server: Option<String>,
    /// The API key; better by the variable or a file, since other users of this machine can read
    /// command lines
    #[arg(
        long,
        global = true,
        env = "TABLEFERRY_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<SecretString>,
    /// A file that holds the API key; it goes before the variable
    #[arg(long, global = true, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Print the API's JSON; problems go to standard error as JSON too
    #[arg(long, global = true)]
    json: bool,
    /// No remarks and no progress; of what was made, only the id
    #[arg(long, short, global = true)]
    quiet: bool,
    /// How often a call is repeated if the service cannot be reached or asks for it (only calls
    /// that may be repeated)
    #[arg(long, global = true, value_name = "N", default_value_t = 3)]
    retries: u32,
}

/// What a command works with.
#[derive(Debug, Clone)]
pub struct Session {
    /// The service.
    pub(super) service: Connection,
    /// Standard output and error.
    pub(super) screen: Screen,
    /// Time and new ids.
    pub(super) chance: Chance,
}

impl SessionArgs {
    pub(super) fn screen(&self) -> Screen {
        Screen {
            json: self.json,
            quiet: self.quiet,
        }
    }

    pub(super) fn open(self, chance: Chance) -> Result<Session, ClientError> {
        let screen = self.screen();
        let key = match &self.api_key_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| ClientError::File {
                    path: path.clone(),
                    source,
                })?;
                Some(SecretString::from(text.trim()))
            }
            None => self.api_key,
        };
        // An empty variable is how many say "not set".
        let key = key.filter(|key| !key.expose_secret().trim().is_empty());
        let server = self.server.filter(|server| !server.is_empty());
        let service = Connection::new(
            server.as_deref().unwrap_or(DEFAULT_SERVER),
            key.as_ref(),
            self.retries,
            screen,
            chance.clone(),
        )?;
        Ok(Session {
            service,
            screen,
            chance,
        })
    }
}
