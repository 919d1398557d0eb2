//! A TCP proxy that can reject, reset, delay and hold back connections, silence open connections
//! permanently, and forward new connections to another address.
//!
//! A silent connection behaves like one whose packets a firewall drops: what is sent is accepted
//! and lost, and neither side learns of the other's end. It ends when the client closes it, or with
//! the proxy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::frontend::{Command, Decoder};
use crate::trouble::{Direction, LinkTrouble};

/// The state of the link. Each reset increments a number, at which open connections are reset; so
/// does each silence, at which they fall silent.
#[derive(Debug, Clone, Copy)]
struct LinkState {
    upstream: SocketAddr,
    trouble: Option<LinkTrouble>,
    silent_command: Option<Command>,
    cuts: u32,
    requests_silenced: u32,
    answers_silenced: u32,
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<LinkState>,
    silences: Arc<Silences>,
    accepting: JoinHandle<()>,
}

/// Counters of silent connections.
#[derive(Debug, Default)]
struct Silences {
    /// How many may still fall silent at a command.
    left: AtomicU32,
    /// How many have fallen silent.
    count: AtomicU32,
}

impl Proxy {
    /// Starts a proxy on a free loopback port.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let well = LinkState {
            upstream,
            trouble: None,
            silent_command: None,
            cuts: 0,
            requests_silenced: 0,
            answers_silenced: 0,
        };
        let (state, seen) = watch::channel(well);
        let silences = Arc::<Silences>::default();
        let accepting = tokio::spawn(accept(listener, seen, Arc::clone(&silences)));
        Ok(Self {
            address,
            state,
            silences,
            accepting,
        })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts this trouble. A reset is over immediately.
    pub fn make(&self, trouble: LinkTrouble) {
        self.state.send_modify(|state| {
            let resets = matches!(trouble, LinkTrouble::Refuse | LinkTrouble::Cut);
            state.cuts += u32::from(resets);
            state.trouble = (trouble != LinkTrouble::Cut).then_some(trouble);
        });
    }

    /// Open connections carry nothing from now on, permanently. New connections work.
    pub fn silence(&self, direction: Direction) {
        self.state.send_modify(|state| {
            state.requests_silenced += u32::from(direction != Direction::Answers);
            state.answers_silenced += u32::from(direction != Direction::Requests);
        });
    }

    /// The next connections that send this command, up to a given number, fall silent right after
    /// it: it is executed, and its response is lost.
    pub fn silence_on(&self, command: Command, times: u32) {
        self.silences.left.store(times, Ordering::Relaxed);
        self.state
            .send_modify(|state| state.silent_command = Some(command));
    }

    /// The number of connections that have fallen silent so far.
    #[must_use]
    pub fn silenced(&self) -> u32 {
        self.silences.count.load(Ordering::Relaxed)
    }

    /// New connections go to this address from now on. Open ones are not changed.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.state.send_modify(|state| state.upstream = upstream);
    }

    /// Ends the trouble. Data that was held back arrives now; silent connections stay silent.
    pub fn heal(&self) {
        self.state
            .send_modify(|state| (state.trouble, state.silent_command) = (None, None));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: watch::Receiver<LinkState>, silences: Arc<Silences>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(carry(client, state.clone(), Arc::clone(&silences)));
    }
}

struct Passage {
    opened: LinkState,
    state: watch::Receiver<LinkState>,
    silences: Arc<Silences>,
    /// It fell silent at a command.
    is_silent: AtomicBool,
    /// It is counted as a silent connection.
    is_counted: AtomicBool,
    /// The client closed it while it was silent.
    is_left: Notify,
}

/// The two directions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Answers,
}

impl Passage {
    fn now(&self) -> LinkState {
        *self.state.borrow()
    }

    /// Whether this direction is silent.
    fn is_silent(&self, way: Way) -> bool {
        let now = self.now();
        let silent = self.is_silent.load(Ordering::SeqCst)
            || match way {
                Way::Requests => now.requests_silenced != self.opened.requests_silenced,
                Way::Answers => now.answers_silenced != self.opened.answers_silenced,
            };
        if silent && !self.is_counted.swap(true, Ordering::Relaxed) {
            self.silences.count.fetch_add(1, Ordering::Relaxed);
        }
        silent
    }

    fn is_silent_somehow(&self) -> bool {
        self.is_silent(Way::Requests) || self.is_silent(Way::Answers)
    }

    /// Waits while the link holds this direction back; false if the proxy has ended.
    async fn wait(&self, way: Way) -> bool {
        let mut state = self.state.clone();
        let holds = |state: &LinkState| match state.trouble {
            Some(LinkTrouble::Stall) => true,
            Some(LinkTrouble::Deaf) => way == Way::Answers,
            _ => false,
        };
        if let Some(LinkTrouble::Delay(ms)) = self.now().trouble {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        state.wait_for(|state| !holds(state)).await.is_ok()
    }

    /// Returns when the connection must be reset. A silent connection is not reset.
    async fn is_cut(&self) {
        let mut state = self.state.clone();
        let is_cut = state
            .wait_for(|state| state.cuts != self.opened.cuts)
            .await
            .is_ok();
        if is_cut && self.is_silent_somehow() {
            // Only the end of the proxy ends it.
            while state.changed().await.is_ok() {}
        }
    }

    /// Whether the connection falls silent now, because it is sending the command that is waited
    /// for.
    fn falls_silent(&self, sent: Option<Command>) -> bool {
        let is_it = sent.is_some() && self.now().silent_command == sent;
        let take = |left: u32| left.checked_sub(1);
        is_it
            && self
                .silences
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
    }
}

async fn carry(
    mut client: TcpStream,
    mut state: watch::Receiver<LinkState>,
    silences: Arc<Silences>,
) {
    let opened = *state.borrow_and_update();
    if opened.trouble == Some(LinkTrouble::Refuse) {
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(opened.upstream).await else {
        return reset(&client);
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let passage = Passage {
        opened,
        state,
        silences,
        is_silent: AtomicBool::new(false),
        is_counted: AtomicBool::new(false),
        is_left: Notify::new(),
    };
    let was_cut = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let answers = pass_answers(server_in, client_out, &passage);
        let requests = pass_requests(client_in, server_out, &passage);
        tokio::select! {
            () = passage.is_cut() => true,
            () = passage.is_left.notified() => false,
            () = async { tokio::join!(requests, answers); } => false,
        }
    };
    if was_cut {
        reset(&client);
        reset(&server);
    }
}

/// Forwards what the client sends, until it closes.
async fn pass_requests(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, passage: &Passage) {
    let mut buffer = vec![0; 16 * 1024];
    let mut decoder = Decoder::default();
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || !passage.wait(Way::Requests).await {
            break;
        }
        if passage.is_silent(Way::Requests) {
            continue;
        }
        // Before the server can respond.
        let silent = passage.falls_silent(decoder.read(&buffer[..read]));
        if silent {
            passage.is_silent.store(true, Ordering::SeqCst);
        }
        // If the server ends while its responses are lost, the client must not notice.
        if to.write_all(&buffer[..read]).await.is_err() && !passage.is_silent(Way::Answers) {
            break;
        }
    }
    if passage.is_silent_somehow() {
        passage.is_left.notify_one();
    }
    let _ = to.shutdown().await;
}

/// Forwards what the server sends, until it closes.
async fn pass_answers(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, passage: &Passage) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || !passage.wait(Way::Answers).await {
            break;
        }
        if !passage.is_silent(Way::Answers) && to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // The client of a silent connection does not learn of the server's end. When the client closes,
    // the connection ends.
    if !passage.is_silent(Way::Answers) {
        let _ = to.shutdown().await;
    }
}

/// The connection is reset, not closed in order, when this stream is dropped next.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Echoes each byte, or answers with the given one.
    async fn echo(answer: Option<u8>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        let said = answer
                            .map_or_else(|| buffer[..read].to_vec(), |answer| vec![answer; read]);
                        stream.write_all(&said).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(b"x").await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await.map(|_| answer[0])
    }

    async fn is_unanswered(stream: &mut TcpStream) -> bool {
        tokio::time::timeout(Duration::from_millis(200), ask(stream))
            .await
            .is_err()
    }

    #[tokio::test]
    async fn it_passes_cuts_refuses_and_holds_back() {
        let proxy = Proxy::start(echo(None).await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.make(LinkTrouble::Cut);
        ask(&mut stream).await.unwrap_err();

        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        for held in [LinkTrouble::Stall, LinkTrouble::Deaf] {
            proxy.make(held);
            assert!(is_unanswered(&mut stream).await);
            proxy.heal();
            // The response to the previous request arrives late, but it arrives.
            stream.read_exact(&mut [0]).await.unwrap();
        }
        proxy.make(LinkTrouble::Refuse);
        ask(&mut stream).await.unwrap_err();
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut refused).await.unwrap_err();
    }

    #[tokio::test]
    async fn what_is_silent_stays_so_and_new_connections_work() {
        let proxy = Proxy::start(echo(None).await).await.unwrap();
        for direction in [Direction::Both, Direction::Requests, Direction::Answers] {
            let mut silent = TcpStream::connect(proxy.address()).await.unwrap();
            ask(&mut silent).await.unwrap();
            proxy.silence(direction);
            assert!(is_unanswered(&mut silent).await, "{direction:?}");
            proxy.heal();
            proxy.make(LinkTrouble::Cut);
            assert!(
                is_unanswered(&mut silent).await,
                "{direction:?}: neither healed nor reset"
            );
            ask(&mut TcpStream::connect(proxy.address()).await.unwrap())
                .await
                .unwrap();
        }
        assert_eq!(proxy.silenced(), 3);
    }

    #[tokio::test]
    async fn a_command_is_carried_out_and_its_answer_is_lost() {
        let proxy = Proxy::start(echo(None).await).await.unwrap();
        proxy.silence_on(Command::Commit, 1);
        let first = [0, 0, 0, 8, 0, 3, 0, 0];
        let commit = b"Q\0\0\0\x0bCOMMIT\0";
        for is_silent in [true, false] {
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            stream.write_all(&first).await.unwrap();
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(commit).await.unwrap();
            let answer =
                tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut [0; 12]))
                    .await;
            assert_eq!(answer.is_err(), is_silent);
        }
        assert_eq!(proxy.silenced(), 1);
    }

    #[tokio::test]
    async fn new_connections_are_led_elsewhere() {
        let proxy = Proxy::start(echo(Some(b'1')).await).await.unwrap();
        let mut before = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut before).await.unwrap(), b'1');
        proxy.lead_to(echo(Some(b'2')).await);
        assert_eq!(ask(&mut before).await.unwrap(), b'1');
        assert_eq!(
            ask(&mut TcpStream::connect(proxy.address()).await.unwrap())
                .await
                .unwrap(),
            b'2'
        );
    }
}
