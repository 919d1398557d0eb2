//! Deep verification: speed, next to `zcat | md5sum` over the same files, and memory for a small
//! and a large export.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::Failed;
use crate::report::{Figure, Goal};
use crate::stage::{Service, Stage};

/// Compressed size of one data file.
const FILE_MB: usize = 10;

/// Data files of the large export: 2 GB in all. The small one has one.
const MANY_FILES: usize = 205;

/// Maximum duration of a verification.
const PATIENCE: Duration = Duration::from_secs(300);

const BUCKET: &str = "tableferry-exports";

/// A data file: many lines of DynamoDB JSON that compress to about two fifths.
struct DataFile {
    bytes: Vec<u8>,
    items: usize,
    md5: String,
}

/// A small and a large export, each verified deeply by one process of the service.
pub async fn deep(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    let service = stage.service("all").await?;
    let file = data_file()?;
    let id = completed_export(&stage, &service).await?;

    write_files(&stage, &service, &id, &file, 1).await?;
    verify(&stage, &service, &id).await?;
    let small_mb = service.peak_memory_mb()?;
    write_files(&stage, &service, &id, &file, MANY_FILES).await?;
    let cpu_before = service.cpu_s()?;
    let took = verify(&stage, &service, &id).await?;
    let cpu_s = service.cpu_s()? - cpu_before;
    let large_mb = service.peak_memory_mb()?;

    let read_mb = mb(file.bytes.len() * MANY_FILES);
    let (reference_took, reference_cpu_s) = reference(&stage, &file)?;
    Ok(vec![
        Figure {
            name: "compressed MB per second",
            value: read_mb / took.as_secs_f64(),
            goal: None,
        },
        Figure {
            name: "zcat to md5sum, MB per second",
            value: read_mb / reference_took.as_secs_f64(),
            goal: None,
        },
        Figure {
            name: "MB per second and core",
            value: read_mb / cpu_s,
            goal: None,
        },
        Figure {
            name: "zcat to md5sum, MB per second and core",
            value: read_mb / reference_cpu_s,
            goal: None,
        },
        Figure {
            name: "ratio per core",
            value: reference_cpu_s / cpu_s,
            goal: Some(Goal::AtLeast(0.8)),
        },
        Figure {
            name: "peak memory, 10 MB read, MB",
            value: small_mb,
            goal: None,
        },
        Figure {
            name: "peak memory, 2 GB read, MB",
            value: large_mb,
            goal: Some(Goal::AtMost(small_mb + 50.0)),
        },
    ])
}

fn data_file() -> Result<DataFile, Failed> {
    let mut random = 7_u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        random >> 16
    };
    let (mut encoder, mut items, mut line) = (
        GzEncoder::new(Vec::new(), Compression::default()),
        0,
        String::new(),
    );
    while encoder.get_ref().len() < FILE_MB * 1_000_000 {
        line.clear();
        writeln!(
            line,
            "{{\"Item\":{{\"pk\":{{\"S\":\"order-{:012x}\"}},\"customer\":{{\"S\":\"{:012x}{:012x}\"}},\"status\":{{\"S\":\"open\"}},\"total\":{{\"N\":\"{}\"}}}}}}",
            next(),
            next(),
            next(),
            next() % 100_000
        )?;
        encoder.write_all(line.as_bytes())?;
        items += 1;
    }
    let bytes = encoder.finish()?;
    let md5 = BASE64.encode(Md5::digest(&bytes));
    Ok(DataFile { bytes, items, md5 })
}

/// Exports the sample's table. Returns the id of the export, which is COMPLETED.
async fn completed_export(stage: &Stage, service: &Service) -> Result<String, Failed> {
    let table = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";
    let export = stage
        .post(
            format!("{}/v1/exports", service.url),
            &json!({"table_arn": table, "s3_bucket": BUCKET}),
        )
        .await?;
    let id = export["id"]
        .as_str()
        .ok_or("an export without an id")?
        .to_owned();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        stage.finish_exports().await;
        match get(stage, service, &id, Some(2)).await?["export_status"].as_str() {
            Some("COMPLETED") => return Ok(id),
            Some("PENDING" | "IN_PROGRESS") => {}
            other => return Err(format!("the sample export is {other:?}").into()),
        }
    }
    Err("the sample export did not complete".into())
}

async fn get(
    stage: &Stage,
    service: &Service,
    id: &str,
    wait_s: Option<u32>,
) -> Result<Value, Failed> {
    let mut request = stage.http.get(format!("{}/v1/exports/{id}", service.url));
    if let Some(wait) = wait_s {
        request = request.header("prefer", format!("wait={wait}"));
    }
    Ok(request.send().await?.error_for_status()?.json().await?)
}

/// Replaces the exported files with this number of copies of the file, with matching manifests.
async fn write_files(
    stage: &Stage,
    service: &Service,
    id: &str,
    file: &DataFile,
    count: usize,
) -> Result<(), Failed> {
    let export = get(stage, service, id, None).await?;
    let summary_key = export["manifest_files_s3_key"]
        .as_str()
        .ok_or("an export without a manifest")?
        .to_owned();
    let folder = summary_key
        .strip_suffix("manifest-summary.json")
        .ok_or("an odd manifest")?;
    let mut lines = String::new();
    for n in 0..count {
        let key = format!("{folder}data/bench-{n:04}.json.gz");
        let etag = put(stage, &key, file.bytes.clone()).await?;
        let line = json!({"itemCount": file.items, "md5Checksum": file.md5, "etag": etag, "dataFileS3Key": key});
        writeln!(lines, "{line}")?;
    }
    let mut summary: Value = stage
        .http
        .get(stage.s3(BUCKET, &summary_key))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    summary["itemCount"] = json!(file.items * count);
    put_manifest(stage, &format!("{folder}manifest-files"), lines).await?;
    put_manifest(
        stage,
        &format!("{folder}manifest-summary"),
        summary.to_string(),
    )
    .await?;
    // AWS returned the number of items when the export was polled.
    let mut database = PgConnection::connect(stage.database_url()).await?;
    let items = i64::try_from(file.items * count)?;
    sqlx::query("UPDATE exports SET item_count = $1 WHERE id = $2::uuid")
        .bind(items)
        .bind(id)
        .execute(&mut database)
        .await?;
    Ok(database.close().await?)
}

async fn put_manifest(stage: &Stage, stem: &str, text: String) -> Result<(), Failed> {
    let sum = BASE64.encode(Md5::digest(text.as_bytes()));
    put(stage, &format!("{stem}.json"), text.into_bytes()).await?;
    put(stage, &format!("{stem}.md5"), sum.into_bytes())
        .await
        .map(drop)
}

/// The ETag without quotes.
async fn put(stage: &Stage, key: &str, bytes: Vec<u8>) -> Result<String, Failed> {
    let answer = stage
        .http
        .put(stage.s3(BUCKET, key))
        .body(bytes)
        .send()
        .await?
        .error_for_status()?;
    let etag = answer
        .headers()
        .get("etag")
        .and_then(|v| v.to_str().ok())
        .ok_or("S3 gave no ETag")?;
    Ok(etag.trim_matches('"').to_owned())
}

/// Runs a deep verification to its end. Returns its duration.
async fn verify(stage: &Stage, service: &Service, id: &str) -> Result<Duration, Failed> {
    let began = Instant::now();
    stage
        .post(
            format!("{}/v1/exports/{id}/verify", service.url),
            &json!({"deep": true}),
        )
        .await?;
    while began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let verification = get(stage, service, id, None).await?["verification"].clone();
        match verification["status"].as_str() {
            Some("running") => {}
            Some("passed") => return Ok(began.elapsed()),
            _ => return Err(format!("the verification did not pass: {verification}").into()),
        }
    }
    Err("the verification did not end".into())
}

/// `zcat | md5sum` over the same number of bytes. Returns the duration and the CPU time.
fn reference(stage: &Stage, file: &DataFile) -> Result<(Duration, f64), Failed> {
    let path: PathBuf = stage.folder().join("bench.json.gz");
    std::fs::write(&path, &file.bytes)?;
    let script =
        format!("for n in $(seq {MANY_FILES}); do zcat \"$1\"; done | md5sum >/dev/null; times");
    let began = Instant::now();
    let output = Command::new("bash")
        .args(["-c", &script, "bash"])
        .arg(&path)
        .output()?;
    let took = began.elapsed();
    // The second line has the children's user and system times, such as 0m1.234s 0m0.100s.
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().nth(1).ok_or("bash gave no times")?;
    let seconds = line.split_whitespace().filter_map(|time| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    });
    Ok((took, seconds.sum()))
}

#[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
