//! The built binary, started for one test.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long anything that must happen may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// All that the server and the libraries it speaks by can tell, but for each byte on the wire.
const EVERYTHING: &str = "debug,h2=info";

/// A client for tests: keeps connections, follows nothing, decodes nothing.
pub fn http_client() -> Client {
    client_builder()
        .build()
        .expect("a client without options can be made")
}

pub(crate) fn client_builder() -> ClientBuilder {
    // A second provider is refused, which is fine: the first is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .no_proxy()
}

/// A running trace-server. Killed when dropped.
#[derive(Debug)]
pub struct TraceServer {
    /// Its address.
    pub url: String,
    http: Client,
    child: Child,
    log: JoinHandle<Vec<String>>,
    is_log_read: watch::Sender<bool>,
    /// Holds its database unless the test gave it another.
    _folder: TempDir,
}

impl TraceServer {
    /// A server on this MLflow, with the experiment configured.
    pub async fn on(url: &str, experiment_id: &str) -> Self {
        Self::with(&[
            ("MLFLOW_TRACKING_URI", url),
            ("MLFLOW_EXPERIMENT_ID", experiment_id),
        ])
        .await
    }

    /// A server with these settings and no others from the environment. Its database is its own, and ends with it,
    /// unless the settings give `DATABASE_URL`.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = temporary_folder();
        Self::started(command(settings, &folder), folder).await
    }

    async fn started(mut command: Command, folder: TempDir) -> Self {
        let mut child = command
            .spawn()
            .expect("the binary is built: run the tests by `make test`");
        let stdout = child.stdout.take().expect("its output is piped");
        let stderr = child.stderr.take().expect("its output is piped");
        let emitted = Emitted::of(&child);
        tokio::spawn(emitted.clone().keep(stderr));
        let is_log_read = watch::channel(true).0;
        let (url, log) = tokio::time::timeout(
            PATIENCE,
            until_listening(stdout, emitted, is_log_read.subscribe()),
        )
        .await
        .expect("it begins to listen");
        Self {
            url,
            http: http_client(),
            child,
            log,
            is_log_read,
            _folder: folder,
        }
    }

    /// A server that this command starts in its own way. It must listen at once, by the log's first lines.
    pub async fn by(mut command: Command) -> Self {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self::started(command, temporary_folder()).await
    }

    /// The same server at another address of it.
    #[must_use]
    pub fn at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// The demo that the binary makes and serves by itself.
    pub async fn demo() -> Self {
        let folder = temporary_folder();
        let mut command = command(&[], &folder);
        command.arg("demo");
        Self::started(command, folder).await
    }

    /// A server that is started in this folder, and told nothing else of where traces are.
    pub async fn in_folder(path: &std::path::Path, settings: &[(&str, &str)]) -> Self {
        let folder = temporary_folder();
        let mut command = command(settings, &folder);
        command.current_dir(path);
        Self::started(command, folder).await
    }

    /// What a command of the binary prints, and how it ends.
    pub async fn command(args: &[&str], settings: &[(&str, &str)]) -> (String, ExitStatus) {
        let folder = temporary_folder();
        let output = command(settings, &folder)
            .args(args)
            .output()
            .await
            .expect("the binary is built");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).expect("it prints UTF-8"), output.status)
    }

    /// What a server with these settings, which must not come up, says on standard error; and how it ends.
    pub async fn refused(settings: &[(&str, &str)]) -> (String, ExitStatus) {
        let folder = temporary_folder();
        let ending = command(settings, &folder).output();
        let output = tokio::time::timeout(PATIENCE, ending)
            .await
            .expect("it ends")
            .expect("the binary is built");
        (
            String::from_utf8(output.stderr).expect("it prints UTF-8"),
            output.status,
        )
    }

    /// A request of this path by this method.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A GET of this path.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.as_local_user().get(path)
    }

    /// A POST of this body to this path.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.as_local_user().post(path, body)
    }

    /// A POST of this text, declared as this type, to this path.
    pub fn post_text(&self, path: &str, content_type: &str, body: impl Into<String>) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        request.header("content-type", content_type).body(body.into())
    }

    /// A preflight of a POST to this path by a page of this origin.
    pub fn preflight(&self, path: &str, origin: &str) -> RequestBuilder {
        let request = self.request(Method::OPTIONS, path).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "content-type")
    }

    /// The JSON at this path, which must be there.
    pub async fn json(&self, path: &str) -> Value {
        self.as_local_user().get_json(path).await
    }

    /// The JSON that this path answers to this body, which must go well.
    pub async fn post_json(&self, path: &str, body: &Value) -> Value {
        self.as_local_user().post_json(path, body).await
    }

    /// Its resident memory in bytes: now, and the most since it began.
    pub fn memory(&self) -> (u64, u64) {
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux tells");
        let kib = |name: &str| -> u64 {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .expect("Linux tells");
            line.split_whitespace()
                .nth(1)
                .and_then(|kib| kib.parse().ok())
                .expect("Linux tells a number")
        };
        (kib("VmRSS:") * 1024, kib("VmHWM:") * 1024)
    }

    /// Reads no more of its log, and keeps it open.
    pub fn leave_log_unread(&self) {
        self.is_log_read.send_replace(false);
    }

    /// Sends SIGTERM; returns at once.
    pub fn terminate(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the signal is sent");
    }

    /// Sends SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it ran");
    }

    /// Waits until it has ended; its status and its log.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends")
            .expect("it ran");
        (status, self.log.await.expect("its log is read"))
    }

    /// Stops it and gives its log.
    pub async fn log(self) -> Vec<String> {
        self.terminate();
        self.ended().await.1
    }
}

fn temporary_folder() -> TempDir {
    TempDir::with_prefix("trace-server-").expect("a temporary folder can be made")
}

fn command(settings: &[(&str, &str)], folder: &TempDir) -> Command {
    let database = folder.path().join("trace-server.db");
    let mut command = Command::new(binary());
    command
        .env_clear()
        .envs([
            ("PORT", "0"),
            ("TRACE_SERVER_LOG_FORMAT", "json"),
            ("TRACE_SERVER_USER", "ann@example.com"),
            // Every secret of the tests begins like this one: see `tests/secrets.py`.
            ("MLFLOW_TRACKING_TOKEN", "planted-token-of-the-server"),
            ("OPENAI_API_KEY", "planted-key-of-the-model"),
            ("TRACE_SERVER_LOG", EVERYTHING),
            // A busy machine is no reason to be served an old answer, unless a test is about that.
            ("TRACE_SERVER_CACHE_STALE_PATIENCE", "10m"),
        ])
        .env("DATABASE_URL", format!("sqlite://{}", database.display()))
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The binary that is tested. Built beside the tests: `target/debug/deps/reads-…` and `target/debug/trace-server`.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors()
        .nth(2)
        .expect("it lies in target/*/deps")
        .join("trace-server")
}

/// The file that all that a server says is written to, to be searched for secrets when all tests are done.
#[derive(Debug, Clone)]
struct Emitted(Option<Arc<Mutex<File>>>);

impl Emitted {
    fn of(child: &Child) -> Self {
        let folder = std::env::var_os("TRACE_SERVER_TESTS_EMITTED");
        Self(folder.map(|folder| {
            let name = format!("{}.log", child.id().expect("it runs"));
            let path = PathBuf::from(folder).join(name);
            let file = File::options().create(true).append(true).open(path);
            Arc::new(Mutex::new(file.expect("the folder is there")))
        }))
    }

    fn note(&self, line: &str) {
        if let Some(file) = &self.0 {
            writeln!(file.lock().expect("nobody panicked"), "{line}").expect("the disk has room");
        }
    }

    async fn keep(self, stream: ChildStderr) {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.note(&line);
        }
    }
}

/// Waits for the line that tells the address; goes on reading lines while that is wanted.
async fn until_listening(
    stdout: ChildStdout,
    emitted: Emitted,
    mut is_read: watch::Receiver<bool>,
) -> (String, JoinHandle<Vec<String>>) {
    let mut lines = BufReader::new(stdout).lines();
    let mut log = Vec::new();
    while let Some(line) = lines.next_line().await.expect("its log is UTF-8") {
        let url = line
            .split_once("listening on ")
            .map(|(_, rest)| rest.split(['"', ' ']).next().unwrap_or(rest).to_owned());
        emitted.note(&line);
        log.push(line);
        if let Some(url) = url {
            let rest = tokio::spawn(async move {
                while is_read.wait_for(|is_read| *is_read).await.is_ok() {
                    match lines.next_line().await {
                        Ok(Some(line)) => {
                            emitted.note(&line);
                            log.push(line);
                        }
                        _ => break,
                    }
                }
                log
            });
            return (url, rest);
        }
    }
    panic!("it ended before it listened: {log:?}");
}
