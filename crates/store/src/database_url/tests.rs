//! What is accepted and how it is understood, what is refused in which words, and that no message
//! tells a secret.

use secrecy::ExposeSecret as _;

use super::*;

fn read(text: &str) -> DatabaseUrl {
    parse(text).unwrap_or_else(|problems| panic!("{text}: {problems}"))
}

/// Hosts and ports as `host:port`, with `-` for what is left to the driver and brackets around the
/// directory of a socket.
fn places(url: &DatabaseUrl) -> String {
    let port = |port: &Option<u16>| port.map_or("-".to_owned(), |port| port.to_string());
    let place = |host: &Host| match host {
        Host::Tcp { name, port: number } => format!("{name}:{}", port(number)),
        Host::Socket {
            folder,
            port: number,
        } => format!("[{}]:{}", folder.display(), port(number)),
        Host::Default { port: number } => format!("-:{}", port(number)),
    };
    url.hosts.iter().map(place).collect::<Vec<_>>().join(" ")
}

#[test]
fn hosts_are_those_of_libpq() {
    for (text, expected) in [
        ("postgres://", "-:-"),
        ("postgresql:///db", "-:-"),
        ("postgres://:5433", "-:5433"),
        ("postgres://u@", "-:-"),
        ("postgres://@h", "h:-"),
        ("postgres://h:/", "h:-"),
        ("postgres://%68ost/", "host:-"),
        ("postgres://h?", "h:-"),
        (
            "postgres://h1:5432,h2,[::1]:5433/d",
            "h1:5432 h2:5432 ::1:5433",
        ),
        ("postgres://h1,h2", "h1:5432 h2:5432"),
        ("postgres://h1%2Ch2:1", "h1:1 h2:1"),
        ("postgres://[2001:db8::1234]/", "2001:db8::1234:-"),
        ("postgres://[::1]?user=u", "::1:-"),
        (
            "postgres://%2Fvar%2Frun,h2:6432/d",
            "[/var/run]:5432 h2:6432",
        ),
        ("postgres:///d?host=a,b", "a:- b:-"),
        ("postgres:///d?host=a,b&port=1", "a:1 b:1"),
        ("postgres:///d?host=a,/b,&port=1,,3", "a:1 [/b]:5432 -:3"),
        (
            "postgres://u@localhost:5433/d?host=/cloudsql/x",
            "[/cloudsql/x]:5433",
        ),
        ("postgres://h:1/d?port=2", "h:2"),
        ("postgres://h?host=&port=", "-:-"),
    ] {
        assert_eq!(places(&read(text)), expected, "{text}");
    }
}

#[test]
fn user_password_and_database_are_those_of_libpq() {
    for (text, user, password, database) in [
        ("postgres://u:p@h/d", Some("u"), Some("p"), Some("d")),
        ("postgres://u:p:q@h", Some("u"), Some("p:q"), None),
        ("postgres://:@h/", None, None, None),
        (
            "postgres://u%40x:p%2Fq%23%25%C3%A9+@h/a%20b",
            Some("u@x"),
            Some("p/q#%é+"),
            Some("a b"),
        ),
        ("postgres://u:p?x@h", Some("u"), Some("p?x"), None),
        ("postgres://h/a/b", None, None, Some("a/b")),
        (
            "postgres://u:p@h/d?user=v&password=a+b%3D&dbname=e",
            Some("v"),
            Some("a+b="),
            Some("e"),
        ),
        ("postgres://h/?u%73er=a@b&", Some("a@b"), None, None),
        ("postgres://u@h/d?user=&dbname=", None, None, None),
    ] {
        let url = read(text);
        let password_read = url
            .password
            .as_ref()
            .map(|password| password.expose_secret());
        assert_eq!(
            (url.user.as_deref(), password_read, url.database.as_deref()),
            (user, password, database),
            "{text}"
        );
    }
    assert!(!format!("{:?}", read("postgres://u:hunter2@h/d")).contains("hunter2"));
}

#[test]
fn the_server_is_checked_where_libpq_checks_it() {
    for (query, expected) in [
        ("", None),
        ("sslmode=disable", Some(TlsMode::Disable)),
        ("ssl-mode=allow", Some(TlsMode::Allow)),
        ("sslmode=Prefer", Some(TlsMode::Prefer)),
        ("sslmode=require", Some(TlsMode::Require)),
        ("ssl=true", Some(TlsMode::Require)),
        (
            "sslmode=require&sslrootcert=/ca.pem",
            Some(TlsMode::VerifyCa),
        ),
        ("sslmode=verify-ca", Some(TlsMode::VerifyCa)),
        (
            "sslmode=verify-full&ssl-ca=/ca.pem",
            Some(TlsMode::VerifyFull),
        ),
    ] {
        assert_eq!(
            read(&format!("postgres://h/d?{query}")).tls.mode,
            expected,
            "{query}"
        );
    }
    for query in [
        "sslrootcert=%2Fca&sslcert=/c&sslkey=/k",
        "ssl-root-cert=/ca&ssl-cert=/c&ssl-key=/k",
        "ssl-ca=/ca&sslcert=/c&ssl-key=/k",
    ] {
        let tls = read(&format!("postgres://h?{query}")).tls;
        let files = [tls.root_cert, tls.client_cert, tls.client_key]
            .map(|file| file.unwrap().display().to_string());
        assert_eq!(files, ["/ca", "/c", "/k"], "{query}");
    }
}

#[test]
fn times_and_counts_are_in_their_units_and_zero_is_the_default() {
    let url = read(
        "postgres://h?connect_timeout=7&keepalives=1&keepalives_idle=60&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=1500\
         &application_name=a%20b&target_session_attrs=primary",
    );
    assert_eq!(
        (url.connect_timeout, url.tcp_user_timeout),
        (
            Some(Duration::from_secs(7)),
            Some(Duration::from_millis(1500))
        )
    );
    let (idle, interval) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(5)));
    assert_eq!(
        url.keepalives,
        Keepalives {
            off: false,
            idle,
            interval,
            count: Some(3)
        }
    );
    assert_eq!(url.application_name.as_deref(), Some("a b"));
    let url = read(
        "postgres://h?connect_timeout=0&keepalives=0&keepalives_idle=0&keepalives_count=0&tcp_user_timeout=0&target_session_attrs=any",
    );
    assert_eq!((url.connect_timeout, url.tcp_user_timeout), (None, None));
    assert_eq!(
        url.keepalives,
        Keepalives {
            off: true,
            ..Keepalives::default()
        }
    );
}

#[test]
fn options_are_settings_of_the_session() {
    for (query, expected) in [
        (
            "options=-c%20geqo%3Doff%20--search-path%3Da,b%20-cwork_mem%3D1MB",
            "geqo=off search_path=a,b work_mem=1MB",
        ),
        (r"options=-c%20a.b%3Dx%5C%20y%5C%5Cz", r"a.b=x y\z"),
        (
            "options[geqo]=off&options=-c%20jit%3Doff&options%5Bsearch_path%5D=a%20b",
            "geqo=off jit=off search_path=a b",
        ),
        ("options=", ""),
    ] {
        let settings = read(&format!("postgres://h?{query}")).settings;
        let settings: Vec<_> = settings
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(settings.join(" "), expected, "{query}");
    }
}

#[test]
fn harmless_parameters_are_accepted() {
    for query in [
        "channel_binding=disable",
        "channel_binding=prefer&gssencmode=prefer&sslnegotiation=postgres",
        "gssencmode=disable&sslcompression=0&sslsni=1&load_balance_hosts=disable",
        "client_encoding=auto&fallback_application_name=x",
        "client_encoding=utf8&target_session_attrs=read-write",
    ] {
        read(&format!("postgres://h/d?{query}"));
    }
}

/// Every text holds `hunter2` where a value is; no message may.
#[test]
fn messages_do_not_contain_possible_secrets() {
    const LOOK: &str = "must look like postgres://user:password@host:5432/name";
    for (text, expected) in [
        ("", LOOK),
        ("host=hunter2 dbname=d", LOOK),
        ("POSTGRES://hunter2@h", LOOK),
        ("mysql://u:hunter2@h/d", LOOK),
        ("postgres://u:hunter2@h/d\n", "%20"),
        ("postgres://u:hun ter2@h/d", "%20"),
        ("postgres://u:hunter2#x@h/d", "%23"),
        ("postgres://u:p@hunter2@h/d", "%40"),
        ("postgres://u@azure:hunter2@h/d", "%40"),
        ("postgres://u:1/hunter2@h/d", "%2F"),
        ("postgres://h?password=hunter2@x", "%3F"),
        (
            "postgres://u:hunter2%@h",
            "the password holds a % without two",
        ),
        ("postgres://%zz:hunter2@h", "the user holds a % without two"),
        (
            "postgres://hunter2%00/",
            "the host must be UTF-8 without %00",
        ),
        (
            "postgres://h/hunter2%ff",
            "the name of the database must be UTF-8",
        ),
        ("postgres://h/?user=hunter2%4", "user holds a % without two"),
        (
            "postgres://h:hunter2/d",
            "port must be a whole number from 1 to 65535",
        ),
        ("postgres://u:hunter2/x", "port must be a whole number"),
        ("postgres://hunter2:0", "port must be a whole number"),
        ("postgres://::1:5432/hunter2", "brackets"),
        ("postgres://[hunter2", "brackets"),
        ("postgres://[]/hunter2", "brackets"),
        ("postgres://[::1]hunter2", "brackets"),
        (
            "postgres:///?host=hunter2,b,c&port=1,2",
            "one for all hosts or one for each",
        ),
        (
            "postgres://hunter2?port=1,2",
            "one for all hosts or one for each",
        ),
        (
            "postgres://%40hunter2",
            "does not support abstract Unix sockets",
        ),
        (
            "postgres://h?hunter2",
            "parameter 1 after the ? must be name=value",
        ),
        (
            "postgres://h?sslmode=require&&user=hunter2",
            "parameter 2 after the ? must be name=value",
        ),
        (
            "postgres://h?user=a=hunter2",
            "user holds an = in its value, which must be written as %3D",
        ),
        (
            "postgres://h?sslmode=hunter2",
            "sslmode must be disable, allow, prefer, require, verify-ca or verify-full",
        ),
        ("postgres://h?ssl=hunter2", "use sslmode"),
        (
            "postgres://h?sslrootcert=system&user=hunter2",
            "does not support sslrootcert=system: name a file",
        ),
        (
            "postgres://h?sslmode=prefer&sslrootcert=hunter2",
            "sslrootcert has no effect with sslmode=allow or prefer",
        ),
        ("postgres://h?sslrootcert=", "sslrootcert must name a file"),
        (
            "postgres://h?sslkey=-----BEGIN%20PRIVATE%20KEY-----hunter2",
            "sslkey must name a file",
        ),
        (
            "postgres://h?options=hunter2",
            "options must hold -c name=value",
        ),
        (
            "postgres://h?options=-c%20hunter2",
            "options must hold -c name=value",
        ),
        (
            "postgres://h?options=-d%20hunter2",
            "options must hold -c name=value",
        ),
        (
            "postgres://h?options=--%3Dhunter2",
            "options must name settings",
        ),
        (
            "postgres://h?options[hunter%202]=x",
            "options[name] must name settings",
        ),
        (
            "postgres://h?options[a]=hunter2%0A",
            "options[name] must name settings",
        ),
        (
            "postgres://h?target_session_attrs=read-only&user=hunter2",
            "Tableferry must write",
        ),
        (
            "postgres://h?target_session_attrs=prefer-standby",
            "must be any, read-write or primary",
        ),
        (
            "postgres://h?connect_timeout=hunter2",
            "connect_timeout must be a whole number of seconds",
        ),
        (
            "postgres://h?connect_timeout=-1",
            "connect_timeout must be a whole number of seconds",
        ),
        (
            "postgres://h?keepalives=2",
            "keepalives must be 0 (off) or 1 (on)",
        ),
        (
            "postgres://h?keepalives_idle=32768",
            "keepalives_idle must be",
        ),
        (
            "postgres://h?keepalives_count=hunter2",
            "keepalives_count must be",
        ),
        (
            "postgres://h?tcp_user_timeout=1.5",
            "tcp_user_timeout must be a whole number of milliseconds",
        ),
        (
            "postgres://h?load_balance_hosts=random",
            "hosts in random order",
        ),
        (
            "postgres://h?client_encoding=hunter2",
            "client_encoding must be auto or UTF8",
        ),
        ("postgres://h?user=hunter2&user=b", "user is given twice"),
        (
            "postgres://h?sslmode=require&ssl-mode=require&password=hunter2",
            "sslmode is given twice",
        ),
        (
            "postgres://h?options[hunter2]=a&options[hunter2]=b",
            "options[name] is given twice",
        ),
        ("postgres://h?sslmod=hunter2", "did you mean sslmode?"),
        ("postgres://h?SSLMODE=hunter2", "did you mean sslmode?"),
        (
            "postgres://h?ssl_root_cert=hunter2",
            "did you mean sslrootcert?",
        ),
        ("postgres://h?pasword=hunter2", "did you mean password?"),
        (
            "postgres://h?connectTimeout=hunter2",
            "did you mean connect_timeout?",
        ),
        (
            "postgres://h?chanel_binding=hunter2",
            "did you mean channel_binding?",
        ),
        ("postgres://h?username=hunter2", "did you mean user?"),
        (
            "postgres://h?schema=hunter2",
            "did you mean options[search_path]?",
        ),
        (
            "postgres://h?sslcrll=hunter2",
            "did you mean sslcrl? Tableferry does not support sslcrl",
        ),
        (
            "postgres://hunter2?&",
            "parameter 1 after the ? must be name=value",
        ),
        (
            "postgres://h?sslmode%0A=hunter2",
            "parameter 1 after the ? is not known",
        ),
        (
            "postgres://h?hunter2=x",
            "parameter 1 after the ? is not known: supported are host, port",
        ),
    ] {
        let problems = parse(text).expect_err(text);
        let message = problems.to_string();
        assert!(message.contains(expected), "{text}: {message}");
        assert!(
            !message.contains("hunter2") && !format!("{problems:?}").contains("hunter2"),
            "{text}: {message}"
        );
    }
}

#[test]
fn what_libpq_does_and_tableferry_does_not_is_refused_by_name() {
    for parameter in [
        "channel_binding=require",
        "gssencmode=require",
        "sslnegotiation=direct",
        "sslcompression=1",
        "sslsni=0",
        "statement-cache-capacity=0",
        "hostaddr=::1",
        "passfile=x",
        "service=x",
        "sslpassword=x",
        "sslcrl=x",
        "sslcrldir=x",
        "sslcertmode=require",
        "ssl_min_protocol_version=TLSv1.3",
        "ssl_max_protocol_version=TLSv1.2",
        "require_auth=scram-sha-256",
        "requirepeer=postgres",
        "krbsrvname=x",
        "gsslib=x",
        "gssdelegation=1",
        "replication=true",
        "min_protocol_version=3.2",
        "oauth_issuer=x",
        "pgbouncer=true",
    ] {
        let message = parse(&format!("postgres://h?{parameter}"))
            .expect_err(parameter)
            .to_string();
        let (name, _) = parameter.split_once('=').unwrap();
        assert!(
            message.contains(name)
                && message.contains("Tableferry does not support")
                && !message.contains("did you mean"),
            "{message}"
        );
    }
    for (name, instead) in [
        ("hostaddr", "name the host"),
        ("passfile", "PGPASSFILE"),
        ("statement-cache-capacity", "leaks every prepared"),
    ] {
        let message = parse(&format!("postgres://h?{name}=1"))
            .expect_err(name)
            .to_string();
        assert!(message.contains(instead), "{message}");
    }
}

#[test]
fn all_problems_are_reported_at_once_and_each_once() {
    let message =
        parse("postgres://u:%@a:x,b:y/d?sslmod=on&sslmode=on&keepalives=5&keepalives=5&sslcrl=x")
            .expect_err("wrong")
            .to_string();
    let problems: Vec<_> = message.split("; ").collect();
    let expected = [
        "the password",
        "sslmod is",
        "sslmode must",
        "keepalives must",
        "keepalives is given twice",
        "Tableferry does not",
        "port",
    ];
    assert_eq!(problems.len(), expected.len(), "{message}");
    for (problem, beginning) in problems.iter().zip(expected) {
        assert!(
            problem.starts_with(beginning),
            "{problem} instead of {beginning}"
        );
    }
    let message = parse("u:p@h #").expect_err("wrong").to_string();
    assert_eq!(message.split("; ").count(), 3, "{message}");
}
