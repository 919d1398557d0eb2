//! Parsers of JSON bodies: a create request, a webhook endpoint, a filter; and the fingerprint that
//! distinguishes bodies.

use serde_json::{Map, Value, json};
use tableferry::api::api_keys::create as api_key_request;
use tableferry::api::exports::request;
use tableferry::api::webhooks::request as endpoint_request;
use tableferry::api_types::endpoint::EndpointView;
use tableferry::api_types::export::ExportView;
use tableferry::domain::caller::allow::Pattern;
use tableferry::domain::caller::scope::Scope;
use tableferry::domain::export::attempt::Attempt;
use tableferry::domain::export::filter::FilterSpecification;
use tableferry::domain::export::request::ExportRequest;
use tableferry::domain::export::{Export, ExportState, Origin};
use tableferry::domain::fingerprint::fingerprint;
use tableferry::domain::ids::{ClientToken, ExportId};
use tableferry::domain::timestamp::Timestamp;
use tableferry::domain::webhook::CallbackPolicy;
use tableferry::domain::webhook::endpoint::EndpointId;
use tableferry::domain::webhook::policy::{HostList, UrlPolicy};
use tableferry::webhooks::vault::Vault;
use uuid::Uuid;

use crate::targets::Target;

const NOW: &str = "2026-11-26T12:00:00Z";

/// The fields of the resource that a request also has.
const ASKED: [&str; 15] = [
    "table_arn",
    "s3_bucket",
    "s3_bucket_owner",
    "s3_prefix",
    "s3_sse_algorithm",
    "s3_sse_kms_key_id",
    "export_format",
    "export_type",
    "export_time",
    "incremental_export_specification",
    "filter_specification",
    "timeouts",
    "labels",
    "verify",
    "retry",
];

const WORDS: &[&str] = &[
    "table_arn",
    "s3_bucket",
    "s3_bucket_owner",
    "s3_prefix",
    "s3_sse_algorithm",
    "s3_sse_kms_key_id",
    "export_format",
    "export_type",
    "export_time",
    "incremental_export_specification",
    "export_from_time",
    "export_to_time",
    "export_view_type",
    "filter_specification",
    "filter_expression",
    "projection_expression",
    "key_condition_expression",
    "expression_attribute_names",
    "expression_attribute_values",
    "timeouts",
    "create",
    "labels",
    "verify",
    "retry",
    "max_attempts",
    "callback_url",
    "callback_secret",
    "callback_headers",
    "url",
    "description",
    "event_types",
    "headers",
    "disabled",
    "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
    "KMS",
    "AES256",
    "ION",
    "INCREMENTAL_EXPORT",
    "NEW_IMAGES",
    "2026-11-25T12:00:00Z",
    "2026-11-26T11:59:59.999999999+14:00",
    "https://hooks.example.com/x",
    "http://[::1]:443",
    "export.completed",
    "webhook.ping",
    ":v",
    "#n",
    "S",
    "N",
    "M",
    "L",
    "SS",
    "NULL",
    "BOOL",
    "B",
    "1h",
    "99999999h",
    "xn--",
    "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "alias/a",
    "123456789012",
    "X-Api-Key",
    "content-type",
    "\u{0}",
    "\u{7f}",
    "é",
    " ",
    "..",
    "a = :v AND #n < :v",
    "1e400",
    "-0",
    "0.1",
];

fn policy() -> CallbackPolicy {
    CallbackPolicy {
        urls: UrlPolicy::new(false, HostList::default(), None),
        has_default_secret: true,
    }
}

/// Parses as the API parses a request body: anything but an object is rejected.
fn object(input: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(input) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("no object".to_owned()),
        Err(error) => Err(format!("no JSON {:?}", error.classify())),
    }
}

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap_or_else(|_| unreachable!("a constant"))
}

/// The resource as a caller sees it, if it were requested now.
fn resource(request: ExportRequest) -> Value {
    let export = Export {
        id: ExportId(Uuid::nil()),
        version: 1,
        created_at: now(),
        created_by: None,
        updated_at: now(),
        origin: Origin::Created {
            client_token: ClientToken::from_uuid(Uuid::nil()),
            token_made_at: now(),
        },
        request,
        state: ExportState::Pending,
        status_reason: None,
        verification: None,
        attempt: Attempt::default(),
        estimate: None,
        trace_parent: None,
    };
    json!(ExportView::from(&export))
}

/// Bodies of create requests.
pub const CREATE_EXPORT: Target = Target {
    name: "create_export",
    json: true,
    seeds: || {
        let table = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";
        [
            json!({"table_arn": table, "s3_bucket": "tableferry-exports"}),
            json!({"table_arn": table, "s3_bucket": "tableferry-exports", "s3_prefix": "daily", "s3_bucket_owner": "123456789012", "s3_sse_algorithm": "KMS",
                "s3_sse_kms_key_id": "alias/a", "export_format": "ION", "export_time": "2026-11-25T12:00:00+01:00", "timeouts": {"create": "1h30m"},
                "labels": {"team": "orders"}, "verify": true, "retry": {"max_attempts": 3}}),
            json!({"table_arn": table, "s3_bucket": "tableferry-exports", "export_type": "INCREMENTAL_EXPORT", "callback_url": "https://hooks.example.com/x",
                "callback_secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "callback_headers": {"X-Team": "orders"},
                "incremental_export_specification": {"export_from_time": "2026-11-25T12:00:00Z", "export_to_time": "2026-11-25T13:00:00Z", "export_view_type": "NEW_IMAGES"}}),
            json!({"table_arn": table, "s3_bucket": "tableferry-exports", "filter_specification": {"filter_expression": "#n = :v",
                "expression_attribute_names": {"#n": "status"}, "expression_attribute_values": {":v": {"M": {"a": {"L": [{"S": "x"}, {"N": "1"}]}}}}}}),
        ]
        .map(|body| body.to_string())
        .to_vec()
    },
    words: WORDS,
    run: |input| {
        let body = match object(input) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let vault = Vault::new(&[]);
        match request::read(&body, &policy(), &vault, now()) {
            Err(problem) => problem.in_words(),
            Ok(read) => {
                // The response can be used as a request again, for the same export.
                let asked = ExportRequest {
                    callback: None,
                    ..read
                };
                let mut shown = resource(asked.clone());
                let members = shown
                    .as_object_mut()
                    .map(std::mem::take)
                    .unwrap_or_default();
                let again: Map<_, _> = members
                    .into_iter()
                    .filter(|(name, _)| ASKED.contains(&name.as_str()))
                    .collect();
                match request::read(&again, &policy(), &vault, now()) {
                    Ok(second) => assert_eq!(second, asked, "{again:?}"),
                    Err(problem) => panic!(
                        "its own words are refused: {} {again:?}",
                        problem.in_words()
                    ),
                }
                let given: String = body
                    .iter()
                    .filter(|(_, v)| !v.is_null())
                    .map(|(name, _)| format!("{name}; "))
                    .collect();
                format!("ok {} {given}", asked.kind.as_str())
            }
        }
    },
};

/// Bodies of webhook endpoints.
pub const WEBHOOK_ENDPOINT: Target = Target {
    name: "webhook_endpoint",
    json: true,
    seeds: || {
        [
            json!({"url": "https://hooks.example.com/tableferry"}),
            json!({"url": "https://hooks.example.com:8443/a?b=c#d", "description": "tells", "event_types": ["export.completed", "export.failed"],
                "labels": {"team": "orders"}, "headers": {"X-Api-Key": "k"}, "disabled": true}),
        ]
        .map(|body| body.to_string())
        .to_vec()
    },
    words: WORDS,
    run: |input| {
        let body = match object(input) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let vault = Vault::new(&[]);
        let made = |body: &Map<String, Value>| {
            endpoint_request::read_new(body, &policy(), &vault)
                .map(|new| new.into_endpoint(EndpointId(Uuid::nil()), None, now()))
                .map_err(|problem| problem.in_words())
        };
        match made(&body) {
            Err(words) => words,
            Ok(endpoint) => {
                let mut shown = json!(EndpointView::from(&endpoint));
                let members = shown
                    .as_object_mut()
                    .map(std::mem::take)
                    .unwrap_or_default();
                let wanted = ["url", "description", "event_types", "labels", "disabled"];
                let again: Map<_, _> = members
                    .into_iter()
                    .filter(|(name, _)| wanted.contains(&name.as_str()))
                    .collect();
                let second = made(&again)
                    .unwrap_or_else(|words| panic!("its own words are refused: {words} {again:?}"));
                let (first, second) = (&endpoint.spec, &second.spec);
                assert_eq!(
                    (&first.url, &first.description),
                    (&second.url, &second.description)
                );
                assert_eq!(
                    (&first.event_types, &first.labels),
                    (&second.event_types, &second.labels)
                );
                let given: String = body
                    .iter()
                    .filter(|(_, v)| !v.is_null())
                    .map(|(name, _)| format!("{name}; "))
                    .collect();
                format!("ok {given}")
            }
        }
    },
};

/// Bodies of new API keys.
pub const NEW_API_KEY: Target = Target {
    name: "new_api_key",
    json: true,
    seeds: || {
        [
            json!({"name": "root", "scopes": ["admin"]}),
            json!({"name": "orders-team", "scopes": ["exports:read", "exports:write"], "table_arns": ["arn:aws:dynamodb:*:123456789012:table/orders-*"],
                "s3_buckets": ["orders-*"], "rate_limit_per_s": 2.5, "expires_at": "2027-01-01T00:00:00+02:00"}),
        ]
        .map(|body| body.to_string())
        .to_vec()
    },
    words: WORDS,
    run: |input| {
        let body = match object(input) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        match api_key_request::read(&body, now()) {
            Err(problem) => problem.in_words(),
            Ok(new) => {
                let scopes: Vec<_> = new.grant.scopes().iter().map(Scope::as_str).collect();
                let texts = |patterns: &[Pattern]| {
                    patterns
                        .iter()
                        .map(|pattern| pattern.as_str().to_owned())
                        .collect::<Vec<_>>()
                };
                let allow = new.grant.allow();
                let again = json!({"name": new.name.as_str(), "scopes": scopes, "table_arns": texts(allow.tables()),
                    "s3_buckets": texts(allow.buckets()), "rate_limit_per_s": new.rate_per_s, "expires_at": new.expires_at});
                let again = again.as_object().cloned().unwrap_or_default();
                let second = api_key_request::read(&again, now()).unwrap_or_else(|problem| {
                    panic!("its own words are refused: {}", problem.in_words())
                });
                assert_eq!(new, second);
                assert!(allow.is_everything() || !new.grant.scopes().allow(Scope::Admin));
                format!("ok {} {}", scopes.join(" "), allow.is_everything())
            }
        }
    },
};

pub const FILTER: Target = Target {
    name: "filter",
    json: true,
    seeds: || {
        [
            json!({"filter_expression": "#n = :v", "expression_attribute_names": {"#n": "status"}, "expression_attribute_values": {":v": {"S": "open"}}}),
            json!({"projection_expression": "a, b.c[0]", "key_condition_expression": "pk = :v",
                "expression_attribute_values": {":v": {"S": "x"}}}),
            json!({"filter_expression": "contains(a, :v)",
                "expression_attribute_values": {":v": {"M": {"a": {"L": [{"N": "1"}, {"SS": ["a", "b"]}, {"BOOL": true}, {"NULL": true}, {"B": "AAAA"}]}}}}}),
        ]
        .map(|body| body.to_string())
        .to_vec()
    },
    words: WORDS,
    run: |input| {
        let Ok(json) = serde_json::from_slice::<Value>(input) else {
            return "no JSON".to_owned();
        };
        match FilterSpecification::parse(&json) {
            Err(errors) => {
                assert!(!errors.is_empty(), "what is refused has a reason");
                // Without the parts of the message that come from the input.
                errors
                    .iter()
                    .map(|(_, invalid)| {
                        invalid
                            .to_string()
                            .split([';', '"', '{'])
                            .next()
                            .unwrap_or_default()
                            .to_owned()
                    })
                    .collect()
            }
            Ok(filter) => {
                assert_eq!(
                    FilterSpecification::from_db(&filter.to_json()),
                    Ok(filter.clone()),
                    "what is stored is the same"
                );
                assert_eq!(
                    FilterSpecification::parse(&filter.to_json()),
                    Ok(filter.clone()),
                    "what is printed is read again"
                );
                let given: String = json
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| format!("{name}; "))
                    .collect();
                format!("ok {given}")
            }
        }
    },
};

pub const FINGERPRINT: Target = Target {
    name: "fingerprint",
    json: true,
    seeds: CREATE_EXPORT.seeds,
    words: WORDS,
    run: |input| {
        let Ok(json) = serde_json::from_slice::<Value>(input) else {
            return "no JSON".to_owned();
        };
        let print = fingerprint(&json);
        // serde_json reads a fraction, or a number beyond 64 bits, with an error in the last digit,
        // so printing and parsing it again can give a different number.
        if numbers_are_exact(&json) {
            let printed =
                serde_json::to_string_pretty(&json).and_then(|text| serde_json::from_str(&text));
            assert!(
                printed.is_ok_and(|again| fingerprint(&again) == print),
                "what is printed has the same fingerprint"
            );
        }
        if let Value::Object(mut members) = json.clone() {
            members.insert("a field that is null".to_owned(), Value::Null);
            assert_eq!(
                fingerprint(&Value::Object(members.clone())),
                print,
                "a null makes no difference"
            );
            members.insert("a field that is not".to_owned(), Value::Bool(false));
            assert_ne!(fingerprint(&Value::Object(members)), print, "a value does");
        }
        format!("ok {}", json.to_string().len() / 64)
    },
};

fn numbers_are_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::Array(all) => all.iter().all(numbers_are_exact),
        Value::Object(all) => all.values().all(numbers_are_exact),
        _ => true,
    }
}
