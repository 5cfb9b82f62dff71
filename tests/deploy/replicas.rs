//! Two servers behind a real nginx with our own configuration, on one PostgreSQL.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use harness::{Asker, Postgres, TraceServer, Upstream, http_client};
use tempfile::TempDir;

use crate::{DEV, Place, a_session_is_made, file, it_is_analysed, it_is_labeled};

/// nginx before these servers. Killed when dropped.
struct Nginx {
    url: String,
    child: Child,
    _folder: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// By deploy/nginx.conf, at other addresses and in a folder of its own.
    async fn before(servers: [&TraceServer; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut text = std::fs::read_to_string(file("deploy/nginx.conf")).unwrap();
        let address = |server: &TraceServer| server.url.trim_start_matches("http://").to_owned();
        for (ours, theirs) in [
            ("replica-1:8000", address(servers[0])),
            ("replica-2:8000", address(servers[1])),
            ("listen 8080;", format!("listen 127.0.0.1:{port};")),
            ("/tmp/", format!("{}/", folder.path().display())),
        ] {
            assert!(text.contains(ours), "{ours}");
            text = text.replace(ours, &theirs);
        }
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let log = folder.path().join("error.log");
        let child = nginx()
            .args([Path::new("-c"), &config, Path::new("-e"), &log])
            .args(["-g", "daemon off; master_process off;"])
            .spawn()
            .expect("nginx is installed: run the tests by `make test`");
        let nginx = Self {
            url: format!("http://127.0.0.1:{port}"),
            child,
            _folder: folder,
        };
        for _ in 0..200 {
            if http_client()
                .get(format!("{}/health", nginx.url))
                .send()
                .await
                .is_ok()
            {
                return nginx;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "nginx does not listen: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }
}

fn nginx() -> Command {
    let path = std::env::var_os("PATH").unwrap().into_string().unwrap();
    let mut command = Command::new("nginx");
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

async fn replica(upstream: &Upstream, place: &Place, database: &str) -> TraceServer {
    TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &upstream.url),
        ("MLFLOW_EXPERIMENT_ID", &place.experiment),
        ("DATABASE_URL", database),
        // Whom a client says to be must not come through.
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
        ("TRACE_SERVER_USER", DEV),
    ])
    .await
}

#[tokio::test]
async fn whichever_answers_the_answer_is_the_same_and_one_may_go() {
    let upstream = Upstream::v3();
    let place = Place::at(&upstream).await;
    let database = Postgres::database().await;
    let [first, second] = [
        replica(&upstream, &place, database.url()).await,
        replica(&upstream, &place, database.url()).await,
    ];
    let nginx = Nginx::before([&first, &second]).await;
    let (first_url, second_url) = (first.url.clone(), second.url.clone());
    let front = first.at(&nginx.url);
    let dev: Asker<'_> = front.as_local_user();
    let id = a_session_is_made(dev, &place.traces).await;
    it_is_labeled(dev, &id).await;
    it_is_analysed(dev, &id).await;
    // Both have it, whoever wrote it.
    let path = format!("/api/labeling-sessions/{id}");
    let told = dev.get_json(&path).await;
    for url in [first_url, second_url] {
        let answer = http_client().get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap(), told);
    }

    // Who somebody is says no header that they bring.
    let somebody = front.as_user("somebody@example.com");
    let role = somebody.get_json("/api/manifest").await["user"]["role"].clone();
    assert_eq!(role, "developer");

    // One is stopped under load: nobody is told of it.
    let asked = async {
        for _ in 0..200 {
            let (status, told) = dev.try_get(&path).await;
            assert_eq!(status, 200, "{told}");
        }
    };
    let stopped = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        second.terminate();
    };
    tokio::join!(asked, stopped);
    assert!(second.ended().await.0.success());
    assert_eq!(dev.get_json(&path).await, told);
}
