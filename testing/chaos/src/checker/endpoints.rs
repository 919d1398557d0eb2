//! No endpoint was disabled by the service, every replica publishes the same keys, and the
//! requested replay jobs are done.

use serde_json::Value;

use crate::endpoints::public_keys;
use crate::stage::Stage;

/// Checks every endpoint, its jobs and the keys through the API.
pub async fn check(stage: &Stage) {
    for endpoint in stage.endpoints.iter() {
        let now = get(stage, &format!("/v1/webhook-endpoints/{}", endpoint.id)).await;
        // Every receiver works in the end, and was down for seconds, not for five days.
        if now["disabled"] != Value::Bool(false) || !now["failing_since"].is_null() {
            stage.ledger.violated(
                "endpoints disabled",
                format!("{}: {now}", endpoint.filter.name),
                None,
            );
        }
        for job in endpoint.away().jobs {
            let job = get(stage, &format!("/v1/webhook-jobs/{job}")).await;
            if job["status"] != "COMPLETED" {
                stage
                    .ledger
                    .violated("not ended in time", format!("the job {job}"), None);
            }
        }
    }
    match public_keys(stage).await {
        Ok(keys) if keys.iter().all(|keys| keys == &*stage.public_keys) => {}
        Ok(keys) => stage.ledger.violated(
            "invalid signatures",
            format!(
                "the public keys were {:?}, and now are {keys:?}",
                stage.public_keys
            ),
            None,
        ),
        Err(error) => stage.ledger.violated(
            "unexpected responses",
            format!("GET /v1/webhook-public-keys: {error}"),
            None,
        ),
    }
}

async fn get(stage: &Stage, path: &str) -> Value {
    let answer = stage.http.get(stage.replicas[0].url(path)).send().await;
    match answer {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => Value::Null,
    }
}
