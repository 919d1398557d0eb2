//! Lists: fetches page after page, and prints each as it arrives.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use clap::Args;

use super::connection::Call;
use super::error::ClientError;
use super::screen::Screen;
use super::session::Session;
use super::table::{Cell, Table};

/// The service's maximum.
const MAX_PAGE_SIZE: usize = 200;

#[derive(Debug, Clone, Copy, Args)]
pub struct HowMuch {
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one)]
    limit: usize,
    /// List all entries
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| "must be a whole number of at least 1".to_owned())
}

struct Page {
    text: String,
    members: Vec<Box<RawValue>>,
    next: Option<String>,
}

impl HowMuch {
    /// Fetches and prints the entries. `member` is the name of the list in the response, `row`
    /// makes a table row of an entry.
    pub(super) async fn show<T: DeserializeOwned>(
        self,
        session: &Session,
        call: Call,
        member: &str,
        mut table: Table,
        row: impl Fn(&T) -> Vec<Cell>,
    ) -> Result<(), ClientError> {
        let screen = session.screen;
        let (mut shown, mut token) = (0, None::<String>);
        loop {
            let left = if self.all {
                usize::MAX
            } else {
                self.limit - shown
            };
            let page = fetch(
                session,
                &call,
                member,
                left.min(MAX_PAGE_SIZE),
                token.as_deref(),
            )
            .await?;
            let is_first = token.is_none();
            shown += page.members.len();
            let wants_more = self.all || shown < self.limit;
            let next = page.next.clone().filter(|_| wants_more);
            if screen.json {
                write_json(screen, member, &page, is_first, next.is_none())?;
            } else {
                let entries: Result<Vec<T>, _> = page
                    .members
                    .iter()
                    .map(|entry| serde_json::from_str(entry.get()))
                    .collect();
                let entries = entries.map_err(|error| {
                    ClientError::Other(format!("cannot read an entry of the list: {error}"))
                })?;
                if is_first && entries.is_empty() {
                    screen.note("No entries.");
                } else {
                    screen.rows(&mut table, &entries.iter().map(&row).collect::<Vec<_>>())?;
                }
                if next.is_none() && page.next.is_some() {
                    screen.note(&format!(
                        "There are more than these {shown} entries: use --limit or --all."
                    ));
                }
            }
            match next {
                Some(next) => token = Some(next),
                None => return Ok(()),
            }
        }
    }
}

async fn fetch(
    session: &Session,
    call: &Call,
    member: &str,
    size: usize,
    token: Option<&str>,
) -> Result<Page, ClientError> {
    let mut call = call.clone().query("page_size", &size.to_string());
    if let Some(token) = token {
        call = call.query("page_token", token);
    }
    let answer = session.service.send(call).await?;
    let mut parts: BTreeMap<String, Box<RawValue>> = answer.read()?;
    let mut part = |name: &str| {
        parts
            .remove(name)
            .unwrap_or_else(|| RawValue::NULL.to_owned())
    };
    let wrong =
        |error: serde_json::Error| ClientError::Other(format!("cannot read the list: {error}"));
    let members: Option<Vec<Box<RawValue>>> =
        serde_json::from_str(part(member).get()).map_err(wrong)?;
    let next = serde_json::from_str(part("next_page_token").get()).map_err(wrong)?;
    Ok(Page {
        text: answer.text,
        members: members.unwrap_or_default(),
        next,
    })
}

/// Prints a single page as received, and several pages as one page with all entries.
fn write_json(
    screen: Screen,
    member: &str,
    page: &Page,
    is_first: bool,
    is_last: bool,
) -> std::io::Result<()> {
    if is_first && is_last {
        return screen.json(&page.text);
    }
    let mut text = match is_first {
        true => format!("{{\"{member}\":["),
        false if page.members.is_empty() => String::new(),
        false => ",".to_owned(),
    };
    text += &page
        .members
        .iter()
        .map(|entry| entry.get())
        .collect::<Vec<_>>()
        .join(",");
    if is_last {
        let token = page
            .next
            .as_ref()
            .map_or_else(|| "null".to_owned(), |token| format!("\"{token}\""));
        text += &format!("],\"next_page_token\":{token}}}\n");
    }
    screen.piece(&text)
}
