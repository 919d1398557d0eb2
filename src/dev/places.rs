//! The addresses of `tableferry dev`, and its messages about them.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use private_postgres::PrivatePostgres;
use tableferry_simulator::{Seed, Settings as SimulatorSettings, Simulator};
use tokio::net::TcpListener;

use super::{Dev, DevError};

/// Prints to the terminal.
pub fn say(text: &str) {
    let mut out = std::io::stdout();
    // A closed terminal does not stop the service.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// The preferred port if it is free, else any free port.
async fn free_port(preferred: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, preferred));
    match TcpListener::bind(address).await {
        Ok(_) => address,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// The AWS simulator with its sample tables, stored in the data folder.
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

/// Listens on the preferred address, or on a free port if that port is in use.
pub async fn listen(preferred: SocketAddr) -> Result<TcpListener, DevError> {
    match TcpListener::bind(preferred).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            say(&format!(
                "  Port {} is in use ({error}); the service listens on a free port instead.\n",
                preferred.port()
            ));
            let bound = TcpListener::bind(SocketAddr::from((preferred.ip(), 0))).await;
            bound.map_err(|source| DevError::Machine {
                what: "no port is free",
                source,
            })
        }
    }
}

pub fn url_of(listener: &TcpListener) -> Result<String, DevError> {
    let address = listener.local_addr().map_err(|source| DevError::Machine {
        what: "a listener has no address",
        source,
    })?;
    Ok(format!("http://{address}"))
}

/// Prints what runs where.
pub fn show_addresses(dev: &Dev, postgres: &PrivatePostgres, simulator: &Simulator, service: &str) {
    let (dynamodb, s3, speed) = (simulator.dynamodb_url(), simulator.s3_url(), dev.speed);
    let kept = postgres.data_dir().display();
    say(&format!(
        "  Postgres          private, data in {kept}\n  AWS simulator     DynamoDB {dynamodb}   S3 {s3}   (exports run {speed} times as fast as at AWS)\n  \
         Service           {service}\n\n"
    ));
}

/// Prints what the user can do next.
pub fn show_next_steps(service: &str, simulator: &Simulator) {
    let (dynamodb, s3) = (simulator.dynamodb_url(), simulator.s3_url());
    say(&format!(
        "\nEverything stays up. Try it yourself:\n  Swagger UI   {service}/docs\n  The exports  curl {service}/v1/exports\n  \
         DynamoDB     aws dynamodb list-tables --endpoint-url {dynamodb} --region us-east-1\n  \
         The files    aws s3 ls --recursive s3://tableferry-exports/ --endpoint-url {s3}\n\
         (the AWS CLI needs credentials; any will do, such as AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test.\n \
         Hints of failed exports contain commands for AWS: add the same --endpoint-url here.)\n\nCtrl-C stops everything.\n"
    ));
}
