//! The settings of a simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::limits::Limits;
use crate::seed::Seed;

/// The default account.
pub const DEFAULT_ACCOUNT_ID: &str = "123456789012";

#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of DynamoDB and the control interface; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Address of S3; port 0 picks a free one.
    pub s3_listen: SocketAddr,
    /// The folder with S3's data: each bucket is a folder in it.
    pub data_dir: PathBuf,
    /// The file that keeps tables, exports and the clock's offset across restarts.
    pub state_file: Option<PathBuf>,
    /// Tables, buckets and keys to start with.
    pub seed: Option<Seed>,
    /// Divides the duration of exports; 1 is AWS's speed.
    pub speed: f64,
    /// The caller's account, unless the access key id is itself an account id (12 digits).
    pub account_id: String,
    /// Accepts table ARNs of any account instead of denying access to other accounts.
    pub any_account: bool,
    pub limits: Limits,
    /// Seed of every random choice.
    pub random_seed: u64,
    /// Starts with a frozen clock.
    pub freeze_clock: bool,
    /// Data files per export: one per partition of the table. By default the number of partitions
    /// follows from the table's capacity and size, as at AWS.
    pub partitions: Option<u32>,
}

impl Settings {
    /// Defaults: free local ports, nothing kept, AWS's speed and quotas.
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
