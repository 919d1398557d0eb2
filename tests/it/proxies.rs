//! The service behind nginx and HAProxy: as Debian ships them, and with the settings in `ops/nginx`
//! and `ops/haproxy` that `docs/proxies.md` recommends.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::time::timeout;

use crate::process::tableferry;
use crate::support::{
    Answer, Outside, Program, ReverseProxy, client_with, create_body, fresh_database,
};

/// As fast as AWS: no export ends during a test.
const LIKE_AWS: f64 = 1.0;

/// Within this time, a proxy that does not buffer forwards what it gets.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The address of these tests' callers. It differs from the proxies' address, 127.0.0.1.
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Two replicas with these additional settings.
async fn replicas(outside: &Outside, variables: &[(&str, &str)]) -> [Program; 2] {
    let database = fresh_database().await;
    let variables = [&[("DATABASE_URL", database.as_str())], variables].concat();
    let mut replicas = [
        outside.spawn(&variables).await,
        outside.spawn(&variables).await,
    ];
    for replica in &mut replicas {
        // Clients at the proxies' address may have to use the PROXY protocol.
        replica.asked_from(CALLER);
        let ended = replica.ready_or_ended().await;
        assert!(ended.is_none(), "{ended:?}");
    }
    replicas
}

fn addresses(replicas: &[Program; 2]) -> [&str; 2] {
    replicas.each_ref().map(Program::address)
}

/// A client that connects from [`CALLER`].
fn caller() -> Client {
    client_with(|client| client.local_address(CALLER))
}

async fn get(client: &Client, url: String) -> Answer {
    Answer::read(client.get(url).send().await.unwrap()).await
}

async fn create(client: &Client, base: &str, body: &Value) -> Answer {
    Answer::read(
        client
            .post(format!("{base}/v1/exports"))
            .json(body)
            .send()
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn the_longest_waits_put_no_replica_out_of_use() {
    let outside = Outside::start_at(LIKE_AWS).await;
    let replicas = replicas(&outside, &[]).await;
    let servers = addresses(&replicas);
    let (nginx, haproxy) = tokio::join!(
        ReverseProxy::plain_nginx(servers),
        ReverseProxy::plain_haproxy(servers)
    );
    let client = caller();
    let id = create(&client, &nginx.url, &create_body())
        .await
        .expect(202)
        .id();
    let done = AtomicBool::new(false);
    let waits = join_all(
        [&nginx, &haproxy]
            .into_iter()
            .flat_map(|proxy| [proxy; 6])
            .map(async |proxy| {
                let began = Instant::now();
                let request = client
                    .get(format!("{}/v1/exports/{id}", proxy.url))
                    .header("prefer", "wait=300");
                (
                    Answer::read(request.send().await.unwrap()).await,
                    began.elapsed(),
                )
            }),
    );
    // All other clients continue meanwhile.
    let others = join_all([&nginx, &haproxy].map(async |proxy| {
        let mut served = 0;
        while !done.load(Ordering::Relaxed) {
            get(&client, format!("{}/v1/exports", proxy.url))
                .await
                .expect(200);
            served += 1;
        }
        served
    }));
    let waits = async {
        let waits = waits.await;
        done.store(true, Ordering::Relaxed);
        waits
    };
    let (waits, others) = tokio::join!(waits, others);
    for (answer, took) in waits {
        let answer = answer.expect(200);
        assert_eq!(
            answer.header("preference-applied"),
            "wait=50",
            "{}",
            answer.text
        );
        assert!(took > Duration::from_secs(48), "{took:?}: {}", answer.text);
    }
    assert!(others.iter().all(|served| *served > 10), "{others:?}");
}

#[tokio::test]
async fn live_streams_arrive_at_once() {
    let outside = Outside::start_at(LIKE_AWS).await;
    let replicas = replicas(&outside, &[]).await;
    let servers = addresses(&replicas);
    let (plain, ours) = tokio::join!(
        ReverseProxy::plain_nginx(servers),
        ReverseProxy::our_nginx(servers)
    );
    let (plain_haproxy, our_haproxy) = tokio::join!(
        ReverseProxy::plain_haproxy(servers),
        ReverseProxy::our_haproxy(servers, "")
    );
    for base in [
        &plain.url,
        &format!("{}/tableferry", ours.url),
        &plain_haproxy.url,
        &format!("{}/tableferry", our_haproxy.url),
    ] {
        let client = caller();
        let id = create(&client, base, &create_body()).await.expect(202).id();
        // With compression offered: nginx compresses what it can, and would buffer it for that.
        let request = client
            .get(format!("{base}/v1/exports/{id}/events/stream"))
            .header("accept-encoding", "gzip");
        let events = async {
            let mut answer = request.send().await.unwrap();
            let mut text = String::new();
            while !text.contains("event: export.started\n") {
                text.push_str(
                    std::str::from_utf8(&answer.chunk().await.unwrap().expect("it goes on"))
                        .unwrap(),
                );
            }
        };
        timeout(AT_ONCE, events)
            .await
            .unwrap_or_else(|_| panic!("{base} holds events back"));
    }
}

#[tokio::test]
async fn everything_works_below_a_path() {
    let outside = Outside::start().await;
    for with_public_url in [true, false] {
        let public_url = "http://exports.example.com/tableferry";
        let variables = [("TABLEFERRY_PUBLIC_URL", public_url)];
        let replicas = replicas(&outside, if with_public_url { &variables } else { &[] }).await;
        let servers = addresses(&replicas);
        let (nginx, haproxy) = tokio::join!(
            ReverseProxy::our_nginx(servers),
            ReverseProxy::our_haproxy(servers, "")
        );
        for proxy in [&nginx, &haproxy] {
            let (client, base) = (caller(), format!("{}/tableferry", proxy.url));
            let created = create(&client, &base, &create_body()).await.expect(202);
            let below = if with_public_url { public_url } else { "" };
            assert_eq!(
                created.header("location"),
                format!("{below}/v1/exports/{}", created.id())
            );
            let done = client
                .get(format!("{base}/v1/exports/{}", created.id()))
                .header("prefer", "wait=30");
            let done = Answer::read(done.send().await.unwrap()).await.expect(200);
            assert_eq!(done.json["export_status"], "COMPLETED");
            create(&client, &base, &serde_json::json!({}))
                .await
                .expect_problem(422, "validation-failed");
            get(&client, format!("{base}/v1/nothing"))
                .await
                .expect_problem(404, "not-found");
            // Swagger UI finds the document next to it.
            let initializer = get(&client, format!("{base}/docs/swagger-initializer.js"))
                .await
                .expect(200)
                .text;
            let document = if with_public_url {
                format!("{public_url}/openapi.json")
            } else {
                "../openapi.json".to_owned()
            };
            assert!(
                initializer.contains(&format!("\"{document}\"")),
                "{initializer}"
            );
            get(&client, format!("{base}/openapi.json"))
                .await
                .expect(200);
            // The service's own client.
            for command in ["list", "get"] {
                let mut arguments = vec!["export", command, "--server", &base, "--json"];
                let id = created.id();
                if command == "get" {
                    arguments.insert(2, &id);
                }
                let output = tableferry(&arguments, &[]).output().await.unwrap();
                let (out, err) = (
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr),
                );
                assert!(
                    output.status.success() && out.contains(&id),
                    "{arguments:?}: {out} {err}"
                );
            }
        }
    }
}

/// The address of each rejected request, from the log.
fn refused_from(replicas: &[Program; 2]) -> Vec<String> {
    let logs = replicas.iter().map(Program::log).collect::<String>();
    let lines = logs
        .lines()
        .filter(|line| line.contains("credentials were refused"));
    lines
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["client.address"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_callers_address_is_known_behind_each_proxy() {
    let outside = Outside::start().await;
    let trusting: &[(&str, &str)] = &[
        ("TABLEFERRY_AUTH", "required"),
        ("TABLEFERRY_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let by_protocol = [trusting, &[("TABLEFERRY_PROXY_PROTOCOL", "true")]].concat();
    for (variables, option) in [
        (trusting, None),
        (trusting, Some("")),
        (&by_protocol, Some("send-proxy")),
        (&by_protocol, Some("send-proxy-v2")),
    ] {
        let replicas = replicas(&outside, variables).await;
        let servers = addresses(&replicas);
        let proxy = match option {
            None => ReverseProxy::our_nginx(servers).await,
            Some(option) => ReverseProxy::our_haproxy(servers, option).await,
        };
        let client = caller();
        // The caller's own claim is ignored.
        for claim in [
            &[][..],
            &[("X-Forwarded-For", "198.51.100.1")],
            &[("Forwarded", "for=198.51.100.1")],
        ] {
            let key = "tferry_000000000000_0000000000000000000000000000000000000000deadbeef";
            let mut request = client
                .get(format!("{}/tableferry/v1/exports", proxy.url))
                .bearer_auth(key);
            for (name, value) in claim {
                request = request.header(*name, *value);
            }
            Answer::read(request.send().await.unwrap())
                .await
                .expect_problem(401, "unauthenticated");
        }
        assert_eq!(
            refused_from(&replicas),
            ["127.0.0.2"; 3],
            "{option:?}: {}",
            proxy.said()
        );
    }
}
