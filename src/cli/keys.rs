//! `tableferry keys`: makes, lists and revokes API keys in the database, without the API. This is
//! how the first key is made.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::database::database;
use super::error::CliError;
use crate::api_types::api_key::ApiKeyView;
use crate::app::AppError;
use crate::client::screen::Screen;
use crate::client::table::{Table, column};
use crate::client::words::ago;
use crate::clock::Clock;
use crate::domain::caller::Grant;
use crate::domain::caller::allow::{AllowList, Pattern};
use crate::domain::caller::api_key::{ApiKey, KeyName, NewApiKey, rate_per_s};
use crate::domain::caller::scope::{Scope, Scopes};
use crate::domain::duration::parse_duration;
use crate::domain::timestamp::Timestamp;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Create a key and print it; it is not shown again
    Create(Create),
    /// List all keys, newest first, including revoked ones
    List {
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; running processes reject it within five seconds
    Revoke {
        /// Name or id of the key
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name of the key, as shown in created_by, logs and lists
    #[arg(long, value_parser = text(KeyName::parse))]
    name: KeyName,
    /// exports:read, exports:write, webhooks:manage or admin (everything); repeatable
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = text(Scope::parse))]
    scopes: Vec<Scope>,
    /// How long the key is valid, such as 2160h; without limit if not given
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// Restrict the key to tables whose ARN matches; * matches any text; repeatable
    #[arg(long = "table-arn", value_name = "PATTERN", value_parser = text(Pattern::for_table))]
    table_arns: Vec<Pattern>,
    /// Restrict the key to buckets whose name matches; * matches any text; repeatable
    #[arg(long = "s3-bucket", value_name = "PATTERN", value_parser = text(Pattern::for_bucket))]
    s3_buckets: Vec<Pattern>,
    /// Sustained requests per second, instead of TABLEFERRY_RATE_LIMIT_PER_S
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate_limit_per_s: Option<f64>,
}

/// Turns a parser of the domain into one for clap.
fn text<T>(
    parse: fn(&str) -> Result<T, crate::domain::invalid::Invalid>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| parse(text).map_err(|e| e.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(100 * 366 * 24 * 3600);
    let duration =
        parse_duration(text).filter(|duration| !duration.is_zero() && *duration <= longest);
    duration.ok_or_else(|| {
        "must be a duration such as 24h or 2160h, a hundred years at most".to_owned()
    })
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .map_err(|_| "must be a number".to_owned())
        .and_then(|rate| rate_per_s(rate).map_err(|e| e.to_string()))
}

impl Keys {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), CliError> {
        let store = database(settings)?;
        let clock = Clock::default();
        match self {
            Self::Create(create) => create.run(&store, &clock).await,
            Self::List { json } => list(&store, json, clock.now()).await,
            Self::Revoke { key } => revoke(&store, &key, clock.now()).await,
        }
    }
}

impl Create {
    async fn run(self, store: &Store, clock: &Clock) -> Result<(), CliError> {
        let grant = Grant::new(
            Scopes::from_scopes(self.scopes),
            AllowList::new(self.table_arns, self.s3_buckets),
        );
        let grant = grant.map_err(|e| CliError::Key(format!("--scope {e}")))?;
        let (secret, now) = (clock.api_key_secret(), clock.now());
        let expires_at = self.expires_in.map(|duration| now.plus(duration));
        let said = NewApiKey {
            name: self.name,
            grant,
            rate_per_s: self.rate_limit_per_s,
            expires_at,
        };
        let key = ApiKey::new(clock.ordered_id(), &secret, said, None, now);
        if !store
            .add_api_key(&key, &secret.hash())
            .await
            .map_err(database_error)?
        {
            return Err(CliError::Key(format!(
                "{} is the name of another key, which may be revoked; choose another name",
                key.name.as_str()
            )));
        }
        eprintln!(
            "This is the key. It is not shown again. Send it as \"Authorization: Bearer …\", or set TABLEFERRY_API_KEY for tableferry."
        );
        writeln!(std::io::stdout().lock(), "{}", secret.expose()).map_err(CliError::Output)
    }
}

async fn list(store: &Store, json: bool, now: Timestamp) -> Result<(), CliError> {
    const PAGE: usize = 200;
    let screen = Screen { json, quiet: false };
    let mut table = Table::new(&[
        column("NAME"),
        column("ID"),
        column("STATE"),
        column("SCOPES"),
        column("RESTRICTED TO").rank(1),
        column("USED").rank(2),
    ]);
    let mut before = None;
    loop {
        let page = store
            .list_api_keys(before, i64::try_from(PAGE).unwrap_or(i64::MAX))
            .await
            .map_err(database_error)?;
        let next = page
            .last()
            .filter(|_| page.len() == PAGE)
            .map(|last| last.id);
        let keys: Vec<_> = page.into_iter().filter_map(|listed| listed.value).collect();
        if json {
            for key in &keys {
                let line = serde_json::to_string(&ApiKeyView::from(key))
                    .map_err(|e| CliError::Output(e.into()))?;
                screen.line(&line).map_err(CliError::Output)?;
            }
        } else if before.is_none() || !keys.is_empty() {
            let rows: Vec<_> = keys.iter().map(|key| row(key, now)).collect();
            screen.rows(&mut table, &rows).map_err(CliError::Output)?;
        }
        if next.is_none() {
            return Ok(());
        }
        before = next;
    }
}

fn row(key: &ApiKey, now: Timestamp) -> Vec<crate::client::table::Cell> {
    let allow = key.grant.allow();
    let restrictions: Vec<_> = allow
        .tables()
        .iter()
        .chain(allow.buckets())
        .map(Pattern::as_str)
        .collect();
    let scopes: Vec<_> = key.grant.scopes().iter().map(Scope::as_str).collect();
    vec![
        key.name.as_str().into(),
        key.id.to_string().into(),
        key.refusal(now).unwrap_or("active").into(),
        scopes.join(" ").into(),
        if restrictions.is_empty() {
            "-".to_owned()
        } else {
            restrictions.join(" ")
        }
        .into(),
        key.last_used_at
            .map_or_else(|| "never".to_owned(), |at| ago(&at.to_string(), now))
            .into(),
    ]
}

async fn revoke(store: &Store, name_or_id: &str, now: Timestamp) -> Result<(), CliError> {
    let id = match Uuid::try_parse(name_or_id) {
        Ok(id) => Some(id),
        Err(_) => store
            .find_api_key_by_name(name_or_id)
            .await
            .map_err(database_error)?
            .map(|key| key.id),
    };
    let revoked = match id {
        Some(id) => store
            .revoke_api_key(id, now)
            .await
            .map_err(database_error)?,
        None => None,
    };
    let key = revoked.ok_or_else(|| {
        CliError::Key(format!(
            "there is no key {name_or_id}; tableferry keys list shows all"
        ))
    })?;
    eprintln!(
        "{} is revoked; running processes reject it within five seconds",
        key.name.as_str()
    );
    Ok(())
}

/// A database without the table of keys was never migrated.
fn database_error(error: StoreError) -> CliError {
    if crate::domain::error_chain::in_words(&error).contains("\"api_keys\" does not exist") {
        return CliError::Key(
            "the database does not have this version's schema yet: run tableferry migrate first"
                .to_owned(),
        );
    }
    AppError::from(error).into()
}
