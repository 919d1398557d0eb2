//! Sets TCP keepalive and `TCP_USER_TIMEOUT` on sockets that a library opened and does not show.
//!
//! sqlx 0.9 opens its sockets inside and offers neither option. A process may list its own file
//! descriptors, so the sockets are found by the port of their peer. Linux only; elsewhere nothing
//! is found.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, SockRef, TcpKeepalive};

/// How a connection shows that its peer is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Whether probes are sent at all.
    pub enabled: bool,
    /// After how long without a sign of the peer the first probe is sent.
    pub idle: Duration,
    /// How far apart probes are.
    pub interval: Duration,
    /// How many probes are sent before the connection counts as lost.
    pub probes: u32,
    /// For how long sent data may stay unacknowledged; `None` leaves that to the system.
    pub user_timeout: Option<Duration>,
}

impl Default for Keepalive {
    /// A lost peer is noticed after 30 s: idle by probes, busy by what stays unacknowledged.
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

/// Sets these options on every TCP socket of this process whose peer's port is this and that has no
/// keepalive yet. How many there were.
///
/// # Errors
/// The process may not list its file descriptors. A socket that goes meanwhile is none.
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
    // A duplicate names the same socket, and stays that when the number is closed and given to
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
        reason = "nothing else turns the number of a file descriptor into a handle"
    )]
    // SAFETY: the number comes from the list of this process's descriptors, so it is not -1. If it
    // was closed meanwhile, duplicating it fails or yields another file, which the caller looks at
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
