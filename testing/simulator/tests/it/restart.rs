//! A restart: with a state file everything continues where it stopped, and S3 keeps its objects.

use serde_json::json;

use crate::client::{Aws, LONG_ENOUGH, ORDERS, fresh_folder, settings};

#[tokio::test]
async fn tables_exports_tokens_and_objects_survive() {
    let folder = fresh_folder();
    let again = || {
        let mut settings = settings(folder.clone());
        settings.state_file = Some(folder.join("state/state.json"));
        settings
    };
    let mut aws = Aws::over(again(), folder.clone()).await;
    aws.call(
        "PutItem",
        json!({"TableName": "Orders", "Item": {"pk": {"S": "kept"}}}),
    )
    .await
    .ok();
    let done = aws.finished(json!({"ClientToken": "done"})).await;
    let running = aws.started(json!({"ClientToken": "running"})).await;
    let stopped_at = aws.control().now();
    aws.sim.take().unwrap().shutdown().await;

    aws.sim = Some(
        tableferry_simulator::Simulator::start(again())
            .await
            .unwrap(),
    );
    assert!(aws.control().now() >= stopped_at, "the clock goes on");
    let arn = done["ExportArn"].as_str().unwrap();
    assert_eq!(aws.description(arn).await, done);
    assert_eq!(
        aws.records(&done).await,
        [json!({"Item": {"pk": {"S": "kept"}}})]
    );
    assert_eq!(
        aws.started(json!({"ClientToken": "running"})).await,
        running
    );
    aws.control().advance(LONG_ENOUGH).await;
    assert_eq!(aws.description(&running).await["ItemCount"], 1);
    assert_eq!(
        aws.call("ListExports", json!({"TableArn": ORDERS}))
            .await
            .ok()["ExportSummaries"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn without_a_state_file_only_objects_survive() {
    let folder = fresh_folder();
    let mut aws = Aws::over(settings(folder.clone()), folder.clone()).await;
    let done = aws.finished(json!({})).await;
    aws.sim.take().unwrap().shutdown().await;
    aws.sim = Some(
        tableferry_simulator::Simulator::start(settings(folder))
            .await
            .unwrap(),
    );
    assert_eq!(
        aws.call("DescribeExport", json!({"ExportArn": done["ExportArn"]}))
            .await
            .code(),
        "ExportNotFoundException"
    );
    assert!(aws.lines(&done).await.is_empty());
}

#[tokio::test]
async fn a_state_file_of_another_kind_is_not_overwritten() {
    let folder = fresh_folder();
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("state.json");
    std::fs::write(&file, "{}").unwrap();
    let mut settings = settings(folder.clone());
    settings.state_file = Some(file.clone());
    assert!(
        tableferry_simulator::Simulator::start(settings)
            .await
            .is_err()
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn ids_are_not_drawn_twice() {
    let folder = fresh_folder();
    let again = || {
        let mut settings = settings(folder.clone());
        settings.state_file = Some(folder.join("state.json"));
        settings
    };
    let mut aws = Aws::over(again(), folder.clone()).await;
    let first = aws.finished(json!({"ClientToken": "first"})).await;
    aws.sim.take().unwrap().shutdown().await;
    aws.sim = Some(
        tableferry_simulator::Simulator::start(again())
            .await
            .unwrap(),
    );
    aws.control()
        .create_table(&tableferry_simulator::TableSeed::new("Another"))
        .unwrap();
    let id = async |name: &str| {
        aws.call("DescribeTable", json!({"TableName": name}))
            .await
            .ok()["Table"]["TableId"]
            .clone()
    };
    assert_eq!(id("Orders").await, first["TableId"]);
    assert_ne!(id("Another").await, first["TableId"]);
    let second = aws.started(json!({"ClientToken": "second"})).await;
    assert_ne!(
        second.rsplit('-').next(),
        first["ExportArn"].as_str().unwrap().rsplit('-').next()
    );
}

#[tokio::test]
async fn the_same_seed_draws_the_same() {
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let aws = Aws::with(|settings| settings.random_seed = 42).await;
        aws.call("ListTables", json!({})).await.ok();
        let started = aws.export(json!({})).await.ok()["ExportDescription"].clone();
        let digits = started["ExportArn"]
            .as_str()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .to_owned();
        drawn.push((
            started["TableId"].clone(),
            digits,
            started["ClientToken"].clone(),
        ));
    }
    assert_eq!(drawn[0], drawn[1]);
}
