//! Sets TCP keepalive and `TCP_USER_TIMEOUT` on sockets that a library opened and does not expose.
//!
//! sqlx 0.9 opens its own sockets and offers neither option. A process may list its file
//! descriptors, so the sockets are found by the port of their peer. Linux only; on other systems no
//! socket is found.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, SockRef, TcpKeepalive};

/// Keepalive options of a TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Whether probes are sent.
    pub enabled: bool,
    /// How long nothing must have arrived from the peer before the first probe is sent.
    pub idle: Duration,
    /// The time between probes.
    pub interval: Duration,
    /// How many probes must be unanswered before the connection counts as lost.
    pub probes: u32,
    /// How long sent data may stay unacknowledged. `None`: the system's default.
    pub user_timeout: Option<Duration>,
}

impl Default for Keepalive {
    /// A lost peer is noticed after 30 s: by probes on an idle connection, by unacknowledged data
    /// on a busy one.
    fn default() -> Self {
        Self {
            enabled: true,
            idle: Duration::from_secs(15),
            interval: Duration::from_secs(5),
            probes: 3,
            user_timeout: Some(Duration::from_secs(30)),
        }
    }
}

/// Sets these options on every TCP socket of this process that is connected to this port and has no
/// keepalive yet. Returns the number of these sockets.
///
/// Fails if the process may not list its file descriptors. A socket that is closed meanwhile is not
/// an error.
pub fn set_for_peers_on(port: u16, keepalive: &Keepalive) -> io::Result<usize> {
    let mut set = 0;
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(fd) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<RawFd>().ok())
        else {
            continue;
        };
        set += usize::from(set_if_peer_on(fd, port, keepalive).unwrap_or(false));
    }
    Ok(set)
}

fn set_if_peer_on(fd: RawFd, port: u16, keepalive: &Keepalive) -> io::Result<bool> {
    // A duplicate keeps referring to the same socket, even if the number is closed and reused for
    // another file meanwhile.
    let duplicate = duplicate(fd)?;
    let socket = SockRef::from(&duplicate);
    let is_tcp = matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6)
        && socket.r#type()? == socket2::Type::STREAM;
    let is_peer = is_tcp
        && socket
            .peer_addr()?
            .as_socket()
            .is_some_and(|peer| peer.port() == port);
    if !is_peer || socket.keepalive()? {
        return Ok(false);
    }
    if keepalive.enabled {
        let probes = TcpKeepalive::new()
            .with_time(keepalive.idle)
            .with_interval(keepalive.interval)
            .with_retries(keepalive.probes);
        socket.set_tcp_keepalive(&probes)?;
    }
    socket.set_tcp_user_timeout(keepalive.user_timeout)?;
    Ok(true)
}

fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    #[expect(
        unsafe_code,
        reason = "the only way to turn the number of a file descriptor into a handle"
    )]
    // SAFETY: the number comes from the list of this process's descriptors, so it is not -1. If it
    // was closed meanwhile, duplicating it fails or yields another file, which the caller checks
    // before it changes anything. Nothing is read, written or closed through it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_to_that_port_are_set_once_and_others_never() {
        let (database, other) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let to_database = TcpStream::connect(database.local_addr().unwrap()).unwrap();
        let to_other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let port = database.local_addr().unwrap().port();
        let keepalive = Keepalive::default();
        assert_eq!(set_for_peers_on(port, &keepalive).unwrap(), 1);
        let socket = SockRef::from(&to_database);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), keepalive.idle);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), keepalive.interval);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), keepalive.probes);
        assert_eq!(socket.tcp_user_timeout().unwrap(), keepalive.user_timeout);
        assert!(!SockRef::from(&to_other).keepalive().unwrap());
        assert_eq!(set_for_peers_on(port, &keepalive).unwrap(), 0);
    }
}
