//! ListExports: newest first within a table, 25 per page. Faults can change both.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::describe::is_forgotten;
use super::request;
use crate::dynamodb::context::Context;
use crate::dynamodb::error::ApiError;
use crate::dynamodb::input::{Input, Violations};

const MAX_RESULTS: i64 = 25;
const TOKEN_MARK: &str = "exports:";

pub(in crate::dynamodb) async fn list(
    context: &Context<'_>,
    input: Input<'_>,
) -> Result<Value, ApiError> {
    let (table_arn, most, token) = (
        input.text("TableArn")?,
        input.integer("MaxResults")?,
        input.text("NextToken")?,
    );
    let mut violations = Violations::default();
    violations.length(table_arn, "tableArn", 1, 1024);
    if let Some(most) = most {
        violations.check(
            most >= 1,
            "maxResults",
            most,
            "have value greater than or equal to 1",
        );
        violations.check(
            most <= MAX_RESULTS,
            "maxResults",
            most,
            "have value less than or equal to 25",
        );
    }
    violations.report()?;
    table_arn.map_or(Ok(()), |arn| context.admit(arn))?;
    let table = table_arn.map(request::table).transpose()?;
    let after = token.map(|token| {
        let arn = BASE64
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let arn = arn.and_then(|text| text.strip_prefix(TOKEN_MARK).map(str::to_owned));
        arn.ok_or_else(|| {
            ApiError::invalid_request(format_args!("Provided nextToken is invalid: {token}"))
        })
    });
    let after = after.transpose()?;
    if let Some(token) = token.filter(|_| context.list.refuse_page_token) {
        return Err(ApiError::invalid_request(format_args!(
            "Provided nextToken is invalid: {token}"
        )));
    }
    context.world.finish_due().await;
    let now = context.world.clock.now();
    let account = table
        .as_ref()
        .map_or(&context.caller.account, |table| &table.account);
    let state = context.world.state();
    // Exports belong to one incarnation of a table: a table that was deleted and created again
    // under the same name has none.
    let table_id = table.as_ref().map(|table| {
        let here = state.table(&table.account, &context.caller.region, &table.table);
        here.filter(|_| table.region == context.caller.region)
            .map(|here| here.id.clone())
            .unwrap_or_default()
    });
    let mut listed: Vec<_> = state
        .exports()
        .rev()
        .filter(|export| {
            &export.account == account
                && export.region == context.caller.region
                && table_id.as_ref().is_none_or(|id| &export.table_id == id)
                && !is_forgotten(export, now)
        })
        .collect();
    if context.list.hide {
        listed = listed.into_iter().skip(1).step_by(2).collect();
    }
    if context.list.shuffle {
        listed.sort_by_key(|export| crc32fast::hash(export.arn.as_bytes()));
    }
    let from = after
        .and_then(|after| listed.iter().position(|export| export.arn == after))
        .map_or(0, |last| last + 1);
    let mut found = listed.into_iter().skip(from);
    let most = usize::try_from(most.unwrap_or(MAX_RESULTS)).unwrap_or(25);
    let page: Vec<_> = found.by_ref().take(most).collect();
    let mut answer = json!({"ExportSummaries": page.iter().map(|export| json!({
        "ExportArn": export.arn, "ExportStatus": export.status(), "ExportType": export.export_type(),
    })).collect::<Vec<_>>()});
    if let (Some(last), true) = (page.last(), found.next().is_some()) {
        answer["NextToken"] = json!(BASE64.encode(format!("{TOKEN_MARK}{}", last.arn)));
    }
    Ok(answer)
}
