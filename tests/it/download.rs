//! `tableferry export download`: the program against a service, into a folder.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::process::{PATIENCE, tableferry};
use crate::support::{Folder, TestApp, ago, books_body, create_body, gzip};

/// Runs a download; returns its exit status and the summary.
async fn download(app: &TestApp, id: &str, folder: &Path, more: &[&str]) -> (i32, Value) {
    let mut arguments = vec![
        "export",
        "download",
        id,
        folder.to_str().unwrap(),
        "--json",
        "--quiet",
    ];
    arguments.extend(more);
    let output = timeout(
        PATIENCE,
        tableferry(&arguments, &[("TABLEFERRY_SERVER", &app.url)]).output(),
    )
    .await
    .unwrap()
    .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    (
        output.status.code().unwrap(),
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")),
    )
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path))
        } else {
            files.push(path)
        }
    }
    files.sort();
    files
}

/// A URL cannot contain such a segment: every client resolves it before sending.
#[tokio::test]
async fn a_prefix_that_no_url_can_carry_is_refused() {
    let app = TestApp::start().await;
    for prefix in ["dot/./x", "../../up", "..", "a/.."] {
        let mut body = create_body();
        body["s3_prefix"] = json!(prefix);
        let refused = app
            .create(&body)
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(refused.json["errors"][0]["pointer"], "/s3_prefix");
        assert!(
            refused.json["errors"][0]["detail"]
                .as_str()
                .unwrap()
                .contains("part . or .."),
            "{}",
            refused.text
        );
    }
}

/// Every item of the .jsonl files, by its key.
fn plain_items(folder: &Path) -> Vec<Value> {
    let plain = files_below(folder)
        .into_iter()
        .filter(|file| file.to_str().unwrap().ends_with(".jsonl"));
    let mut items: Vec<Value> = plain
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    items.sort_by_key(|item| item.pointer("/Keys/pk").unwrap_or(&item["pk"]).to_string());
    items
}

#[tokio::test]
async fn every_prefix_that_is_accepted_can_be_downloaded() {
    let app = TestApp::start().await;
    app.make_books();
    let long = "p".repeat(900);
    for prefix in [
        "a//b",
        "/lead",
        "...",
        "a\\b",
        "a.b/.c/d.",
        "100%/2F",
        "é ü/+?#&",
        long.as_str(),
    ] {
        let mut body = books_body();
        body["s3_prefix"] = json!(prefix);
        let id = app.export_to_end(&body).await;
        let outer = Folder::new();
        let folder = outer.path().join("a/b/c");
        let (status, summary) = download(&app, &id, &folder, &[]).await;
        assert_eq!(
            (status, &summary["files_downloaded"], &summary["failed"]),
            (0, &json!(4), &json!([])),
            "{prefix}: {summary}"
        );
        // Four data files and four manifest files, all below the folder.
        assert_eq!(files_below(&folder).len(), 8, "{prefix}");
        assert_eq!(files_below(outer.path()).len(), 8, "{prefix}");
        let (status, again) = download(&app, &id, &folder, &[]).await;
        assert_eq!(
            (status, &again["files_downloaded"], &again["files_present"]),
            (0, &json!(0), &json!(4)),
            "{prefix}: {again}"
        );
    }
}

#[tokio::test]
async fn items_come_as_plain_json_lines_from_both_formats() {
    let app = TestApp::start().await;
    app.make_books();
    let mut all = Vec::new();
    for format in ["DYNAMODB_JSON", "ION"] {
        let mut body = books_body();
        body["export_format"] = json!(format);
        let id = app.export_to_end(&body).await;
        let folder = Folder::new();
        let (status, summary) = download(&app, &id, folder.path(), &["--format", "json"]).await;
        let items = plain_items(folder.path());
        assert_eq!(
            (status, &summary["items_written"]),
            (0, &json!(items.len())),
            "{summary}"
        );
        assert_eq!(items.len(), app.export(&id).await["item_count"], "{format}");
        assert_eq!(items[1]["price"], 12.5);
        all.push(items);
        body["export_type"] = json!("INCREMENTAL_EXPORT");
        body["incremental_export_specification"] =
            json!({"export_from_time": ago(7200), "export_to_time": ago(1200)});
        let id = app.export_to_end(&body).await;
        let folder = Folder::new();
        let (status, _) = download(&app, &id, folder.path(), &["--format", "json"]).await;
        let changes = plain_items(folder.path());
        assert_eq!((status, changes.len()), (0, 4));
        assert!(
            changes
                .iter()
                .all(|change| change["Keys"]["pk"].is_string()
                    && change["OldImage"]["price"] == 12.5)
        );
        all.push(changes);
    }
    assert_eq!(all[0], all[2]);
    assert_eq!(
        all[1]
            .iter()
            .map(|change| &change["OldImage"])
            .collect::<Vec<_>>(),
        all[3]
            .iter()
            .map(|change| &change["OldImage"])
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_wrong_file_is_told_by_the_exit_status() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    let key = app.fullest_file(&id).await;
    app.s3_put(&key, &gzip("{\"Item\":{}}\n")).await;
    let folder = Folder::new();
    let (status, summary) = download(&app, &id, folder.path(), &["--format", "json"]).await;
    assert_eq!(
        (
            status,
            &summary["failed"][0]["key"],
            &summary["failed"][0]["is_wrong"]
        ),
        (10, &json!(key), &json!(true)),
        "{summary}"
    );
    assert!(
        !files_below(folder.path())
            .iter()
            .any(|file| file.to_str().unwrap().contains(&key))
    );
    // A file that cannot be written is not a failed check.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let arguments = ["export", "download", &id, file.to_str().unwrap(), "--quiet"];
    let output = timeout(
        PATIENCE,
        tableferry(&arguments, &[("TABLEFERRY_SERVER", &app.url)]).output(),
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
}
