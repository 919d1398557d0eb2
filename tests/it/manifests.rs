//! The manifests in `ops/kubernetes` match each other, the service's settings and commands, and the
//! policies of `ops/aws`. `make interop` validates them against Kubernetes's own schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use serde_json::{Value, json};
use tableferry::app::GRACE;
use tableferry::auth::Auth;
use tableferry::cli::Cli;
use tableferry::settings::Settings;

use crate::process::{PATIENCE, becomes_ready, free_address, tableferry, terminate};
use crate::support::{ENCRYPTION_KEY, client, fresh_database};

const BASE: &str = "base";
const EXAMPLE: &str = "overlays/example";
const KUSTOMIZATION: &str = "kustomization.yaml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/kubernetes")
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every manifest of a folder by its file name, and the kustomization.
fn folder(name: &str) -> (BTreeMap<String, Value>, Value) {
    let files = fs::read_dir(root().join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut manifests: BTreeMap<_, _> = files
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                yaml(&path),
            )
        })
        .collect();
    let kustomization = manifests.remove(KUSTOMIZATION).unwrap();
    (manifests, kustomization)
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn find<'a>(manifests: &'a BTreeMap<String, Value>, kind: &str, name: &str) -> &'a Value {
    let found = manifests
        .values()
        .find(|m| m["kind"] == kind && m["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The objects with pods, and their pod templates.
fn workloads(manifests: &BTreeMap<String, Value>) -> Vec<(&str, &Value)> {
    let with_pods = manifests
        .values()
        .filter(|m| m["spec"]["template"]["spec"].is_object());
    with_pods
        .map(|m| {
            (
                m["metadata"]["name"].as_str().unwrap(),
                &m["spec"]["template"],
            )
        })
        .collect()
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap())
}

#[test]
fn every_file_is_used_and_every_patch_has_something_to_patch() {
    let (base, kustomization) = folder(BASE);
    assert_eq!(
        strings(&kustomization["resources"]),
        base.keys().cloned().collect()
    );
    let (example, kustomization) = folder(EXAMPLE);
    let patches: BTreeSet<_> = kustomization["patches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|patch| patch["path"].as_str().unwrap().to_owned())
        .collect();
    let mut used = strings(&kustomization["resources"]);
    assert!(used.remove("../../base"));
    assert!(used.is_disjoint(&patches));
    used.extend(patches.iter().cloned());
    assert_eq!(used, example.keys().cloned().collect());
    for patch in patches {
        let patch = &example[&patch];
        let patched = find(
            &base,
            patch["kind"].as_str().unwrap(),
            patch["metadata"]["name"].as_str().unwrap(),
        );
        assert_eq!(patched["apiVersion"], patch["apiVersion"]);
    }
    let namespace = kustomization["namespace"].as_str().unwrap();
    find(&example, "Namespace", namespace);
    assert_eq!(kustomization["images"].as_array().unwrap().len(), 1);
    assert_eq!(kustomization["images"][0]["name"], "tableferry");
    assert_eq!(
        kustomization["images"][0]["newTag"],
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn names_labels_and_ports_fit_each_other() {
    let (base, _) = folder(BASE);
    let labels_of =
        |name: &str| &find(&base, "Deployment", name)["spec"]["template"]["metadata"]["labels"];
    for name in ["tableferry-api", "tableferry-worker"] {
        let deployment = find(&base, "Deployment", name);
        let selector = &deployment["spec"]["selector"]["matchLabels"];
        assert_eq!(selector, labels_of(name));
        assert_eq!(
            &find(&base, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
            selector
        );
        for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
            .as_array()
            .unwrap()
        {
            assert_eq!(&spread["labelSelector"]["matchLabels"], selector);
        }
    }
    assert_ne!(labels_of("tableferry-api"), labels_of("tableferry-worker"));
    let service = find(&base, "Service", "tableferry");
    assert_eq!(&service["spec"]["selector"], labels_of("tableferry-api"));
    let target =
        &find(&base, "HorizontalPodAutoscaler", "tableferry-api")["spec"]["scaleTargetRef"];
    assert_eq!(
        *target,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "tableferry-api"})
    );
    // The autoscaler sets the number; a number in the deployment would reset it at each apply.
    assert!(find(&base, "Deployment", "tableferry-api")["spec"]["replicas"].is_null());

    let config = &find(&base, "ConfigMap", "tableferry")["data"];
    let listen: std::net::SocketAddr = config["TABLEFERRY_LISTEN"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(listen.ip().is_unspecified());
    let allowed = &find(&base, "NetworkPolicy", "tableferry")["spec"];
    assert_eq!(
        allowed["ingress"][0]["ports"],
        json!([{"protocol": "TCP", "port": listen.port()}])
    );
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    for name in ["tableferry-api", "tableferry-worker"] {
        let container =
            &find(&base, "Deployment", name)["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["ports"],
            json!([{"name": "http", "containerPort": listen.port()}])
        );
        assert_eq!(
            container["livenessProbe"]["httpGet"],
            json!({"path": "/livez", "port": "http"})
        );
        assert_eq!(
            container["readinessProbe"]["httpGet"],
            json!({"path": "/readyz", "port": "http"})
        );
    }
    let dockerfile =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let image = dockerfile.split("AS service").nth(1).unwrap();
    assert!(image.contains(&format!("EXPOSE {}\n", listen.port())));
    assert!(
        image.contains("USER 10001:10001\n"),
        "the user that the pods name"
    );
}

/// What a pod has that it should not, or lacks.
fn faults(template: &Value) -> Vec<String> {
    let pod = &template["spec"];
    let mut faults = Vec::new();
    let mut must = |what: &str, holds: bool| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    must(
        "a service account of its own",
        pod["serviceAccountName"] == "tableferry",
    );
    must(
        "no token for Kubernetes",
        pod["automountServiceAccountToken"] == false,
    );
    // Otherwise TABLEFERRY_SERVICE_HOST and others, which are not settings, prevent the process
    // from starting.
    must(
        "no variables of services",
        pod["enableServiceLinks"] == false,
    );
    for member in [
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "volumes",
        "initContainers",
    ] {
        must(&format!("no {member}"), pod[member].is_null());
    }
    // The user of the Dockerfile.
    let user = json!({"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}});
    must(
        "an ordinary user, system calls filtered",
        pod["securityContext"] == user,
    );
    must(
        "one container",
        pod["containers"]
            .as_array()
            .is_some_and(|all| all.len() == 1),
    );
    let container = &pod["containers"][0];
    let locked = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    must(
        "no rights, a file system to read",
        container["securityContext"] == locked,
    );
    must(
        "the version's image",
        container["image"] == concat!("tableferry:", env!("CARGO_PKG_VERSION")),
    );
    let resources = &container["resources"];
    must(
        "requests",
        resources["requests"]["cpu"].is_string() && resources["requests"]["memory"].is_string(),
    );
    must(
        "a limit of memory, none of processor time",
        resources["limits"]["memory"].is_string() && resources["limits"]["cpu"].is_null(),
    );
    if let Some(probe) = container["readinessProbe"].as_object() {
        must(
            "an answer of the database is waited for",
            probe["timeoutSeconds"].as_u64() > Some(3),
        );
        let stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            .as_u64()
            .unwrap_or(0);
        let needed = Duration::from_secs(stop) + GRACE + Duration::from_secs(5);
        must(
            "time to stop",
            seconds(&pod["terminationGracePeriodSeconds"]) >= needed,
        );
    }
    faults
}

#[test]
fn pods_have_no_more_rights_than_they_need() {
    let (base, _) = folder(BASE);
    let workloads = workloads(&base);
    assert_eq!(workloads.len(), 3);
    for (name, template) in workloads {
        assert_eq!(faults(template), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_bad_pod_is_found() {
    let (base, _) = folder(BASE);
    let good = &find(&base, "Deployment", "tableferry-api")["spec"]["template"];
    for (pointer, value) in [
        ("/spec/enableServiceLinks", Value::Null),
        ("/spec/automountServiceAccountToken", json!(true)),
        ("/spec/securityContext/runAsUser", json!(0)),
        (
            "/spec/securityContext/seccompProfile/type",
            json!("Unconfined"),
        ),
        (
            "/spec/containers/0/securityContext/readOnlyRootFilesystem",
            json!(false),
        ),
        (
            "/spec/containers/0/securityContext/capabilities/drop",
            json!([]),
        ),
        ("/spec/containers/0/image", json!("tableferry:latest")),
        ("/spec/containers/0/resources/limits", json!({"cpu": "1"})),
        ("/spec/terminationGracePeriodSeconds", json!(10)),
        (
            "/spec/containers/0/lifecycle/preStop/sleep/seconds",
            json!(25),
        ),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer}")) = value;
        assert_eq!(faults(&bad).len(), 1, "{pointer}");
    }
}

/// The environment variables of a container, with secrets filled in; with an overlay's settings, if
/// there are any.
fn variables(
    base: &BTreeMap<String, Value>,
    template: &Value,
    overlay: Option<&Value>,
    database_url: &str,
) -> BTreeMap<String, String> {
    let container = &template["spec"]["containers"][0];
    assert_eq!(
        container["envFrom"],
        json!([{"configMapRef": {"name": "tableferry"}}])
    );
    let mut variables = BTreeMap::new();
    for config in [
        Some(&find(base, "ConfigMap", "tableferry")["data"]),
        overlay,
    ]
    .into_iter()
    .flatten()
    {
        for (name, value) in config.as_object().unwrap() {
            variables.insert(name.clone(), value.as_str().expect("text").to_owned());
        }
    }
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        // Secrets are referenced, never included.
        assert_eq!(
            variable["valueFrom"],
            json!({"secretKeyRef": {"name": "tableferry", "key": name}})
        );
        let value = match name {
            "DATABASE_URL" => database_url,
            "TABLEFERRY_ENCRYPTION_KEY" => ENCRYPTION_KEY,
            other => panic!("{other} is a secret that no document speaks of"),
        };
        variables.insert(name.to_owned(), value.to_owned());
    }
    variables
}

fn arguments(template: &Value) -> Vec<String> {
    let container = &template["spec"]["containers"][0];
    assert!(container["command"].is_null(), "the image's own program");
    container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_variable_is_a_setting_and_every_argument_is_known() {
    let (base, _) = folder(BASE);
    let (example, _) = folder(EXAMPLE);
    let overlay = &example["config.yaml"]["data"];
    for (name, template) in workloads(&base) {
        for overlay in [None, Some(overlay)] {
            let variables = variables(&base, template, overlay, "postgres://u:p@127.0.0.1/d");
            let settings =
                Settings::read(variables, None).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(settings.auth.mode, Auth::Required);
            assert_eq!(settings.aws.accounts.len(), usize::from(overlay.is_some()));
        }
        let line = std::iter::once("tableferry".to_owned()).chain(arguments(template));
        assert!(Cli::try_parse_from(line).is_ok(), "{name}");
    }
}

#[test]
fn the_role_is_that_of_the_policies() {
    let (example, kustomization) = folder(EXAMPLE);
    let read = |path: &str| -> Value {
        serde_json::from_str(
            &fs::read_to_string(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("ops/aws")
                    .join(path),
            )
            .unwrap(),
        )
        .unwrap()
    };
    let role =
        example["service-account.yaml"]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
            .as_str()
            .unwrap();
    assert_eq!(
        read("bucket/other-account.json")["Statement"][0]["Principal"]["AWS"],
        role
    );
    let statement = &read("trust/eks-service-account.json")["Statement"][0];
    let provider = statement["Principal"]["Federated"]
        .as_str()
        .unwrap()
        .split_once("oidc-provider/")
        .unwrap()
        .1
        .to_owned();
    let subject = format!(
        "system:serviceaccount:{}:tableferry",
        kustomization["namespace"].as_str().unwrap()
    );
    let conditions = json!({(format!("{provider}:aud")): "sts.amazonaws.com", (format!("{provider}:sub")): subject});
    assert_eq!(statement["Condition"]["StringEquals"], conditions);
    // The account in the example's settings is the one in the other policies.
    let accounts: Value = serde_json::from_str(
        example["config.yaml"]["data"]["TABLEFERRY_ACCOUNTS"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        read("identity/assume-roles.json")["Statement"][0]["Resource"],
        json!([accounts[0]["role_arn"]])
    );
    let trust = &read("trust/role-of-another-account.json")["Statement"][0];
    assert_eq!(trust["Principal"]["AWS"], role);
    assert_eq!(
        trust["Condition"]["StringEquals"]["sts:ExternalId"],
        accounts[0]["external_id"]
    );
}

#[tokio::test]
async fn what_the_manifests_start_runs() {
    let (base, _) = folder(BASE);
    let database_url = fresh_database().await;
    let http = client();
    // Processes of the new version may start before the job has run: they wait and are not ready.
    let mut waiting = Vec::new();
    for name in ["tableferry-api", "tableferry-worker"] {
        let template = &find(&base, "Deployment", name)["spec"]["template"];
        let address = free_address().await;
        let mut variables = variables(&base, template, None, &database_url);
        variables.insert("TABLEFERRY_LISTEN".to_owned(), address.clone());
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), "x".to_owned());
        variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "x".to_owned());
        let arguments = arguments(template);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let child = tableferry(&arguments, &variables).spawn().unwrap();
        let lives = async {
            loop {
                if let Ok(answer) = http.get(format!("http://{address}/livez")).send().await {
                    return answer.status();
                }
            }
        };
        assert_eq!(
            tokio::time::timeout(PATIENCE, lives)
                .await
                .expect("it answers"),
            200,
            "{name}"
        );
        let ready = http
            .get(format!("http://{address}/readyz"))
            .send()
            .await
            .unwrap();
        assert_eq!(ready.status(), 503, "{name}");
        waiting.push((name, address, child));
    }
    let template = &find(&base, "Job", "tableferry-migrate")["spec"]["template"];
    let variables = variables(&base, template, None, &database_url);
    let arguments = arguments(template);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let migrated = tableferry(&arguments, &variables).output().await.unwrap();
    assert!(
        migrated.status.success(),
        "{}",
        String::from_utf8_lossy(&migrated.stderr)
    );
    for (name, address, mut child) in waiting {
        becomes_ready(&address).await;
        let listed = http
            .get(format!("http://{address}/v1/exports"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            listed.status(),
            if name == "tableferry-api" { 401 } else { 404 },
            "{name}"
        );
        terminate(&child);
        assert!(
            tokio::time::timeout(PATIENCE, child.wait())
                .await
                .expect("it stops")
                .unwrap()
                .success()
        );
    }
}
