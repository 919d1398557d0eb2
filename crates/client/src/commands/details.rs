//! Shows one export in readable form.

use uuid::Uuid;

use crate::connection::Answer;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::screen::status_style;
use crate::session::Session;
use crate::wait;
use crate::wire::{Export, Verification};
use crate::words::{ago, between, clean, count, counted, dollars, size, span, time};
use tableferry_domain::timestamp::Timestamp;

pub(super) async fn get(session: &Session, id: Uuid) -> Result<Outcome, ClientError> {
    let (answer, export) = wait::fetch(session, &id.to_string()).await?;
    show(session, &answer, &export)?;
    Ok(Outcome::Done)
}

pub(super) fn show(session: &Session, answer: &Answer, export: &Export) -> Result<(), ClientError> {
    if session.screen.json {
        return Ok(session.screen.json(&answer.text)?);
    }
    Ok(session
        .screen
        .fields(&fields(export, session.clock.now()))?)
}

/// Shows an export that was just created; with `--quiet` only its ID.
pub(super) fn show_made(session: &Session, answer: &Answer) -> Result<Export, ClientError> {
    let export: Export = answer.read()?;
    if session.screen.quiet && !session.screen.json {
        session.screen.line(&export.id)?;
    } else {
        show(session, answer, &export)?;
    }
    Ok(export)
}

fn fields(export: &Export, now: Timestamp) -> Vec<(&'static str, Option<String>)> {
    let text = |text: &Option<String>| text.as_deref().map(clean);
    let at = |at: &Option<String>| at.as_deref().map(time);
    let failure = export.failure.as_ref();
    vec![
        ("Export", Some(clean(&export.id))),
        ("Status", Some(status(&export.export_status))),
        ("Reason", text(&export.status_reason)),
        (
            "Failure",
            failure.map(|failure| format!("{}: {}", clean(&failure.code), clean(&failure.message))),
        ),
        ("Hint", failure.and_then(|failure| text(&failure.hint))),
        ("Table", Some(clean(&export.table_arn))),
        ("To", Some(destination(export))),
        ("Type", Some(type_and_format(export))),
        ("As of", at(&export.export_time)),
        ("Window", window(export)),
        ("Filter", filter(export)),
        ("Bucket owner", text(&export.s3_bucket_owner)),
        ("Encryption", encryption(export)),
        ("Timeout", timeout(export)),
        ("Attempt", attempt(export)),
        ("Labels", labels(export)),
        ("Callback", text(&export.callback_url)),
        ("Created", Some(created(export, now))),
        ("Started", at(&export.start_time)),
        ("Ended", ended(export)),
        ("Estimate", estimate_unless_ended(export, now)),
        ("Items", export.item_count.map(count)),
        ("Billed", billed(export)),
        ("Manifest", text(&export.manifest_files_s3_key)),
        ("ARN", text(&export.arn)),
        ("Verified", export.verification.as_ref().map(verification)),
        ("Retry of", text(&export.retry_of)),
        ("Retried by", text(&export.retried_by)),
    ]
}

fn status(status: &str) -> String {
    let style = status_style(status).bold();
    style.apply_to(clean(status)).to_string()
}

fn type_and_format(export: &Export) -> String {
    format!(
        "{}, {}",
        clean(&export.export_type),
        clean(&export.export_format)
    )
}

fn window(export: &Export) -> Option<String> {
    let window = export.incremental_export_specification.as_ref()?;
    let to = window
        .export_to_time
        .as_deref()
        .map_or_else(|| "the time when AWS starts it".to_owned(), time);
    let view = window
        .export_view_type
        .as_deref()
        .map_or_else(String::new, |view| format!(", {}", clean(view)));
    Some(format!("{} to {to}{view}", time(&window.export_from_time)))
}

fn filter(export: &Export) -> Option<String> {
    let filter = export.filter_specification.as_ref()?;
    Some(clean(&filter.to_string()))
}

fn timeout(export: &Export) -> Option<String> {
    let create = clean(&export.timeouts.as_ref()?.create);
    (create != DEFAULT_TIMEOUT).then_some(create)
}

fn labels(export: &Export) -> Option<String> {
    let labels: Vec<_> = export
        .labels
        .iter()
        .map(|(key, value)| format!("{}={}", clean(key), clean(value)))
        .collect();
    (!labels.is_empty()).then(|| labels.join(", "))
}

fn created(export: &Export, now: Timestamp) -> String {
    format!(
        "{} ({}){}",
        time(&export.created_at),
        ago(&export.created_at, now),
        by(export.created_by.as_deref())
    )
}

fn ended(export: &Export) -> Option<String> {
    let end = export.end_time.as_deref()?;
    let took = export
        .start_time
        .as_deref()
        .and_then(|start| between(start, end));
    Some(match took {
        Some(took) => format!("{} (took {})", time(end), span(took)),
        None => time(end),
    })
}

fn estimate_unless_ended(export: &Export, now: Timestamp) -> Option<String> {
    let runs = matches!(export.export_status.as_str(), "PENDING" | "IN_PROGRESS");
    if export.end_time.is_none() && runs {
        estimate(export, now)
    } else {
        None
    }
}

fn billed(export: &Export) -> Option<String> {
    let bytes = export.billed_size_in_bytes?;
    Some(match export.billed_cost {
        Some(cost) => format!("{} ({})", size(bytes), dollars(cost)),
        None => size(bytes),
    })
}

/// Not shown.
const DEFAULT_TIMEOUT: &str = "60m";

/// `None` for the default, S3's own keys.
fn encryption(export: &Export) -> Option<String> {
    let algorithm = export
        .s3_sse_algorithm
        .as_deref()
        .filter(|algorithm| *algorithm != "AES256")?;
    let key = export
        .s3_sse_kms_key_id
        .as_deref()
        .unwrap_or("the bucket's default key");
    Some(format!("{}, {}", clean(algorithm), clean(key)))
}

/// `None` if there can be only one attempt.
fn attempt(export: &Export) -> Option<String> {
    let (attempt, max) = (export.attempt?, export.retry.as_ref()?.max_attempts);
    (max > 1).then(|| format!("{attempt} of at most {max}"))
}

fn by(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(" by {}", clean(name)))
}

/// `s3://bucket/prefix`.
pub(super) fn destination(export: &Export) -> String {
    let prefix = export
        .s3_prefix
        .as_deref()
        .map_or_else(String::new, |prefix| format!("/{}", clean(prefix)));
    format!("s3://{}{prefix}", clean(&export.s3_bucket))
}

fn estimate(export: &Export, now: Timestamp) -> Option<String> {
    let estimate = export.estimate.as_ref()?;
    let end = Timestamp::parse(&estimate.expected_end_time).ok()?;
    let left = end.since(now);
    let when = if left.is_zero() {
        "longer than estimated".to_owned()
    } else {
        format!("about {} left", span(left))
    };
    let basis = match estimate.basis.as_str() {
        "past_exports_of_this_table" => "based on past exports of this table",
        "similar_size" => "based on exports of a similar size",
        _ => "based on how long AWS usually takes",
    };
    let bill = estimate
        .size_in_bytes
        .map(|bytes| format!(", {}", size(bytes)))
        .unwrap_or_default();
    let cost = estimate
        .cost
        .map(|cost| format!(", {}", dollars(cost)))
        .unwrap_or_default();
    Some(format!("{when}, {basis}{bill}{cost}"))
}

fn verification_progress(verification: &Verification) -> String {
    let running = verification.status == "running";
    let checked = count(verification.files_checked);
    let files = match verification.files_total {
        None if running => return "reading the manifests".to_owned(),
        None => counted(verification.files_checked, "file"),
        Some(total) => format!("{checked} of {}", counted(total, "file")),
    };
    let items = counted(verification.items_counted, "item");
    match (verification.deep, running) {
        (false, _) => files,
        (true, true) => format!("{files}, reading all data, {items} so far"),
        (true, false) => format!("{files}, all data read, {items}"),
    }
}

/// The verification's status on one line, then one line per problem.
pub(super) fn verification(verification: &Verification) -> String {
    let mut text = format!(
        "{} ({})",
        status_style(&verification.status).apply_to(clean(&verification.status)),
        verification_progress(verification)
    );
    for finding in &verification.problems {
        text += &format!("\n{}: {}", clean(&finding.key), clean(&finding.detail));
    }
    let more = verification
        .problems_total
        .saturating_sub(verification.problems.len() as u64);
    if more > 0 {
        text += &format!("\nand {} more", count(more));
    }
    text
}
