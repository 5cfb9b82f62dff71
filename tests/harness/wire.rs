//! Stands between trace-server and a real MLflow as a wire does: bytes both ways, which a test may refuse, hold, slow
//! down, cut and change. What is a matter of whole calls is for [`crate::Proxy`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{TraceServer, Upstream};

/// How long anything that must happen may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read at once.
const PIECE: usize = 16 << 10;

/// How evenly a throttled line lets bytes pass.
const PIECES_PER_SECOND: u32 = 20;

/// What becomes of a connection, and of what is answered on it. "After" and "at" count the bytes that were answered on this
/// connection, heads and bodies alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Bytes pass.
    Good,
    /// Nobody listens: connections are refused.
    Refused,
    /// A connection is taken and reset.
    Reset,
    /// A connection is taken; then nothing passes either way, until the line is another.
    Silent,
    /// Each piece of an answer comes this much later.
    Slow(Duration),
    /// So many bytes of answers pass in a second on each connection.
    Throttled(u32),
    /// So many bytes are answered, then the connection ends as if all had been said.
    EndsAfter(u64),
    /// So many bytes are answered, then the connection is reset.
    ResetAfter(u64),
    /// All bits of the answers' byte at this place are turned over.
    Flipped(u64),
    /// Wherever the first stands in an answer, the second comes, which is as long.
    Replaced(Vec<u8>, Vec<u8>),
}

impl Line {
    /// [`Line::Replaced`].
    pub fn replaced(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Self {
        let (from, to) = (from.into(), to.into());
        assert_eq!(from.len(), to.len(), "the length stays, or the head would lie");
        Self::Replaced(from, to)
    }

    /// How much may pass now of what has come, after so many bytes. None at all: more must come first.
    fn step(&self, passed: u64, come: &[u8]) -> Option<usize> {
        let all = come.len();
        match self {
            Self::EndsAfter(limit) | Self::ResetAfter(limit) => {
                let left = usize::try_from(limit.saturating_sub(passed)).unwrap_or(all);
                Some(left.min(all))
            }
            Self::Throttled(rate) => Some(all.min((rate / PIECES_PER_SECOND).max(1) as usize)),
            Self::Replaced(from, _) => {
                let begins = |tail: &usize| from.starts_with(&come[all - tail..]);
                let begun = (1..from.len().min(all + 1)).rev().find(begins).unwrap_or(0);
                (begun < all).then_some(all - begun)
            }
            _ => Some(all),
        }
    }

    fn change(&self, passed: u64, piece: &mut [u8]) {
        match self {
            Self::Flipped(at) => {
                let at = at.checked_sub(passed).and_then(|at| usize::try_from(at).ok());
                if let Some(byte) = at.and_then(|at| piece.get_mut(at)) {
                    *byte = !*byte;
                }
            }
            Self::Replaced(from, to) => {
                let mut at = 0;
                while at + from.len() <= piece.len() {
                    if piece[at..].starts_with(from) {
                        piece[at..at + to.len()].copy_from_slice(to);
                        at += from.len();
                    } else {
                        at += 1;
                    }
                }
            }
            _ => {}
        }
    }

    /// How long a piece of so many bytes is held up.
    fn delay(&self, bytes: usize) -> Duration {
        match self {
            Self::Slow(time) => *time,
            Self::Throttled(rate) => {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                Duration::from_secs(1) * bytes / (*rate).max(1)
            }
            _ => Duration::ZERO,
        }
    }

    /// Whether open connections end at once.
    fn breaks(&self) -> bool {
        matches!(self, Self::Refused | Self::Reset)
    }

    /// How the connection ends after so many bytes, if it does.
    fn ending(&self, passed: u64) -> Option<Ending> {
        match self {
            Self::EndsAfter(limit) if passed >= *limit => Some(Ending::Finished),
            Self::ResetAfter(limit) if passed >= *limit => Some(Ending::Reset),
            _ => None,
        }
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Finished,
    Reset,
}

/// What has passed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that were taken.
    pub opened: u64,
    /// Connections that are open.
    pub open: u64,
    /// Bytes that were asked.
    pub asked: u64,
    /// Bytes that were answered.
    pub answered: u64,
}

/// MLflow 3.17.2, a wire before it, and a server on the wire that tries no call again, with these settings beside.
pub async fn wired(settings: &[(&str, &str)]) -> (Upstream, Wire, TraceServer) {
    let upstream = Upstream::v3();
    let wire = Wire::before(&upstream.url).await;
    let own = [
        ("MLFLOW_TRACKING_URI", wire.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
        ("TRACE_SERVER_UPSTREAM_MAX_RETRIES", "0"),
    ];
    let server = TraceServer::with(&[&own, settings].concat()).await;
    (upstream, wire, server)
}

struct Inner {
    address: SocketAddr,
    upstream: String,
    line: watch::Sender<Line>,
    traffic: watch::Sender<Traffic>,
    /// Who listens, while anyone does.
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// The wire. Lasts until the test ends.
#[derive(Clone)]
pub struct Wire {
    /// Its address.
    pub url: String,
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("url", &self.url)
            .field("line", &*self.inner.line.borrow())
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// A good line to this server.
    pub async fn before(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/');
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let inner = Arc::new(Inner {
            address,
            upstream: upstream.to_owned(),
            line: watch::channel(Line::Good).0,
            traffic: watch::channel(Traffic::default()).0,
            listener: Mutex::default(),
        });
        inner.listen(listener);
        Self {
            url: format!("http://{address}"),
            inner,
        }
    }

    /// From now on the line is so: for new connections, and for those that are open. One that refuses or resets ends them.
    pub async fn turn(&self, line: Line) {
        let inner = &self.inner;
        let is_refused = line == Line::Refused;
        let stopped = {
            let mut listener = inner.listener.lock().expect("nobody panicked");
            if is_refused { listener.take() } else { None }
        };
        if let Some(listener) = stopped {
            listener.abort();
            // Only then is its socket closed.
            let _ = listener.await;
        }
        inner.line.send_replace(line);
        let is_deaf = inner.listener.lock().expect("nobody panicked").is_none();
        if is_deaf && !is_refused {
            inner.listen(inner.rebound());
        }
    }

    /// What has passed so far.
    pub fn traffic(&self) -> Traffic {
        *self.inner.traffic.borrow()
    }

    /// Waits until the traffic `is_so`, or fails the test.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Traffic) -> bool) {
        let mut traffic = self.inner.traffic.subscribe();
        let waited = tokio::time::timeout(PATIENCE, traffic.wait_for(is_so)).await;
        assert!(
            waited.is_ok(),
            "in {PATIENCE:?} it never came about that {what}: {self:?}"
        );
    }

    /// Waits until so many connections were taken since the wire was laid.
    pub async fn until_opened(&self, connections: u64) {
        let what = format!("{connections} connections were opened");
        self.until(&what, |traffic| traffic.opened >= connections).await;
    }

    /// Waits until no connection is open.
    pub async fn until_idle(&self) {
        self.until("no connection is open", |traffic| traffic.open == 0)
            .await;
    }
}

impl Inner {
    fn listen(self: &Arc<Self>, listener: TcpListener) {
        let inner = Arc::clone(self);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&inner).connected(socket));
            }
        });
        *self.listener.lock().expect("nobody panicked") = Some(task);
    }

    /// The same port once more, which connections of before may still be leaving.
    fn rebound(&self) -> TcpListener {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.set_reuseaddr(true).expect("the option is there");
        socket.bind(self.address).expect("nobody took the port meanwhile");
        socket.listen(1024).expect("it is bound")
    }

    async fn connected(self: Arc<Self>, mut client: TcpStream) {
        let open = Open::new(Arc::clone(&self));
        let ending = match TcpStream::connect(&self.upstream).await {
            Ok(mut upstream) => {
                let (asks, answers) = client.split();
                let (answered, asked) = upstream.split();
                tokio::select! {
                    ending = self.answer(answered, answers) => ending,
                    () = self.ask(asks, asked) => Ending::Finished,
                    () = self.broken() => Ending::Reset,
                }
            }
            Err(_) => Ending::Reset,
        };
        match ending {
            Ending::Finished => drop(client.shutdown().await),
            Ending::Reset => client.set_zero_linger().expect("the option is there"),
        }
        drop(client);
        drop(open);
    }

    /// Passes on what is asked until the client leaves.
    async fn ask(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut piece).await {
            tokio::select! {
                biased;
                _ = self.speaking() => {}
                () = left(&mut from) => return,
            }
            if to.write_all(&piece[..read]).await.is_err() {
                // How the server ends it is seen where it answers.
                return std::future::pending().await;
            }
            self.traffic.send_modify(|traffic| traffic.asked += read as u64);
        }
    }

    /// Passes on what is answered, as the line is; how that ends.
    async fn answer(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Ending {
        let (mut come, mut passed) = (Vec::new(), 0);
        let mut is_over = false;
        loop {
            if come.is_empty() {
                is_over |= !more(&mut from, &mut come).await;
            }
            let line = self.speaking().await;
            let step = match line.step(passed, &come) {
                Some(step) => step,
                None if is_over => come.len(),
                None => {
                    is_over = !more(&mut from, &mut come).await;
                    continue;
                }
            };
            if is_over && come.is_empty() {
                return Ending::Finished;
            }
            let delay = line.delay(step);
            // What is held up goes on as the line is by then.
            if !delay.is_zero()
                && tokio::time::timeout(delay, self.once(|now| *now != line))
                    .await
                    .is_ok()
            {
                continue;
            }
            line.change(passed, &mut come[..step]);
            if to.write_all(&come[..step]).await.is_err() {
                return Ending::Finished;
            }
            come.drain(..step);
            passed += step as u64;
            self.traffic
                .send_modify(|traffic| traffic.answered += step as u64);
            if let Some(ending) = line.ending(passed) {
                return ending;
            }
        }
    }

    /// The line, once something passes.
    async fn speaking(&self) -> Line {
        self.once(|line| *line != Line::Silent && !line.breaks()).await
    }

    /// Waits until open connections end with a reset.
    async fn broken(&self) {
        self.once(Line::breaks).await;
    }

    async fn once(&self, is_so: impl FnMut(&Line) -> bool) -> Line {
        let mut line = self.line.subscribe();
        let line = line.wait_for(is_so).await.expect("the sender is here");
        line.clone()
    }
}

/// Appends what comes next; `false` at the end, however that came about.
async fn more(from: &mut ReadHalf<'_>, come: &mut Vec<u8>) -> bool {
    let before = come.len();
    come.resize(before + PIECE, 0);
    let read = from.read(&mut come[before..]).await.unwrap_or(0);
    come.truncate(before + read);
    read > 0
}

/// Waits until the client has hung up, as far as that can be seen before what it said.
async fn left(from: &mut ReadHalf<'_>) {
    match from.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

/// A connection that is open.
struct Open(Arc<Inner>);

impl Open {
    fn new(inner: Arc<Inner>) -> Self {
        inner.traffic.send_modify(|traffic| {
            traffic.opened += 1;
            traffic.open += 1;
        });
        Self(inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.traffic.send_modify(|traffic| traffic.open -= 1);
    }
}
