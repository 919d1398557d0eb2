//! STS (query protocol, XML responses). AssumeRole returns credentials whose access key id is the
//! role's account, which both listeners use as the caller's account. GetCallerIdentity returns that
//! account.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;

use crate::arn::{is_account_id, partition_of};
use crate::caller::Caller;
use crate::control::Call;
use crate::faults::Instead;
use crate::serve::CutConnection;
use crate::world::World;

/// How long assumed credentials are valid if the call does not set DurationSeconds.
const LIFE: Duration = Duration::hours(1);

/// An error: status, code, message.
type Refusal = (u16, &'static str, String);

pub(crate) async fn answer(world: &Arc<World>, caller: &Caller, body: &[u8]) -> Response {
    let form = parse(body);
    let operation = form.get("Action").cloned().unwrap_or_default();
    let logged: Map<_, _> = form
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut call = Call::begin(world, caller, &operation, Some(&logged));
    let disturbance = world.faults().disturb(&operation, None, &caller.region);
    if let Some(delay_ms) = disturbance.delay_ms {
        tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
    }
    call.fault = disturbance.name();
    let result = match disturbance.instead {
        Some(Instead::Hang) => {
            call.end(world, "Hang", false);
            std::future::pending().await
        }
        Some(Instead::AccessDenied) => Err(denied(&form, caller)),
        Some(Instead::Throttle) => Err((400, "Throttling", "Rate exceeded".to_owned())),
        Some(Instead::ExpiredCredentials) => Err((
            403,
            "ExpiredToken",
            "The security token included in the request is expired".to_owned(),
        )),
        Some(Instead::Error500) => Err((
            500,
            "InternalFailure",
            "We encountered an internal error. Please try again.".to_owned(),
        )),
        None if operation == "AssumeRole" => assume(world, caller, &form),
        None if operation == "GetCallerIdentity" => Ok(identity(caller)),
        None => Err((
            400,
            "InvalidAction",
            format!("Could not find operation {operation} for version 2011-06-15"),
        )),
    };
    call.end(
        world,
        result.as_ref().map_or_else(|refusal| refusal.1, |_| "OK"),
        result.is_ok(),
    );
    let mut response = respond(result);
    if disturbance.drop_answer {
        response.extensions_mut().insert(CutConnection);
    }
    response
}

fn assume(
    world: &World,
    caller: &Caller,
    form: &BTreeMap<String, String>,
) -> Result<String, Refusal> {
    let role = form.get("RoleArn").map(String::as_str).unwrap_or_default();
    let Some((account, name)) = role_of(role) else {
        return Err((400, "ValidationError", format!("{role} is invalid")));
    };
    let session = form
        .get("RoleSessionName")
        .map(String::as_str)
        .unwrap_or_default();
    if session.is_empty() {
        return Err((
            400,
            "ValidationError",
            "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must not be null".to_owned(),
        ));
    }
    let wanted = world.state().external_ids.get(role).cloned();
    if wanted.is_some() && wanted.as_ref() != form.get("ExternalId") {
        return Err(denied(form, caller));
    }
    let asked = form
        .get("DurationSeconds")
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::seconds);
    // Clients compare the expiry with their own clock.
    let ends_at = crate::clock::Clock::real_time()
        .saturating_add(asked.unwrap_or(LIFE))
        .format(&Rfc3339)
        .unwrap_or_default();
    let session = escape(session);
    Ok(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROASIMULATED:{session}</AssumedRoleId><Arn>arn:aws:sts::{account}:assumed-role/{}/{session}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{account}</AccessKeyId><SecretAccessKey>assumed</SecretAccessKey><SessionToken>assumed</SessionToken>\
         <Expiration>{ends_at}</Expiration></Credentials></AssumeRoleResult>\
         <ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></AssumeRoleResponse>",
        escape(name)
    ))
}

fn identity(caller: &Caller) -> String {
    let (account, partition) = (&caller.account, partition_of(&caller.region));
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:{partition}:iam::{account}:user/caller</Arn><UserId>AIDASIMULATED</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    )
}

/// STS returns the same error whether the role is missing, its trust policy denies the caller, or
/// the external id is wrong.
fn denied(form: &BTreeMap<String, String>, caller: &Caller) -> Refusal {
    let role = form.get("RoleArn").map(String::as_str).unwrap_or_default();
    let who = format!("arn:aws:iam::{}:user/caller", caller.account);
    (
        403,
        "AccessDenied",
        format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {role}"),
    )
}

/// Account and name of `arn:<partition>:iam::<account>:role/<path and name>`.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(_), Some("iam"), Some(""), Some(account), Some(resource)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    (is_account_id(account) && !name.is_empty()).then_some((account, name))
}

fn parse(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let plain = |part: &str| {
        percent_decode_str(&part.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn respond(result: Result<String, Refusal>) -> Response {
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err((status, code, message)) => {
            let side = if status >= 500 { "Receiver" } else { "Sender" };
            let message = escape(&message);
            let body = format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{side}</Type><Code>{code}</Code>\
                 <Message>{message}</Message></Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
            );
            (status, body)
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/xml"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_roles_are_taken_apart() {
        let form = parse(b"Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fpath%2Fname&x=a+b");
        assert_eq!(
            (form["Action"].as_str(), form["x"].as_str()),
            ("AssumeRole", "a b")
        );
        assert_eq!(role_of(&form["RoleArn"]), Some(("111122223333", "name")));
        assert_eq!(role_of("arn:aws:iam::111122223333:user/name"), None);
    }
}
