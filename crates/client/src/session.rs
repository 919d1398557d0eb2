//! What each client command works with: the service, the screen and the clock.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::connection::Connection;
use super::error::ClientError;
use super::screen::Screen;
use tableferry_clock::Clock;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

#[derive(Debug, Args)]
#[command(next_help_heading = "Client options")]
pub struct SessionArgs {
    /// The URL of the service [default: http://127.0.0.1:8080]
    #[arg(
        long,
        global = true,
        env = "TABLEFERRY_SERVER",
        hide_env_values = true,
        value_name = "URL"
    )]
    server: Option<String>,
    /// The API key. Prefer the variable or a file: other users of this machine can see command
    /// lines
    #[arg(
        long,
        global = true,
        env = "TABLEFERRY_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<SecretString>,
    /// A file with the API key; overrides the variable
    #[arg(long, global = true, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Print the API's JSON; problems are printed to standard error as JSON too
    #[arg(long, global = true)]
    json: bool,
    /// Print no hints and no progress; for a created resource, print only its ID
    #[arg(long, short, global = true)]
    quiet: bool,
    /// How often a call is retried if the service cannot be reached or asks for a retry (only if
    /// repeating it is safe)
    #[arg(long, global = true, value_name = "N", default_value_t = 3)]
    retries: u32,
}

#[derive(Debug, Clone)]
pub struct Session {
    pub(super) service: Connection,
    pub(super) screen: Screen,
    pub(super) clock: Clock,
}

impl SessionArgs {
    pub(super) fn screen(&self) -> Screen {
        Screen {
            json: self.json,
            quiet: self.quiet,
        }
    }

    pub(super) fn open(self, clock: Clock) -> Result<Session, ClientError> {
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
        // An empty variable counts as not set.
        let key = key.filter(|key| !key.expose_secret().trim().is_empty());
        let server = self.server.filter(|server| !server.is_empty());
        let service = Connection::new(
            server.as_deref().unwrap_or(DEFAULT_SERVER),
            key.as_ref(),
            self.retries,
            screen,
            clock.clone(),
        )?;
        Ok(Session {
            service,
            screen,
            clock,
        })
    }
}
