//! The simulator as a program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tableferry_simulator::{DEFAULT_ACCOUNT_ID, Limits, Seed, Settings, Simulator};
use tracing_subscriber::EnvFilter;

/// A simulator of the part of AWS that DynamoDB table exports to S3 need.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address of DynamoDB and the control interface.
    #[arg(
        long,
        env = "TABLEFERRY_SIMULATOR_LISTEN",
        default_value = "127.0.0.1:8001"
    )]
    listen: SocketAddr,
    /// Address of S3.
    #[arg(
        long,
        env = "TABLEFERRY_SIMULATOR_S3_LISTEN",
        default_value = "127.0.0.1:8002"
    )]
    s3_listen: SocketAddr,
    /// Folder that holds S3's data; each bucket is a folder in it.
    #[arg(
        long,
        env = "TABLEFERRY_SIMULATOR_DATA_DIR",
        default_value = ".tableferry/simulator"
    )]
    data_dir: PathBuf,
    /// Tables, buckets and keys to start with: a JSON file, or `sample`.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_SEED")]
    seed: Option<String>,
    /// Divides the duration of exports; 1 is AWS's speed.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_SPEED", default_value_t = 1.0)]
    speed: f64,
    /// The caller's account, unless the access key id is itself an account id.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_ACCOUNT_ID", default_value = DEFAULT_ACCOUNT_ID)]
    account_id: String,
    /// Accept table ARNs of any account.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_ANY_ACCOUNT")]
    any_account: bool,
    /// Disable quotas and throttles.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_NO_LIMITS")]
    no_limits: bool,
    /// File that keeps tables, exports and the clock across restarts.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_STATE_FILE")]
    state_file: Option<PathBuf>,
    /// Seed of every random choice.
    #[arg(long, env = "TABLEFERRY_SIMULATOR_RANDOM_SEED", default_value_t = 0)]
    random_seed: u64,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("--speed must be above 0")]
    Speed,
    #[error("--account-id must be 12 digits")]
    AccountId,
    #[error("cannot read the seed {path}: {source}")]
    SeedFile {
        path: String,
        source: std::io::Error,
    },
    #[error("the seed {path} is not valid: {source}")]
    SeedForm {
        path: String,
        source: serde_json::Error,
    },
    #[error(transparent)]
    Start(#[from] tableferry_simulator::StartError),
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,s3s=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            tracing::error!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Trouble> {
    if !(arguments.speed.is_finite() && arguments.speed > 0.0) {
        return Err(Trouble::Speed);
    }
    if arguments.account_id.len() != 12 || !arguments.account_id.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Trouble::AccountId);
    }
    let settings = Settings {
        listen: arguments.listen,
        s3_listen: arguments.s3_listen,
        state_file: arguments.state_file,
        seed: arguments.seed.map(read_seed).transpose()?,
        speed: arguments.speed,
        account_id: arguments.account_id,
        any_account: arguments.any_account,
        limits: if arguments.no_limits {
            Limits::unlimited()
        } else {
            Limits::default()
        },
        random_seed: arguments.random_seed,
        ..Settings::new(arguments.data_dir)
    };
    let simulator = Simulator::start(settings).await?;
    tracing::info!(
        dynamodb = simulator.dynamodb_url(),
        s3 = simulator.s3_url(),
        "ready"
    );
    stop_signal().await.map_err(Trouble::Signals)?;
    tracing::info!("stopping");
    simulator.shutdown().await;
    Ok(())
}

fn read_seed(path: String) -> Result<Seed, Trouble> {
    if path == "sample" {
        return Ok(Seed::sample());
    }
    let text = std::fs::read(&path).map_err(|source| Trouble::SeedFile {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| Trouble::SeedForm { path, source })
}

async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
