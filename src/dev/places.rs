//! Where things listen in `tableferry dev`, and what is said about it.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use private_postgres::PrivatePostgres;
use tableferry_simulator::{Seed, Settings as SimulatorSettings, Simulator};
use tokio::net::TcpListener;

use super::{Dev, DevError};

/// Says something to the person at the terminal.
pub fn say(text: &str) {
    let mut out = std::io::stdout();
    // A closed terminal is no reason to stop serving.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// The wanted port if it is free, else a free one.
async fn free_port(wanted: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, wanted));
    match TcpListener::bind(address).await {
        Ok(_) => address,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// The stand-in for AWS, with its sample tables, kept below the data folder.
pub async fn simulator_settings(data_dir: &Path, speed: f64) -> SimulatorSettings {
    SimulatorSettings {
        listen: free_port(8001).await,
        s3_listen: free_port(8002).await,
        state_file: Some(data_dir.join("aws").join("state.json")),
        seed: Some(Seed::sample()),
        speed,
        ..SimulatorSettings::new(data_dir.join("aws").join("s3"))
    }
}

/// Listens on the wanted address, or on a free port of it when that one is taken.
pub async fn listen(wanted: SocketAddr) -> Result<TcpListener, DevError> {
    match TcpListener::bind(wanted).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            say(&format!(
                "  Port {} is taken ({error}); the service takes a free one.\n",
                wanted.port()
            ));
            let bound = TcpListener::bind(SocketAddr::from((wanted.ip(), 0))).await;
            bound.map_err(|source| DevError::Machine {
                what: "no port is free",
                source,
            })
        }
    }
}

/// The URL of a listener.
pub fn url_of(listener: &TcpListener) -> Result<String, DevError> {
    let address = listener.local_addr().map_err(|source| DevError::Machine {
        what: "a listener has no address",
        source,
    })?;
    Ok(format!("http://{address}"))
}

/// What runs where.
pub fn introduce(dev: &Dev, postgres: &PrivatePostgres, simulator: &Simulator, service: &str) {
    let (dynamodb, s3, speed) = (simulator.dynamodb_url(), simulator.s3_url(), dev.speed);
    let kept = postgres.data_dir().display();
    say(&format!(
        "  Postgres          private, kept in {kept}\n  Stand-in for AWS  DynamoDB {dynamodb}   S3 {s3}   (exports run {speed} times as fast as at AWS)\n  \
         Service           {service}\n\n"
    ));
}

/// What a person can do next.
pub fn farewell(service: &str, simulator: &Simulator) {
    let (dynamodb, s3) = (simulator.dynamodb_url(), simulator.s3_url());
    say(&format!(
        "\nIt stays up. Try it yourself:\n  Swagger UI   {service}/docs\n  The exports  curl {service}/v1/exports\n  \
         DynamoDB     aws dynamodb list-tables --endpoint-url {dynamodb} --region us-east-1\n  \
         The files    aws s3 ls --recursive s3://tableferry-exports/ --endpoint-url {s3}\n\
         (the AWS CLI wants some credentials; any will do, such as AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test.\n \
         Commands in the hints of failures are meant for AWS: give them the same --endpoint-url here.)\n\nCtrl-C stops everything.\n"
    ));
}
