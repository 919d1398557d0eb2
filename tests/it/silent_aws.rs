//! Silent connections to AWS: one call times out, not one for each connection in the pool.

use tableferry::aws::Aws;
use tableferry::domain::aws::arn::TableArn;

use crate::support::{Relay, TABLE, TestApp};

#[tokio::test]
async fn silent_connections_cost_one_call() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.dynamodb_url).await;
    let aws = Aws::at_endpoints(&relay.url, &app.s3_url).await;
    let table = TableArn::parse(TABLE).unwrap();
    // As many connections as concurrent calls.
    for listed in futures_util::future::join_all((0..8).map(|_| aws.list_running(&table))).await {
        listed.unwrap();
    }
    relay.silence();
    assert_eq!(aws.list_running(&table).await.unwrap_err().code, "TimedOut");
    for _ in 0..8 {
        aws.list_running(&table).await.unwrap();
    }
}

#[tokio::test]
async fn connections_that_go_silent_again_cost_one_call_again() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.dynamodb_url).await;
    let aws = Aws::at_endpoints(&relay.url, &app.s3_url).await;
    let table = TableArn::parse(TABLE).unwrap();
    for _ in 0..2 {
        for listed in futures_util::future::join_all((0..4).map(|_| aws.list_running(&table))).await
        {
            listed.unwrap();
        }
        relay.silence();
        assert_eq!(aws.list_running(&table).await.unwrap_err().code, "TimedOut");
    }
    aws.list_running(&table).await.unwrap();
}
