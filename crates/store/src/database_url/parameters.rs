//! The parameters of `DATABASE_URL`: names, values, and why others are refused.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::{Draft, TlsMode, UrlProblems, decode, unless_empty};

/// Parameters that have an effect, in the order in which messages list them.
const SUPPORTED: [&str; 20] = [
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "options[name]",
    "target_session_attrs",
    "load_balance_hosts",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// sqlx's names for some of them.
const ALIASES: [(&str, &str); 6] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("ssl", "sslmode"),
];

/// Names of other programs for some of them that are too different to be found as a misspelling.
const FOREIGN_NAMES: [(&str, &str); 7] = [
    ("database", "dbname"),
    ("username", "user"),
    ("pass", "password"),
    ("hostname", "host"),
    ("schema", "options[search_path]"),
    ("search_path", "options[search_path]"),
    ("currentschema", "options[search_path]"),
];

/// Parameters that are accepted with values that change nothing: the name, these values, and what
/// Tableferry does not support.
const HARMLESS: [(&str, &[&str], &str); 7] = [
    (
        "channel_binding",
        &["disable", "prefer"],
        "channel binding (sslmode=verify-full verifies the server)",
    ),
    (
        "gssencmode",
        &["disable", "prefer"],
        "encryption by GSSAPI (sslmode=verify-full encrypts by TLS)",
    ),
    ("sslnegotiation", &["postgres"], "direct TLS negotiation"),
    ("sslcompression", &["0"], "compression by TLS"),
    ("sslsni", &["1"], "disabling SNI"),
    ("client_encoding", &["auto", "UTF8"], "another encoding"),
    (
        "load_balance_hosts",
        &["disable"],
        "hosts in random order, since it must find the one that takes writes",
    ),
];

/// Parameters of libpq, sqlx or poolers that Tableferry does not support, with what to do instead.
const REFUSED: [(&str, &str); 31] = [
    ("hostaddr", "name the host instead"),
    ("passfile", "set PGPASSFILE in the environment"),
    ("service", "write what the service file says into the URL"),
    (
        "servicefile",
        "write what the service file says into the URL",
    ),
    (
        "sslpassword",
        "sslkey must name a key that is not encrypted",
    ),
    ("sslcrl", ""),
    ("sslcrldir", ""),
    (
        "sslcertmode",
        "the client's certificate is sent if sslcert and sslkey are set",
    ),
    ("ssl_min_protocol_version", "the minimum is always TLS 1.2"),
    ("ssl_max_protocol_version", ""),
    ("sslkeylogfile", ""),
    ("requiressl", "use sslmode=require"),
    (
        "require_auth",
        "sslmode=verify-full verifies the server before it gets the password",
    ),
    (
        "requirepeer",
        "let only the server's user write to the directory of the socket",
    ),
    ("krbsrvname", ""),
    ("gsslib", ""),
    ("gssdelegation", ""),
    ("authtype", ""),
    ("replication", ""),
    ("tty", ""),
    ("min_protocol_version", ""),
    ("max_protocol_version", ""),
    ("scram_client_key", "use password"),
    ("scram_server_key", "use password"),
    ("oauth_issuer", "use password or sslcert"),
    ("oauth_client_id", "use password or sslcert"),
    ("oauth_client_secret", "use password or sslcert"),
    ("oauth_scope", "use password or sslcert"),
    ("oauth_ca_file", "use password or sslcert"),
    (
        "pgbouncer",
        "a pooler in transaction mode is detected automatically",
    ),
    (
        "statement-cache-capacity",
        "with sqlx 0.9 a capacity of 0 leaks every prepared statement in Postgres and does not help with poolers, and a pooler in \
         transaction mode is detected automatically",
    ),
];

/// Accepted, without effect.
const FALLBACK: &str = "fallback_application_name";

/// The largest number that libpq accepts.
const MAX: u32 = i32::MAX.unsigned_abs();

/// The maxima of Linux for the times of keepalive, in seconds, and for the number of probes.
const MAX_SECONDS: u32 = 32_767;
const MAX_PROBES: u32 = 127;

/// Reads the part after the `?`.
pub(super) fn read(query: &str, draft: &mut Draft, problems: &mut UrlProblems) {
    let mut given: Vec<String> = Vec::new();
    if query.is_empty() {
        return;
    }
    // libpq accepts one & at the end.
    let query = query.strip_suffix('&').unwrap_or(query);
    for (index, pair) in query.split('&').enumerate() {
        // An unknown name may be part of a password: its position is reported instead.
        let place = format!("parameter {} after the ?", index + 1);
        let Some((name, value)) = pair.split_once('=') else {
            problems.push(format!(
                "{place} must be name=value (an & in a value is written as %26)"
            ));
            continue;
        };
        let Some(name) = decode(name, &place, problems) else {
            continue;
        };
        let canonical = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name.as_str(), |(_, canonical)| canonical);
        if let Err(sentence) = check_name(canonical, &place) {
            problems.push(sentence);
            continue;
        }
        let shown_name = if setting_name(canonical).is_some() {
            "options[name]"
        } else {
            canonical
        };
        if given.iter().any(|other| other == canonical) {
            problems.push(format!("{shown_name} is given twice"));
            continue;
        }
        given.push(canonical.to_owned());
        if value.contains('=') {
            problems.push(format!(
                "{shown_name} holds an = in its value, which must be written as %3D"
            ));
            continue;
        }
        let Some(value) = decode(value, shown_name, problems) else {
            continue;
        };
        if let Err(sentence) = set(&name, canonical, value, draft) {
            problems.push(sentence);
        }
    }
}

/// Checks that a parameter of this name is supported; the error says why not.
fn check_name(name: &str, place: &str) -> Result<(), String> {
    let is_read = SUPPORTED.contains(&name)
        || name == FALLBACK
        || HARMLESS.iter().any(|(harmless, ..)| *harmless == name);
    if is_read || setting_name(name).is_some() {
        return Ok(());
    }
    if let Some(refusal) = refusal(name) {
        return Err(refusal);
    }
    match nearest(name) {
        Some(near) => {
            let but = refusal(near)
                .map(|refusal| format!(" {refusal}"))
                .unwrap_or_default();
            Err(format!(
                "{name} is not a parameter: did you mean {near}?{but}"
            ))
        }
        None => Err(format!(
            "{place} is not known: supported are {}",
            SUPPORTED.join(", ")
        )),
    }
}

/// Why a parameter is refused; `None` if it is not.
fn refusal(name: &str) -> Option<String> {
    let (name, instead) = REFUSED.iter().find(|(refused, _)| *refused == name)?;
    let colon = if instead.is_empty() { "" } else { ": " };
    Some(format!(
        "Tableferry does not support {name}{colon}{instead}"
    ))
}

/// The name that this one may be a misspelling of.
fn nearest(name: &str) -> Option<&'static str> {
    if !name.chars().all(|c| c.is_ascii_graphic()) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    if let Some((_, ours)) = FOREIGN_NAMES.iter().find(|(theirs, _)| *theirs == name) {
        return Some(ours);
    }
    let harmless = HARMLESS.iter().map(|(name, ..)| *name);
    let refused = REFUSED.iter().map(|(name, _)| *name);
    let known = SUPPORTED.into_iter().chain(harmless).chain(refused);
    let distances = known.map(|known| (strsim::damerau_levenshtein(&name, known), known));
    // So similar that repeating the name reveals no more than the suggestion does.
    distances
        .filter(|(distance, known)| *distance <= (known.len() / 3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Reads the value of a parameter.
fn set(name: &str, canonical: &str, value: String, draft: &mut Draft) -> Result<(), String> {
    let url = &mut draft.url;
    match canonical {
        "host" => draft.hosts = value,
        "port" => draft.ports = value,
        "dbname" => url.database = unless_empty(value),
        "user" => url.user = unless_empty(value),
        "password" => url.password = unless_empty(value).map(SecretString::from),
        "sslmode" => url.tls.mode = Some(read_mode(name, &value)?),
        "sslrootcert" => url.tls.root_cert = Some(read_file(canonical, value)?),
        "sslcert" => url.tls.client_cert = Some(read_file(canonical, value)?),
        "sslkey" => url.tls.client_key = Some(read_file(canonical, value)?),
        "application_name" => url.application_name = unless_empty(value),
        "options" => url.settings.extend(read_options(&value)?),
        "target_session_attrs" => check_target(&value)?,
        "connect_timeout" => url.connect_timeout = seconds(canonical, &value, MAX)?,
        "keepalives" => {
            url.keepalives.off = number(canonical, &value, "0 (off) or 1 (on)", 1)? == 0
        }
        "keepalives_idle" => url.keepalives.idle = seconds(canonical, &value, MAX_SECONDS)?,
        "keepalives_interval" => url.keepalives.interval = seconds(canonical, &value, MAX_SECONDS)?,
        "keepalives_count" => {
            let expected = format!("a whole number from 0 (Tableferry's default) to {MAX_PROBES}");
            url.keepalives.count =
                Some(number(canonical, &value, &expected, MAX_PROBES)?).filter(|count| *count > 0);
        }
        "tcp_user_timeout" => {
            let expected =
                format!("a whole number of milliseconds from 0 (Tableferry's default) to {MAX}");
            let milliseconds = number(canonical, &value, &expected, MAX)?;
            url.tcp_user_timeout = Some(Duration::from_millis(milliseconds.into()))
                .filter(|timeout| !timeout.is_zero());
        }
        // Without a name, Tableferry's default applies.
        FALLBACK => {}
        _ => match setting_name(canonical) {
            Some(setting) => url
                .settings
                .push(check_setting("options[name]", setting, value)?),
            None => check_harmless(canonical, &value)?,
        },
    }
    Ok(())
}

/// The text between the brackets of `options[name]`.
fn setting_name(name: &str) -> Option<&str> {
    name.strip_prefix("options[")?.strip_suffix(']')
}

fn read_mode(name: &str, value: &str) -> Result<TlsMode, String> {
    // libpq accepts ssl=true for users of JDBC.
    if name == "ssl" {
        let required = (value == "true").then_some(TlsMode::Require);
        return required
            .ok_or_else(|| "ssl must be true: use sslmode for anything else".to_owned());
    }
    let modes = [
        ("disable", TlsMode::Disable),
        ("allow", TlsMode::Allow),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ];
    let mode = modes
        .into_iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(value));
    mode.map(|(_, mode)| mode).ok_or_else(|| {
        "sslmode must be disable, allow, prefer, require, verify-ca or verify-full".to_owned()
    })
}

/// All of these mean the same here: only a server that accepts writes is used.
fn check_target(value: &str) -> Result<(), String> {
    match value {
        "any" | "read-write" | "primary" => Ok(()),
        _ => {
            Err("target_session_attrs must be any, read-write or primary, since Tableferry must write: it does not support standbys"
                .to_owned())
        }
    }
}

fn read_file(name: &str, value: String) -> Result<PathBuf, String> {
    if value == "system" && name == "sslrootcert" {
        return Err("Tableferry does not support sslrootcert=system: name a file, such as /etc/ssl/certs/ca-certificates.crt".to_owned());
    }
    // An empty value is a file name that a template did not fill in. A driver may repeat the name
    // of a file that it cannot read.
    if value.is_empty() || value.contains("-----BEGIN") {
        return Err(format!("{name} must name a file, or be left out"));
    }
    Ok(value.into())
}

fn check_harmless(name: &str, value: &str) -> Result<(), String> {
    let Some((_, values, unsupported)) = HARMLESS.iter().find(|(harmless, ..)| *harmless == name)
    else {
        return Ok(());
    };
    if values.iter().any(|word| word.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    Err(format!(
        "{name} must be {}, or be left out: Tableferry does not support {unsupported}",
        values.join(" or ")
    ))
}

fn seconds(name: &str, value: &str, max: u32) -> Result<Option<Duration>, String> {
    let expected = format!("a whole number of seconds from 0 (the default) to {max}");
    let seconds = number(name, value, &expected, max)?;
    Ok(Some(Duration::from_secs(seconds.into())).filter(|duration| !duration.is_zero()))
}

fn number(name: &str, value: &str, expected: &str, max: u32) -> Result<u32, String> {
    value
        .parse()
        .ok()
        .filter(|number| *number <= max)
        .ok_or_else(|| format!("{name} must be {expected}"))
}

/// Reads `options`, which has the form of the server's command line: words, in which a `\` escapes
/// the next character.
fn read_options(text: &str) -> Result<Vec<(String, String)>, String> {
    let expected = || {
        "options must hold -c name=value or --name=value and nothing else (a space in a value follows a \\)".to_owned()
    };
    let mut words = split_words(text).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") if word == "-c" => words.next(),
            setting => setting.map(str::to_owned),
        };
        let setting = setting.ok_or_else(expected)?;
        let (name, value) = setting.split_once('=').ok_or_else(expected)?;
        settings.push(check_setting(
            "options",
            &name.replace('-', "_"),
            value.to_owned(),
        )?);
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            space if space.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Accepts only settings that the driver can send: it escapes only spaces.
fn check_setting(parameter: &str, name: &str, value: String) -> Result<(String, String), String> {
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    if !is_name || value.contains(char::is_control) {
        return Err(format!(
            "{parameter} must name settings of Postgres in letters, digits, _ and ., with values without line breaks and tabs"
        ));
    }
    Ok((name.to_owned(), value))
}
