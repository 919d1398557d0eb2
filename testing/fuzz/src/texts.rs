//! Parsers of texts: ARNs, durations, times, page tokens, settings.

use std::time::Duration;

use tableferry::api::page_token;
use tableferry::domain::aws::arn::{ExportArn, TableArn};
use tableferry::domain::caller::allow::Pattern;
use tableferry::domain::caller::secret::ApiKeySecret;
use tableferry::domain::duration::{CreateTimeout, parse_duration, parse_presign};
use tableferry::domain::timestamp::Timestamp;
use tableferry::settings::{Settings, SettingsError};
use uuid::Uuid;

use crate::targets::Target;

const ARN_WORDS: &[&str] = &[
    "arn:",
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso-b",
    ":dynamodb:",
    "us-east-1",
    "us-gov-west-1",
    ":123456789012:",
    "table/",
    "Orders",
    "/export/",
    "/index/",
    "/stream/",
    "01795400121093-77b9b2a5",
    "-",
    ".",
    "_",
    "\0",
    "é",
    "%2F",
    "*",
];

fn arn_seeds() -> Vec<String> {
    [
        "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
        "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/my-table_1.x",
        "arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1/export/01580735656614-2c2f422e",
    ]
    .map(str::to_owned)
    .to_vec()
}

pub const TABLE_ARN: Target = Target {
    name: "table_arn",
    json: false,
    seeds: arn_seeds,
    words: ARN_WORDS,
    run: |input| {
        let text = String::from_utf8_lossy(input);
        match TableArn::parse(&text) {
            Err(invalid) => invalid.to_string(),
            Ok(arn) => {
                let (partition, region, account, name) = (
                    arn.partition(),
                    arn.region(),
                    arn.account_id(),
                    arn.table_name(),
                );
                assert_eq!(
                    text,
                    format!("arn:{partition}:dynamodb:{region}:{account}:table/{name}"),
                    "the parts make up the whole"
                );
                assert_eq!(
                    TableArn::parse(&arn.to_string()),
                    Ok(arn.clone()),
                    "what is printed is read again"
                );
                assert!(
                    (3..=255).contains(&name.len()) && account.len() == 12 && text.len() <= 1024
                );
                format!("ok {partition} {}", region.matches('-').count())
            }
        }
    },
};

pub const EXPORT_ARN: Target = Target {
    name: "export_arn",
    json: false,
    seeds: arn_seeds,
    words: ARN_WORDS,
    run: |input| {
        let text = String::from_utf8_lossy(input);
        match ExportArn::parse(&text) {
            Err(invalid) => invalid.to_string(),
            Ok((arn, table)) => {
                assert_eq!(arn.as_str(), text);
                assert!(
                    text.starts_with(&format!("{table}/export/")),
                    "it is of its table"
                );
                assert_eq!(ExportArn::parse(arn.as_str()), Ok((arn.clone(), table)));
                format!("ok {}", arn.began().is_some())
            }
        }
    },
};

pub const API_KEY: Target = Target {
    name: "api_key",
    json: false,
    seeds: || {
        vec![
            ApiKeySecret::new(&[7; 32]).expose().to_owned(),
            ApiKeySecret::new(&[0xab; 32]).expose().to_owned(),
        ]
    },
    words: &["tferry_", "_", "0", "f", "F", "é", "\0"],
    run: |input| {
        let text = String::from_utf8_lossy(input);
        match ApiKeySecret::parse(&text) {
            None => format!("none {}", text.starts_with("tferry_")),
            Some(key) => {
                assert_eq!((key.expose(), key.lookup().len()), (&*text, 12));
                assert!(
                    !format!("{key:?}").contains(&text[20..]),
                    "it is not printed"
                );
                "ok".to_owned()
            }
        }
    },
};

pub const PATTERN: Target = Target {
    name: "pattern",
    json: false,
    seeds: || {
        [
            "arn:aws:dynamodb:*:123456789012:table/orders-*",
            "*",
            "orders-*",
            "a*b*c",
            "a*ab*b\naababb",
            "*ab*\nxabx",
        ]
        .map(str::to_owned)
        .to_vec()
    },
    words: &[
        "*", "**", "arn:", "a", "aa", "ab", "orders-", "table/", "\n", ":",
    ],
    run: |input| {
        let both = String::from_utf8_lossy(input);
        // A pattern, and on the next line a text to match.
        let (text, tried) = both.split_once('\n').unwrap_or((&both, &both));
        let (table, bucket) = (Pattern::for_table(text), Pattern::for_bucket(text));
        for pattern in [&table, &bucket].into_iter().flatten() {
            assert_eq!(pattern.as_str(), text);
            assert_eq!(
                pattern.matches(tried),
                globs(text.as_bytes(), tried.as_bytes()),
                "{both}"
            );
            for between in ["", "x", "a*b"] {
                assert!(
                    pattern.matches(&text.replace('*', between)),
                    "a star stands for {between:?}"
                );
            }
            if !text.contains('*') {
                assert!(
                    !pattern.matches(&format!("{text}x")) && !pattern.matches(&format!("x{text}"))
                );
            }
        }
        let matches = [&table, &bucket]
            .into_iter()
            .flatten()
            .any(|pattern| pattern.matches(tried));
        let words = if table.is_ok() || bucket.is_ok() {
            "ok"
        } else {
            "no pattern"
        };
        format!(
            "{words} {} {} {matches} {}",
            table.is_ok(),
            bucket.is_ok(),
            "x".repeat(text.matches('*').count().min(9))
        )
    },
};

/// A reference implementation: which prefixes of the text the pattern so far can match.
fn globs(pattern: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for letter in pattern {
        if *letter == b'*' {
            let first = reached
                .iter()
                .position(|reached| *reached)
                .unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for at in (0..text.len()).rev() {
                reached[at + 1] = reached[at] && text[at] == *letter;
            }
            reached[0] = false;
        }
    }
    reached[text.len()]
}

pub const DURATION: Target = Target {
    name: "duration",
    json: false,
    seeds: || {
        ["60m", "1h30m", "90s", "2000ms", "2160h", "5s", "12h"]
            .map(str::to_owned)
            .to_vec()
    },
    words: &[
        "h",
        "m",
        "s",
        "ms",
        "0",
        "18446744073709551615",
        "5124095576",
        "1",
        "00",
        "-",
        "+",
        ".",
        "e9",
        "é",
        " ",
    ],
    run: |input| {
        let text = String::from_utf8_lossy(input);
        let read = parse_duration(&text);
        if let Some(duration) = read {
            let printed = format!("{}ms", duration.as_millis());
            assert_eq!(
                parse_duration(&printed),
                Some(duration),
                "what is printed is read again"
            );
        }
        let presign = parse_presign(&text).ok();
        assert!(presign.is_none_or(|d| Some(d) == read && (5..=12 * 3600).contains(&d.as_secs())));
        match CreateTimeout::parse(&text) {
            Err(invalid) => format!("{invalid} {} {}", read.is_some(), presign.is_some()),
            Ok(timeout) => {
                assert_eq!((timeout.as_str(), Some(timeout.duration())), (&*text, read));
                assert!(
                    timeout.duration() >= Duration::from_secs(1)
                        && timeout.duration() <= Duration::from_secs(90 * 24 * 3600)
                );
                format!("ok {}", presign.is_some())
            }
        }
    },
};

pub const TIMESTAMP: Target = Target {
    name: "timestamp",
    json: false,
    seeds: || {
        [
            "2026-04-02T11:30:13Z",
            "2026-04-02T11:30:13.123456789+01:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:60Z",
        ]
        .map(str::to_owned)
        .to_vec()
    },
    words: &[
        "T",
        "Z",
        "t",
        "z",
        "-",
        ":",
        "+23:59",
        "-23:59",
        "0000",
        "9999",
        "12-31",
        "02-29",
        "23:59:60",
        ".999999999",
        ".",
        "\u{2212}",
    ],
    run: |input| match Timestamp::parse(&String::from_utf8_lossy(input)) {
        Err(invalid) => invalid.to_string(),
        Ok(time) => {
            let printed = time.to_string();
            assert_eq!(
                Timestamp::parse(&printed),
                Ok(time),
                "what is printed is read again: {printed}"
            );
            assert!(
                printed.ends_with('Z')
                    && time.whole_seconds() <= time
                    && time.since(time).is_zero()
            );
            // Times far beyond either end must not panic.
            let century = Duration::from_secs(3_155_760_000);
            assert!(time.minus(century) <= time && time.plus(century) >= time);
            format!("ok {}", printed.len())
        }
    },
};

const LIST: &str = "exports that FAILED";

/// Page tokens of lists.
pub const PAGE_TOKEN: Target = Target {
    name: "page_token",
    json: false,
    seeds: || {
        let tokens =
            [Uuid::nil(), Uuid::max(), Uuid::from_u128(7)].map(|id| page_token::after(id, &LIST));
        tokens
            .into_iter()
            .chain(["".to_owned(), "AAAA".to_owned()])
            .collect()
    },
    words: &["AAAA", "_", "-", "=", "==", "/", "+", "%3D", "é"],
    run: |input| {
        let text = String::from_utf8_lossy(input);
        match page_token::read(&text, &LIST) {
            Err(invalid) => format!("{invalid} {}", text.len().min(40)),
            Ok(id) => {
                assert_eq!(page_token::after(id, &LIST), text, "a token has one form");
                assert!(
                    page_token::read(&text, &"exports").is_err(),
                    "a token is of its list"
                );
                "ok".to_owned()
            }
        }
    },
};

/// Page tokens of an export's files.
pub const FILES_TOKEN: Target = Target {
    name: "files_token",
    json: false,
    seeds: || {
        [0, 7, u64::MAX]
            .map(|offset| page_token::at_offset(Uuid::from_u128(7), offset))
            .to_vec()
    },
    words: PAGE_TOKEN.words,
    run: |input| {
        let text = String::from_utf8_lossy(input);
        match page_token::read_offset(&text, Uuid::from_u128(7)) {
            Err(invalid) => format!("{invalid} {}", text.len().min(40)),
            Ok(offset) => {
                assert_eq!(
                    page_token::at_offset(Uuid::from_u128(7), offset),
                    text,
                    "a token has one form"
                );
                assert!(
                    page_token::read_offset(&text, Uuid::from_u128(8)).is_err(),
                    "a token is of its export"
                );
                "ok".to_owned()
            }
        }
    },
};

pub const SETTINGS: Target = Target {
    name: "settings_file",
    json: false,
    seeds: || {
        [
            "listen = \"127.0.0.1:1\"\nauth = \"none\"\npoll_interval_min_ms = 500\nmax_connections = 5\nlog_format = \"json\"\n",
            "webhook_allow_hosts = [\"hooks.example\", \"10.20.0.0/16\", \"*.x\"]\nwebhook_ports = [443, \"9000-9100\"]\nlook_burst = 1.5\n",
            "[[accounts]]\naccount_id = \"111122223333\"\nrole_arn = \"arn:aws:iam::111122223333:role/a\"\nexternal_id = \"x-y\"\n",
            "retain_exports_days = 3\nwebhook_secret = \"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"\n[price_usd_per_gb]\ndefault = 0.2\neu-west-1 = 1\n",
        ]
        .map(str::to_owned)
        .to_vec()
    },
    words: &[
        "listen",
        "tls_cert",
        "tls_key",
        "max_requests",
        "start_rate_per_s",
        "encryption_key",
        "retain_attempts_days",
        "= \"",
        "\"\n",
        "[[accounts]]\n",
        "= 0\n",
        "= -1\n",
        "= nan\n",
        "= 1e308\n",
        "[",
        "]",
        ",",
        "\"\"\"",
        "forever",
        "true",
        "::",
        "0.0.0.0/0",
        "1-65535",
        "\0",
    ],
    run: |input| match Settings::read([], Some(&String::from_utf8_lossy(input))) {
        Err(SettingsError::UnknownKey { .. }) => "no such key".to_owned(),
        Err(error) => error.to_string(),
        Ok(settings) => {
            assert!(
                settings.aws.poll.min <= settings.aws.poll.max
                    && settings.http.connection_limits.connections >= 1
                    && settings.http.request_limits.requests >= 1
            );
            assert!(
                settings.aws.lanes.starts.rate_per_s > 0.0
                    && settings.aws.lanes.polls.rate_per_s > 0.0
            );
            format!(
                "ok {} {}",
                settings.aws.accounts.len(),
                settings.http.tls.is_some()
            )
        }
    },
};
