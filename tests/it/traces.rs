//! Traces: one from the request through AWS to the webhook, as a collector receives it, and every
//! metric of that run.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};
use tableferry::telemetry::metrics_catalog::{self, Kind};
use tableferry_simulator::{Fault, FaultKind};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::time::timeout;

use crate::process::{PATIENCE, becomes_ready, free_address, tableferry, terminate};
use crate::support::{Receiver, TestApp, TestOptions, client, create_body, fresh_database};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What a collector received, decoded.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let take = |State(collector): State<Self>, body: Bytes| async move {
            collector
                .0
                .lock()
                .unwrap()
                .push(ExportTraceServiceRequest::decode(body).unwrap());
        };
        let router = Router::new()
            .route("/v1/traces", axum::routing::post(take))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn spans(&self) -> Vec<Span> {
        let sent = self.0.lock().unwrap().clone();
        sent.into_iter()
            .flat_map(|r| r.resource_spans)
            .flat_map(|r| r.scope_spans)
            .flat_map(|s| s.spans)
            .collect()
    }

    fn resource(&self, key: &str) -> String {
        let sent = self.0.lock().unwrap();
        let resource = sent[0].resource_spans[0].resource.clone().unwrap();
        format!(
            "{:?}",
            resource
                .attributes
                .into_iter()
                .find(|a| a.key == key)
                .unwrap()
                .value
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The names of a span and its ancestors, as far as they are known.
fn line_of(span: &Span, all: &[Span]) -> Vec<String> {
    let mut names = vec![span.name.clone()];
    let mut parent = &span.parent_span_id;
    while let Some(above) = all.iter().find(|s| s.span_id == *parent) {
        names.push(above.name.clone());
        parent = &above.parent_span_id;
    }
    names
}

/// The metric families of `/metrics`, and the labels of each series.
fn families(text: &str) -> Vec<(String, Vec<String>)> {
    let series = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let read = series.map(|line| {
        let (name, labels) = line
            .rsplit_once(' ')
            .unwrap()
            .0
            .split_once('{')
            .unwrap_or((line.split(' ').next().unwrap(), "}"));
        let mut labels: Vec<String> = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|pair| pair.split_once('='))
            .map(|(label, _)| label.to_owned())
            .filter(|l| l != "le")
            .collect();
        labels.sort();
        let bare = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        let family = bare.filter(|bare| {
            metrics_catalog::ALL
                .iter()
                .any(|m| m.kind == Kind::Histogram && m.name == *bare)
        });
        (family.unwrap_or(name).to_owned(), labels)
    });
    read.collect()
}

/// A process that sends its traces there, with these additional settings; and its address.
async fn traced(
    stand_in: &TestApp,
    collector: &Collector,
    settings: &[(&str, &str)],
) -> (Child, String) {
    let (database_url, address, collector_url) = (
        fresh_database().await,
        free_address().await,
        collector.clone().start().await,
    );
    let mut variables = vec![
        ("DATABASE_URL", database_url.as_str()),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
        ("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", "true"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &stand_in.dynamodb_url),
        ("AWS_ENDPOINT_URL_S3", &stand_in.s3_url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector_url),
    ];
    variables.extend(settings);
    let child = tableferry(&["serve"], &variables).spawn().unwrap();
    becomes_ready(&address).await;
    (child, address)
}

#[tokio::test]
async fn a_run_is_one_trace_and_shows_every_metric() {
    let (stand_in, receiver, collector) = (
        TestApp::start().await,
        Receiver::start().await,
        Collector::default(),
    );
    stand_in
        .aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Throttle).times(1));
    let polls = [
        ("TABLEFERRY_POLL_INTERVAL_MIN_MS", "50"),
        ("TABLEFERRY_POLL_INTERVAL_MAX_MS", "100"),
    ];
    let (child, address) = traced(&stand_in, &collector, &polls).await;
    let (http, url) = (client(), format!("http://{address}"));
    let post = |path: &str, body: &Value| {
        http.request(Method::POST, format!("{url}{path}"))
            .json(body)
    };
    let endpoint = post(
        "/v1/webhook-endpoints",
        &json!({"url": receiver.url, "event_types": ["export.started", "export.completed"]}),
    );
    assert_eq!(endpoint.send().await.unwrap().status(), 201);

    let mut body = create_body();
    body["verify"] = json!(true);
    let asked = post("/v1/exports", &body)
        .header("traceparent", CALLER)
        .header("x-request-id", "my-request")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 202);
    let id = asked.json::<Value>().await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    timeout(PATIENCE, receiver.hears(1))
        .await
        .expect("it starts");
    stand_in.aws.finish_exports().await;
    timeout(PATIENCE, receiver.hears(2)).await.expect("it ends");
    let verified = async {
        let get = || async {
            http.get(format!("{url}/v1/exports/{id}"))
                .send()
                .await
                .unwrap()
                .json::<Value>()
                .await
                .unwrap()
        };
        while get().await["verification"]["status"] != "passed" {}
    };
    timeout(PATIENCE, verified).await.expect("it is verified");
    let metrics = http
        .get(format!("{url}/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    // A request without a caller's trace starts its own.
    assert_eq!(
        post("/v1/exports", &create_body())
            .send()
            .await
            .unwrap()
            .status(),
        202
    );
    terminate(&child);
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it stops")
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();

    // Every metric, each with its type and its labels.
    let seen = families(&metrics);
    for measure in metrics_catalog::ALL {
        assert!(
            metrics.contains(&format!(
                "# TYPE {} {}\n",
                measure.name,
                measure.kind.as_str()
            )),
            "{} is missing\n{metrics}",
            measure.name
        );
        let mut labels: Vec<_> = measure
            .labels
            .iter()
            .map(|label| (*label).to_owned())
            .collect();
        labels.sort();
        let of_it: HashSet<_> = seen
            .iter()
            .filter(|(name, _)| name == measure.name)
            .map(|(_, labels)| labels.clone())
            .collect();
        assert_eq!(of_it, HashSet::from([labels]), "{}", measure.name);
    }
    let known: HashSet<_> = metrics_catalog::ALL.iter().map(|m| m.name).collect();
    assert!(
        seen.iter().all(|(name, _)| known.contains(name.as_str())),
        "{metrics}"
    );
    for line in [
        "tableferry_database_up 1",
        "tableferry_exports_open{state=\"in_progress\"} 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }

    // One trace.
    let spans = collector.spans();
    let of_trace: Vec<Span> = spans
        .iter()
        .filter(|s| CALLER.contains(&hex(&s.trace_id)))
        .cloned()
        .collect();
    let named = |name: &str| {
        of_trace
            .iter()
            .filter(|s| s.name == name)
            .cloned()
            .collect::<Vec<_>>()
    };
    let root = &named("POST /v1/exports")[0];
    assert_eq!(hex(&root.parent_span_id), "b7ad6b7169203331");
    for (name, above) in [
        ("DynamoDB/ExportTableToPointInTime", "export start"),
        ("DynamoDB/DescribeExport", "export look"),
        ("S3/GetObject", "verification turn"),
    ] {
        let found = named(name);
        assert!(
            !found.is_empty(),
            "{name}: {:?}",
            of_trace.iter().map(|s| &s.name).collect::<Vec<_>>()
        );
        for span in found {
            assert_eq!(line_of(&span, &of_trace), [name, above, "POST /v1/exports"]);
        }
    }
    // The webhooks are part of it, and carry it to their receiver.
    let attempts = named("webhook attempt");
    assert_eq!(attempts.len(), 2);
    let heard: HashSet<_> = receiver
        .heard()
        .iter()
        .map(|r| r.header("traceparent").to_owned())
        .collect();
    let sent: HashSet<_> = attempts
        .iter()
        .map(|s| format!("00-{}-{}-01", hex(&s.trace_id), hex(&s.span_id)))
        .collect();
    assert_eq!(heard, sent);
    // The second request has a trace of its own.
    assert!(spans.iter().any(|s| s.name == "POST /v1/exports"
        && s.parent_span_id.is_empty()
        && s.trace_id != root.trace_id));
    assert!(
        collector
            .resource("service.name")
            .contains("\"tableferry\"")
    );
    // Health and metrics are in no trace.
    assert!(
        !spans
            .iter()
            .any(|s| s.name.contains("readyz") || s.name.contains("/metrics"))
    );

    // The log names the request and the trace.
    let accepted = log
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .find(|l| l["message"] == "export accepted")
        .unwrap();
    assert_eq!(
        (
            &accepted["span"]["request.id"],
            &accepted["span"]["trace_id"]
        ),
        (&json!("my-request"), &json!(hex(&root.trace_id)))
    );
    assert_eq!(accepted["export.id"], id.as_str());
}

#[tokio::test]
async fn what_the_sampler_refuses_makes_no_spans_and_is_named_all_the_same() {
    let (stand_in, receiver, collector) = (
        TestApp::start().await,
        Receiver::start().await,
        Collector::default(),
    );
    let sampler = [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let (child, address) = traced(&stand_in, &collector, &sampler).await;
    let (http, url) = (client(), format!("http://{address}/v1"));
    let endpoint = http
        .post(format!("{url}/webhook-endpoints"))
        .json(&json!({"url": receiver.url, "event_types": ["export.started"]}));
    assert_eq!(endpoint.send().await.unwrap().status(), 201);
    // One without a trace, one of a trace that its caller does not record, one of a trace that its
    // caller records.
    let unrecorded = CALLER.replace("-01", "-00").replace("0af7", "1bf8");
    for (id, traceparent) in [
        ("none", ""),
        ("unrecorded", &unrecorded),
        ("recorded", CALLER),
    ] {
        let request = http
            .post(format!("{url}/exports"))
            .json(&create_body())
            .header("x-request-id", id);
        assert_eq!(
            request
                .header("traceparent", traceparent)
                .send()
                .await
                .unwrap()
                .status(),
            202
        );
    }
    timeout(PATIENCE, receiver.hears(3))
        .await
        .expect("all start");
    terminate(&child);
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it stops")
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();

    // The log names the trace of each.
    let accepted: Vec<Value> = log
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .filter(|l: &Value| l["message"] == "export accepted")
        .collect();
    let trace_of = |id: &str| {
        accepted
            .iter()
            .find(|l| l["span"]["request.id"] == id)
            .unwrap()["span"]["trace_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let [none, unrecorded, recorded] = ["none", "unrecorded", "recorded"].map(trace_of);
    assert_eq!(
        (unrecorded.as_str(), recorded.as_str()),
        (&CALLER.replace("0af7", "1bf8")[3..35], &CALLER[3..35])
    );
    assert!(
        none.len() == 32 && none != unrecorded && none != recorded,
        "{none}"
    );
    // Receivers get it, each as a span of its own, with the sampling decision.
    let mut heard: Vec<_> = receiver
        .heard()
        .iter()
        .map(|r| r.header("traceparent").to_owned())
        .collect();
    heard.sort_by_key(|traceparent| {
        [&none, &unrecorded, &recorded]
            .iter()
            .position(|id| traceparent.contains(id.as_str()))
    });
    for (traceparent, (trace, flags)) in
        heard
            .iter()
            .zip([(&none, "00"), (&unrecorded, "00"), (&recorded, "01")])
    {
        assert!(
            traceparent.starts_with(&format!("00-{trace}-")) && traceparent.ends_with(flags),
            "{traceparent}"
        );
        assert!(!traceparent.contains("b7ad6b7169203331"), "{traceparent}");
    }
    // The collector receives what is recorded, and nothing else.
    let spans = collector.spans();
    assert!(
        spans.iter().all(|span| hex(&span.trace_id) == recorded),
        "{spans:?}"
    );
    let names: HashSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert!(
        names.is_superset(&HashSet::from([
            "POST /v1/exports",
            "export start",
            "DynamoDB/ExportTableToPointInTime",
            "webhook attempt"
        ])),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing_but_a_line() {
    let (database_url, address) = (fresh_database().await, free_address().await);
    let variables = [
        ("DATABASE_URL", database_url.as_str()),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
    ];
    let child = tableferry(&["serve"], &variables).spawn().unwrap();
    becomes_ready(&address).await;
    assert_eq!(
        client()
            .get(format!("http://{address}/v1/exports"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    terminate(&child);
    let output = timeout(Duration::from_secs(15), child.wait_with_output())
        .await
        .expect("it stops")
        .unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log.matches("traces cannot be sent").count(), 1, "{log}");
    let wrong = tableferry(
        &["serve"],
        &[
            ("TABLEFERRY_AUTH", "none"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "-*/*-"),
        ],
    )
    .output()
    .await
    .unwrap();
    assert!(!wrong.status.success());
    assert!(
        String::from_utf8(wrong.stderr)
            .unwrap()
            .contains("OTEL_EXPORTER_OTLP_ENDPOINT")
    );
}

#[tokio::test]
async fn without_a_collector_the_callers_trace_is_handed_on() {
    let app = TestApp::start_with(TestOptions::default()).await;
    let receiver = Receiver::start().await;
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    let traces = |values: &[&str]| {
        let mut request = app.request(Method::POST, "/v1/exports").json(&body);
        for value in values {
            request = request.header("traceparent", *value);
        }
        request
    };
    app.send(traces(&[CALLER])).await.expect(202);
    // An invalid trace context is ignored.
    for bad in [
        &["00-xyz"][..],
        &["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
        &[CALLER, CALLER],
    ] {
        app.send(traces(bad)).await.expect(202);
    }
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    assert_eq!(app.step_deliveries().await, 4);
    let heard: Vec<_> = receiver
        .heard()
        .iter()
        .filter_map(|r| r.headers.get("traceparent").cloned())
        .collect();
    assert_eq!(heard, [CALLER]);
    // The database accepts no other form.
    let refused = sqlx::query("UPDATE exports SET trace_parent = 'x'")
        .execute(&app.pool)
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("exports_trace_parent_form")
    );
}

#[tokio::test]
async fn request_ids_are_taken_over_if_they_are_good() {
    let app = TestApp::start().await;
    let with = |id: &str| {
        app.request(Method::GET, "/v1/exports")
            .header("x-request-id", id)
    };
    let good = app.send(with("req_01:a/b.c+d=@x-9")).await.expect(200);
    assert_eq!(good.headers["x-request-id"], "req_01:a/b.c+d=@x-9");
    for bad in ["", "a b", "<script>", "\"", &"x".repeat(129)] {
        let answered = app.send(with(bad)).await.expect(200).headers["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            uuid::Uuid::parse_str(&answered).is_ok(),
            "{bad:?} led to {answered}"
        );
    }
    let twice = app
        .send(with("a").header("x-request-id", "b"))
        .await
        .expect(200);
    assert!(uuid::Uuid::parse_str(twice.headers["x-request-id"].to_str().unwrap()).is_ok());
    let missing = app.get("/v1/nothing").await.expect(404);
    assert!(
        missing.headers.contains_key("x-request-id"),
        "errors have one too"
    );
}
