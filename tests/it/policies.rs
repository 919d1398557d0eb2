//! The policies in `ops/aws` allow exactly what the code calls. The calls are read from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tableferry::aws::{ASSUME_ROLE, Operation};
use tableferry::domain::aws::iam::WRITE_ACTIONS;

use crate::tidy::sources;

type Set = BTreeSet<String>;

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> Set {
    words.into_iter().map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Every file of `ops/aws`, as `folder/name`. The folder says what the policy is attached to.
fn policies() -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/aws");
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        for file in fs::read_dir(&folder)
            .unwrap_or_else(|_| panic!("{folder:?} is not a folder"))
            .map(|entry| entry.unwrap().path())
        {
            let name = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let policy = serde_json::from_str(&fs::read_to_string(&file).unwrap())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            found.insert(name, policy);
        }
    }
    found
}

/// One string, or an array of strings.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all
            .iter()
            .map(|text| text.as_str().expect("a string"))
            .collect(),
        one => vec![one.as_str().expect("a string")],
    }
}

fn statements(policy: &Value) -> &[Value] {
    policy["Statement"]
        .as_array()
        .expect("Statement is an array")
}

fn actions(policy: &Value) -> Set {
    statements(policy)
        .iter()
        .flat_map(|statement| texts(&statement["Action"]))
        .map(str::to_owned)
        .collect()
}

/// Whether an action has this kind of resource in an identity or bucket policy.
fn suits(action: &str, resource: &str) -> bool {
    let parts: Vec<_> = resource.splitn(6, ':').collect();
    let [_, "aws", service, _, _, rest] = parts.as_slice() else {
        return resource == "*" && action == "dynamodb:ListExports";
    };
    let bucket = !rest.is_empty() && !rest.contains('/');
    match action {
        "dynamodb:DescribeExport" => {
            *service == "dynamodb" && rest.starts_with("table/") && rest.ends_with("/export/*")
        }
        "dynamodb:ExportTableToPointInTime"
        | "dynamodb:DescribeTable"
        | "dynamodb:DescribeContinuousBackups" => {
            *service == "dynamodb"
                && rest
                    .strip_prefix("table/")
                    .is_some_and(|table| !table.is_empty() && !table.contains('/'))
        }
        "s3:ListBucket" | "s3:GetBucketPolicy" => *service == "s3" && bucket,
        _ if action.starts_with("s3:") => *service == "s3" && rest.ends_with("/*"),
        _ if action.starts_with("kms:") => *service == "kms" && rest.starts_with("key/"),
        ASSUME_ROLE => *service == "iam" && rest.starts_with("role/"),
        _ => false,
    }
}

/// Errors in a policy's form.
fn faults(name: &str, policy: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let (folder, _) = name.split_once('/').unwrap();
    let members: Set = policy.as_object().unwrap().keys().cloned().collect();
    if members != set(["Version", "Statement"]) || policy["Version"] != "2012-10-17" {
        faults.push(format!(
            "members are {members:?}, Version {}",
            policy["Version"]
        ));
    }
    let mut names = Set::new();
    for statement in statements(policy) {
        let sid = statement["Sid"].as_str().unwrap_or_default();
        if sid.is_empty()
            || !sid.bytes().all(|b| b.is_ascii_alphanumeric())
            || !names.insert(sid.to_owned())
        {
            faults.push(format!("the Sid {sid:?} is missing, no word, or taken"));
        }
        let members = statement
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Set>();
        let (has_principal, has_resource) = (folder != "identity", folder != "trust");
        let mut expected = set(["Sid", "Effect", "Action"]);
        expected.extend(has_principal.then(|| "Principal".to_owned()));
        expected.extend(has_resource.then(|| "Resource".to_owned()));
        expected.extend((folder == "trust").then(|| "Condition".to_owned()));
        if members != expected {
            faults.push(format!("{sid}: members are {members:?}"));
            continue;
        }
        if statement["Effect"] != "Allow" {
            faults.push(format!("{sid}: its Effect is {}", statement["Effect"]));
        }
        if has_principal {
            let principal = statement["Principal"]
                .as_object()
                .map(|kinds| kinds.values().flat_map(texts).collect::<Vec<_>>());
            if !principal.is_some_and(|names| {
                !names.is_empty() && names.iter().all(|name| name.starts_with("arn:aws:iam::"))
            }) {
                faults.push(format!(
                    "{sid}: its Principal is {}",
                    statement["Principal"]
                ));
            }
        }
        for action in texts(&statement["Action"]) {
            if action.contains('*') {
                faults.push(format!("{sid}: {action} is not a single action"));
            }
            for resource in if has_resource {
                texts(&statement["Resource"])
            } else {
                Vec::new()
            } {
                // A key's policy applies to that key.
                if if folder == "key" {
                    resource != "*"
                } else {
                    !suits(action, resource)
                } {
                    faults.push(format!("{sid}: {action} on {resource}"));
                }
            }
        }
    }
    faults
}

#[test]
fn every_policy_is_well_formed() {
    for (name, policy) in policies() {
        assert_eq!(
            faults(&name, &policy),
            Vec::<String>::new(),
            "ops/aws/{name}"
        );
    }
}

#[test]
fn a_bad_policy_is_found() {
    let good = policies().remove("bucket/other-account.json").unwrap();
    for (pointer, value) in [
        ("/Version", "2008-10-17"),
        ("/Statement/0/Sid", "TableferryRead"),
        ("/Statement/0/Effect", "Deny"),
        ("/Statement/0/Principal", "*"),
        ("/Statement/0/Action", "s3:*"),
        ("/Statement/0/Resource", "arn:aws:s3:::my-exports"),
        ("/Statement/0/Resource", "*"),
        ("/Statement/2/Resource", "arn:aws:s3:::my-exports/*"),
        ("/Statement/2/Action", "s3:Listbucket"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.into();
        assert_ne!(
            faults("bucket/other-account.json", &bad),
            Vec::<String>::new(),
            "{pointer}: {value}"
        );
    }
    assert_ne!(
        faults("identity/x.json", &good),
        Vec::<String>::new(),
        "an identity's policy names no principal"
    );
}

/// What these calls need, including what AWS does with the bucket in the caller's name.
fn needed(operations: &[Operation]) -> Set {
    set(operations
        .iter()
        .flat_map(|operation| [&[operation.permission()], operation.bucket_permissions()].concat()))
}

#[test]
fn each_policy_allows_what_its_calls_take_and_no_more() {
    use Operation::*;
    let export = [ExportTableToPointInTime, DescribeExport, ListExports];
    let reading = [HeadBucket, HeadObject, GetObject];
    let preflight = [
        DescribeTable,
        DescribeContinuousBackups,
        HeadBucket,
        GetBucketPolicy,
        DescribeKey,
    ];
    let served: Vec<_> = [export.as_slice(), &reading, &preflight].concat();
    for operation in Operation::ALL {
        assert!(
            served.contains(&operation),
            "no policy is for {operation:?}"
        );
    }
    let keys = set(Operation::ALL
        .iter()
        .flat_map(|operation| operation.key_permissions().iter().copied()));
    let expected = BTreeMap::from([
        ("identity/export.json", needed(&export)),
        ("identity/read.json", needed(&reading)),
        ("identity/preflight.json", needed(&preflight)),
        ("identity/kms.json", keys.clone()),
        ("identity/assume-roles.json", set([ASSUME_ROLE])),
        // AWS does not return a bucket's policy to other accounts.
        (
            "bucket/other-account.json",
            needed(&reading)
                .into_iter()
                .chain(set(WRITE_ACTIONS))
                .collect(),
        ),
        (
            "key/use.json",
            keys.into_iter().chain(needed(&[DescribeKey])).collect(),
        ),
        ("trust/role-of-another-account.json", set([ASSUME_ROLE])),
        // What the SDK calls when Kubernetes gives it a token.
        (
            "trust/eks-service-account.json",
            set(["sts:AssumeRoleWithWebIdentity"]),
        ),
    ]);
    let policies = policies();
    assert_eq!(
        policies.keys().map(String::as_str).collect::<Vec<_>>(),
        expected.keys().copied().collect::<Vec<_>>()
    );
    for (name, policy) in &policies {
        assert_eq!(actions(policy), expected[name.as_str()], "ops/aws/{name}");
    }
    // All together: a call without a permission, or a permission without a call, fails.
    let allowed: Set = policies
        .iter()
        .filter(|(name, _)| name.starts_with("identity/"))
        .flat_map(|(_, policy)| actions(policy))
        .collect();
    let mut called = needed(&Operation::ALL);
    called.extend(set(Operation::ALL
        .iter()
        .flat_map(|operation| operation.key_permissions().iter().copied())));
    called.insert(ASSUME_ROLE.to_owned());
    assert_eq!(allowed, called);
}

/// The SDK operations in a source file, in order; those that are only presigned are left out.
fn begun(text: &str) -> Vec<String> {
    let mut begun: Vec<(usize, String)> = Vec::new();
    for client in ["self.dynamodb(", "self.s3(", "self.kms(", "self.client"] {
        for (at, _) in text.match_indices(client) {
            let mut rest = &text[at + client.len()..];
            if client.ends_with('(') {
                let mut depth = 1;
                let end = rest.find(|c| {
                    depth += match c {
                        '(' => 1,
                        ')' => -1,
                        _ => 0,
                    };
                    depth == 0
                });
                rest = &rest[end.unwrap() + 1..];
            }
            if let Some(call) = rest.trim_start().strip_prefix('.') {
                begun.push((at, call[..call.find('(').unwrap()].to_owned()));
            }
        }
    }
    begun.sort();
    let ends: Vec<_> = begun
        .iter()
        .skip(1)
        .map(|(at, _)| *at)
        .chain([text.len()])
        .collect();
    let sent = begun
        .into_iter()
        .zip(ends)
        .filter(|((at, _), end)| !text[*at..*end].contains(".presigned("));
    sent.map(|((_, name), _)| name).collect()
}

/// `GetObject` from `get_object`.
fn in_aws_words(name: &str) -> String {
    name.split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

#[test]
fn every_call_of_the_sdk_is_made_under_its_own_name() {
    let mut seen = Set::new();
    for (path, text) in sources("crates/aws") {
        if path.ends_with("operations.rs") {
            continue;
        }
        // Joins calls that continue on the next line.
        let lines = text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with("//"));
        let code: String = lines
            .map(|line| {
                if line.starts_with('.') {
                    line.to_owned()
                } else {
                    format!("\n{line}")
                }
            })
            .collect();
        let calls: Vec<_> = begun(&code).iter().map(|name| in_aws_words(name)).collect();
        assert_eq!(
            calls.len(),
            code.matches(".send()").count(),
            "{}: every call begins at a client: {calls:?}",
            path.display()
        );
        let named = code.split("Operation::").skip(1).map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap()
                .to_owned()
        });
        assert_eq!(calls, named.collect::<Vec<_>>(), "{}", path.display());
        seen.extend(calls);
    }
    let all: Set = Operation::ALL
        .iter()
        .map(|operation| format!("{operation:?}"))
        .collect();
    assert_eq!(
        seen, all,
        "what is called, and what crates/aws/src/operations.rs lists"
    );
    for operation in Operation::ALL {
        assert!(
            operation.method().ends_with(&format!("/{operation:?}")),
            "{operation:?}"
        );
    }
}

#[test]
fn the_document_names_every_policy_and_every_call() {
    let document = read("docs/aws-permissions.md");
    for name in policies().keys() {
        assert!(
            document.contains(&format!("](../ops/aws/{name})")),
            "docs/aws-permissions.md does not link to {name}"
        );
    }
    for operation in Operation::ALL {
        let row = format!("| {operation:?} | `{}` |", operation.permission());
        assert!(
            document.contains(&row),
            "docs/aws-permissions.md has no row {row}"
        );
    }
}
