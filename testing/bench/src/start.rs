//! The cost of an idle process: time until it is ready, memory, size of the program.

use std::path::Path;
use std::time::Duration;

use crate::Failed;
use crate::report::{Figure, Goal};
use crate::stage::Stage;

pub async fn start(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    // The first one migrates the schema; the second one is measured.
    drop(stage.service("all").await?);
    let service = stage.service("all").await?;
    let ready_ms = service.ready_after.as_secs_f64() * 1000.0;
    tokio::time::sleep(Duration::from_secs(3)).await;
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    let program_mb = std::fs::metadata(program)?.len() as f64 / 1e6;
    Ok(vec![
        Figure {
            name: "start to readyz, ms",
            value: ready_ms,
            goal: Some(Goal::AtMost(300.0)),
        },
        Figure {
            name: "idle memory, MB",
            value: service.memory_kb()? / 1000.0,
            goal: Some(Goal::AtMost(30.0)),
        },
        Figure {
            name: "program, MB",
            value: program_mb,
            goal: Some(Goal::AtMost(40.0)),
        },
    ])
}
