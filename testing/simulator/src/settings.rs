//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::limits::Limits;
use crate::seed::Seed;

/// The account that owns what nobody else owns.
pub const DEFAULT_ACCOUNT_ID: &str = "123456789012";

/// Settings of one simulator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where DynamoDB and the control interface listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where S3 listens; port 0 takes a free one.
    pub s3_listen: SocketAddr,
    /// The folder of S3: buckets are folders in it.
    pub data_dir: PathBuf,
    /// Keeps tables, exports and the clock's offset over a restart.
    pub state_file: Option<PathBuf>,
    /// Tables, buckets and keys to start with.
    pub seed: Option<Seed>,
    /// Divides how long exports take. 1 is AWS's pace.
    pub speed: f64,
    /// The caller's account, unless the access key id is itself an account id (12 digits).
    pub account_id: String,
    /// Serves a table ARN of any account instead of denying access to foreign ones.
    pub any_account: bool,
    /// Quotas and throttles.
    pub limits: Limits,
    /// Every random choice follows from it.
    pub random_seed: u64,
    /// Starts with the clock standing still.
    pub freeze_clock: bool,
    /// Data files per export: one per partition of the table, of which AWS gives a table as many as
    /// its capacity and size ask for, unless a number is set here.
    pub partitions: Option<u32>,
}

impl Settings {
    /// Defaults: free local ports, nothing kept, AWS's pace and quotas.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any_port,
            s3_listen: any_port,
            data_dir: data_dir.into(),
            state_file: None,
            seed: None,
            speed: 1.0,
            account_id: DEFAULT_ACCOUNT_ID.to_owned(),
            any_account: false,
            limits: Limits::default(),
            random_seed: 0,
            freeze_clock: false,
            partitions: None,
        }
    }
}
