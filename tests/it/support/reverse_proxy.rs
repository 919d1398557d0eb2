//! nginx and HAProxy as processes of the test, in front of the service. Their settings are
//! Debian's, except for their addresses, paths and upstreams.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::{Folder, POLL_EVERY};

/// They start in some milliseconds.
const START_PATIENCE: Duration = Duration::from_secs(30);

const NGINX: &str = "/usr/sbin/nginx";
const HAPROXY: &str = "/usr/sbin/haproxy";

/// Settings that `docs/proxies.md` recommends.
const NGINX_SITE: &str = include_str!("../../../ops/nginx/tableferry.conf");
const HAPROXY_PART: &str = include_str!("../../../ops/haproxy/tableferry.cfg");

/// A running proxy. Dropping it kills it.
pub struct ReverseProxy {
    child: Child,
    folder: Folder,
    /// `http://address`, without a path.
    pub url: String,
}

impl ReverseProxy {
    /// nginx with only the upstream set: `proxy_pass` to two servers.
    pub async fn plain_nginx(servers: [&str; 2]) -> Self {
        let [a, b] = servers;
        let site = format!(
            "upstream service {{ server {a}; server {b}; }}\n\
             server {{ listen 80; location / {{ proxy_pass http://service; }} }}\n"
        );
        Self::nginx(&site).await
    }

    /// nginx with `ops/nginx/tableferry.conf`.
    pub async fn our_nginx(servers: [&str; 2]) -> Self {
        Self::nginx(&with_addresses(NGINX_SITE, servers)).await
    }

    /// HAProxy with only the upstream set.
    pub async fn plain_haproxy(servers: [&str; 2]) -> Self {
        let [a, b] = servers;
        Self::haproxy(&format!(
            "frontend all\n    bind :80\n    default_backend service\n\
             backend service\n    server a {a} check\n    server b {b} check\n"
        ))
        .await
    }

    /// HAProxy with `ops/haproxy/tableferry.cfg`, and this appended to its server lines.
    pub async fn our_haproxy(servers: [&str; 2], option: &str) -> Self {
        let part = with_addresses(HAPROXY_PART, servers);
        let is_server = |line: &str| line.trim_start().starts_with("server ");
        let lines = part.lines().map(|line| {
            if is_server(line) {
                format!("{line} {option}\n")
            } else {
                format!("{line}\n")
            }
        });
        Self::haproxy(&lines.collect::<String>()).await
    }

    /// Debian's `nginx.conf` with this site.
    async fn nginx(site: &str) -> Self {
        let (folder, address) = (Folder::new(), free_address());
        let path = folder.path().display();
        let site_file = folder.path().join("site.conf");
        fs::write(
            &site_file,
            with_listen(site, "listen 80;", &format!("listen {address};")),
        )
        .unwrap();
        let user = if is_root() { "user root;" } else { "" };
        let shipped = read("/etc/nginx/nginx.conf")
            .replace("user www-data;", user)
            .replace("/run/nginx.pid", &format!("{path}/pid"))
            .replace("/var/log/nginx/", &format!("{path}/"))
            .replace(
                "include /etc/nginx/conf.d/*.conf;",
                &temporary_folders(folder.path()),
            )
            .replace("/etc/nginx/sites-enabled/*", &site_file.to_string_lossy());
        // A single process, which ends when it is killed.
        fs::write(
            folder.path().join("nginx.conf"),
            format!("daemon off;\nmaster_process off;\n{shipped}"),
        )
        .unwrap();
        let mut command = Command::new(NGINX);
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(folder.path().join("nginx.conf"));
        Self::spawn(command, folder, address).await
    }

    /// Debian's `haproxy.cfg` with this appended.
    async fn haproxy(part: &str) -> Self {
        let (folder, address) = (Folder::new(), free_address());
        let shipped = read("/etc/haproxy/haproxy.cfg");
        let (_, defaults) = shipped
            .split_once("\ndefaults")
            .expect("Debian's file has defaults");
        let part = with_listen(part, "bind :80", &format!("bind {address}"));
        // Its own user, folder and socket are for the machine-wide instance.
        fs::write(
            folder.path().join("haproxy.cfg"),
            format!("global\n    log stdout format raw local0\ndefaults{defaults}\n{part}"),
        )
        .unwrap();
        let mut command = Command::new(HAPROXY);
        command
            .arg("-db")
            .arg("-f")
            .arg(folder.path().join("haproxy.cfg"));
        Self::spawn(command, folder, address).await
    }

    async fn spawn(mut command: Command, folder: Folder, address: String) -> Self {
        let said = File::create(folder.path().join("said")).unwrap();
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it"));
        let mut this = Self {
            child,
            folder,
            url: format!("http://{address}"),
        };
        let up = async {
            while TcpStream::connect(&address).await.is_err() {
                let ended = this.child.try_wait().unwrap();
                assert!(ended.is_none(), "it ended: {}", this.said());
                sleep(POLL_EVERY).await;
            }
        };
        timeout(START_PATIENCE, up).await.expect("it listens");
        this
    }

    /// Its log, for a test that fails.
    pub fn said(&self) -> String {
        ["said", "error.log", "access.log"]
            .map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .concat()
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{path}: {error}; `make test` installs it"))
}

/// The settings with other servers than the example's.
fn with_addresses(settings: &str, [a, b]: [&str; 2]) -> String {
    assert!(settings.contains("10.0.1.11:8080") && settings.contains("10.0.1.12:8080"));
    settings
        .replace("10.0.1.11:8080", a)
        .replace("10.0.1.12:8080", b)
}

fn with_listen(settings: &str, shipped: &str, own: &str) -> String {
    assert!(settings.contains(shipped), "{settings}");
    settings.replacen(shipped, own, 1)
}

/// Where nginx buffers bodies; by default a machine-wide folder.
fn temporary_folders(folder: &Path) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    kinds
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
        .concat()
}
