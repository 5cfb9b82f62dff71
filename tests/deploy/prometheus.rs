//! A real Prometheus that watches a server by our own files: rules are evaluated, and each question of the dashboard is answered.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::{CLIENT_ID, CLIENT_SECRET, Fault, Gate, Proxy, TraceServer, Upstream, Workspace, http_client};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Place, file};

/// Prometheus with the files of `deploy/prometheus`, but for the address and the pace. Killed when dropped.
struct Prometheus {
    url: String,
    child: Child,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn watching(server: &TraceServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = std::fs::read_to_string(file("deploy/prometheus/prometheus.yml")).unwrap();
        let rules = file("deploy/prometheus/alerts.yml").canonicalize().unwrap();
        for (ours, theirs) in [
            ("127.0.0.1:8000", server.url.trim_start_matches("http://")),
            (
                "scrape_interval: 15s",
                "scrape_interval: 500ms\n  evaluation_interval: 500ms",
            ),
            ("alerts.yml", rules.to_str().unwrap()),
        ] {
            assert!(config.contains(ours), "{ours}");
            config = config.replace(ours, theirs);
        }
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed: run the tests by `make test`");
        Self {
            url: format!("http://127.0.0.1:{port}"),
            child,
            _folder: folder,
        }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let asked = http_client()
            .get(format!("{}{path}", self.url))
            .query(query)
            .send();
        asked.await.ok()?.json().await.ok()
    }

    /// The series that answer a question; `None` until there are some.
    async fn series(&self, question: &str) -> Option<Vec<Value>> {
        let told = self.get("/api/v1/query", &[("query", question)]).await?;
        // It answers 503 while it starts.
        if told["status"] != "success" {
            assert_ne!(told["errorType"], "bad_data", "{question}: {told}");
            return None;
        }
        let series = told["data"]["result"].as_array()?.clone();
        (!series.is_empty()).then_some(series)
    }

    async fn until<T>(&self, what: &str, asked: impl AsyncFn(&Self) -> Option<T>) -> T {
        for _ in 0..150 {
            if let Some(told) = asked(self).await {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("in 30 s it never knew: {what}");
    }
}

/// Questions of the dashboard, with the labels that their legends name.
fn questions() -> Vec<(String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(file("deploy/grafana/trace-server.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut questions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let question = target["expr"].as_str().unwrap();
            let question = question
                .replace("$__rate_interval", "10s")
                .replace("$instance", ".*");
            assert!(!question.contains('$'), "{question}");
            let legend = target["legendFormat"].as_str().unwrap();
            let labels = legend
                .split("{{")
                .skip(1)
                .map(|rest| rest.split("}}").next().unwrap().to_owned());
            questions.push((question, labels.collect()));
        }
    }
    questions
}

/// Something of all that is counted: tokens, retries, failed calls, errors, answers of the cache and those that end early.
async fn asked(server: &TraceServer, proxy: &Proxy, place: &Place) {
    let path = format!("/api/traces/{}", place.traces[0]);
    let is_first = std::sync::atomic::AtomicBool::new(true);
    proxy.rule(move |call| {
        let is_info = call.path.contains("/traces/");
        if call.path.contains("experiments/get") {
            Fault::Status(500, Vec::new(), "")
        } else if is_info && is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            Fault::Status(503, Vec::new(), "")
        } else {
            Fault::None
        }
    });
    let search = json!({"max_results": 10});
    for _ in 0..2 {
        server.get(&path).send().await.unwrap();
        server
            .post("/api/mlflow/search-traces", &search)
            .send()
            .await
            .unwrap();
    }
    let experiment = format!("/api/mlflow/experiments/{}", place.experiment);
    let failed = server.get(&experiment).send().await.unwrap();
    assert!(
        failed.status().is_server_error(),
        "{}",
        failed.text().await.unwrap()
    );
    // An answer that nobody reads to its end.
    let gate = Gate::default();
    proxy.rule(move |call| {
        if call.path.contains("search") {
            Fault::None
        } else {
            Fault::Held(gate.clone())
        }
    });
    let with_spans = json!({"max_results": 10, "include_spans": true});
    let begun = server
        .post("/api/mlflow/search-traces", &with_spans)
        .header("cache-control", "no-cache");
    drop(begun.send().await.unwrap());
}

#[tokio::test]
async fn every_question_of_the_dashboard_is_answered_and_the_rules_are_evaluated() {
    let upstream = Upstream::v3();
    let place = Place::at(&upstream).await;
    let workspace = Workspace::over(&upstream.url).await;
    let proxy = Proxy::before(&workspace.url).await;
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", "databricks"),
        ("DATABRICKS_HOST", &proxy.url),
        ("DATABRICKS_CLIENT_ID", CLIENT_ID),
        ("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
        ("MLFLOW_TRACKING_TOKEN", ""),
        ("MLFLOW_EXPERIMENT_ID", &place.experiment),
    ])
    .await;
    asked(&server, &proxy, &place).await;
    let prometheus = Prometheus::watching(&server);
    let questions = questions();
    assert!(questions.len() > 30);
    for (question, labels) in &questions {
        let series = prometheus
            .until(question, async |prometheus| prometheus.series(question).await)
            .await;
        for series in series {
            let told: BTreeSet<_> = series["metric"].as_object().unwrap().keys().cloned().collect();
            assert!(labels.is_subset(&told), "{question}: {labels:?} of {told:?}");
        }
    }
    let rules = prometheus
        .until("the rules", async |prometheus| {
            let told = prometheus.get("/api/v1/rules", &[]).await?;
            let rules = told["data"]["groups"][0]["rules"].as_array()?.clone();
            let are_evaluated = rules.iter().all(|rule| rule["health"] != "unknown");
            are_evaluated.then_some(rules)
        })
        .await;
    assert_eq!(rules.len(), 7);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

#[test]
fn the_rules_tell_of_what_they_say() {
    let ran = Command::new("promtool")
        .args(["test", "rules", "alerts_test.yml"])
        .current_dir(file("deploy/prometheus"))
        .output()
        .expect("promtool is installed: run the tests by `make test`");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&ran.stdout)
    );
}
