//! A server for tests: answers each call as the test says, and remembers what was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{ClientConfig, ConnectionReuse, Credentials, Flavor, MlflowClient, TrackingServer};

/// In place of an answer: the connection is closed.
pub(crate) const HANGS_UP: (u16, &str) = (0, "");

/// What was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Method, path and query: `GET /a?b=c`.
    pub(crate) line: String,
    /// The headers, one a line.
    pub(crate) headers: String,
    /// The body as it was sent.
    pub(crate) text: String,
    /// The body as JSON; null when there was none.
    pub(crate) body: Value,
}

/// The server. Runs until the test ends.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    calls: Arc<Mutex<Vec<Sent>>>,
}

impl Server {
    /// A server that gives these answers (status and body), one after the other, then 500.
    pub(crate) async fn answering(answers: impl IntoIterator<Item = (u16, &'static str)>) -> Self {
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&calls);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let sent = read(&mut stream).await;
                noted.lock().unwrap().push(sent);
                write(
                    &mut stream,
                    answers.pop_front().unwrap_or((500, "no answer is left")),
                )
                .await;
            }
        });
        Self { url, calls }
    }

    /// A client of this server, which pauses only shortly before it tries again.
    pub(crate) fn client(&self) -> MlflowClient {
        client(&self.url)
    }

    /// What was sent so far.
    pub(crate) fn calls(&self) -> Vec<Sent> {
        self.calls.lock().unwrap().clone()
    }
}

/// A client of the server at this address.
pub(crate) fn client(url: &str) -> MlflowClient {
    MlflowClient::new(&config(url)).unwrap()
}

/// A client that gives a call and a server's silence 20 ms.
pub(crate) fn impatient_client(url: &str) -> MlflowClient {
    let mut config = config(url);
    let short = Duration::from_millis(20);
    (config.timeouts.read, config.timeouts.call) = (short, short);
    MlflowClient::new(&config).unwrap()
}

fn config(url: &str) -> ClientConfig {
    let mut config = ClientConfig::new(TrackingServer {
        base_url: url.parse().unwrap(),
        flavor: Flavor::OpenSource,
        credentials: Credentials::None,
    });
    config.pool.reuse = ConnectionReuse::Never;
    config.retry.first_pause = Duration::from_millis(1);
    config
}

async fn read(stream: &mut TcpStream) -> Sent {
    let mut bytes = Vec::new();
    let head_end = loop {
        assert_ne!(
            stream.read_buf(&mut bytes).await.unwrap(),
            0,
            "a request is whole"
        );
        if let Some(at) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let end = head_end + 4 + length.map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end {
        assert_ne!(
            stream.read_buf(&mut bytes).await.unwrap(),
            0,
            "a request is whole"
        );
    }
    let text = String::from_utf8(bytes[head_end + 4..].to_vec()).unwrap();
    Sent {
        line: head
            .lines()
            .next()
            .unwrap()
            .trim_end_matches(" HTTP/1.1")
            .to_owned(),
        headers: head.split_once("\r\n").unwrap().1.to_owned(),
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    }
}

async fn write(stream: &mut TcpStream, (status, body): (u16, &str)) {
    if (status, body) == HANGS_UP {
        return;
    }
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}");
    let answer = format!("{head}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}
