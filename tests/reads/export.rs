//! `trace-server export`: every trace as the API answers it, whatever happens on the way.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Fault, Gate, Proxy, TraceServer, Upstream, answer, binary, http_client};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn export(url: &str, experiment: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .arg("export")
        .args(args)
        .env_clear()
        .envs([("MLFLOW_TRACKING_URI", url), ("MLFLOW_EXPERIMENT_ID", experiment)])
        .env("MLFLOW_TRACKING_TOKEN", "planted-token-of-the-server")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What it wrote to standard error, and how it ended.
pub(crate) async fn exported(url: &str, experiment: &str, args: &[&str]) -> (String, ExitStatus) {
    let ran = export(url, experiment, args).output().await.unwrap();
    (String::from_utf8(ran.stderr).unwrap(), ran.status)
}

pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A time as MLflow writes it, which leaves out milliseconds where there are none.
pub(crate) fn to_the_ms(time: &Value) -> String {
    let text = time.as_str().unwrap();
    if text.contains('.') {
        text.to_owned()
    } else {
        text.replace('Z', ".000Z")
    }
}

pub(crate) struct Place {
    folder: TempDir,
    pub(crate) output: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::named("traces.jsonl")
    }

    pub(crate) fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join(name).to_str().unwrap().to_owned();
        Self { folder, output }
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn each_line_is_what_the_api_answers() {
    let (upstream, server) = crate::direct().await;
    let (place, experiment) = (Place::new(), &upstream.seed.experiment_id);
    let (told, status) = exported(&upstream.url, experiment, &["--output", &place.output]).await;
    assert!(status.success(), "{told}");
    let lines = lines(place.output.as_ref());
    assert!(
        told.contains(&format!("{} traces written", lines.len())),
        "{told}"
    );
    assert_eq!(place.files(), ["traces.jsonl"]);
    let mut ids: Vec<_> = lines
        .iter()
        .map(|line| line["info"]["trace_id"].as_str().unwrap())
        .collect();
    let times: Vec<_> = lines
        .iter()
        .map(|line| to_the_ms(&line["info"]["request_time"]))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    for (id, line) in ids.iter().zip(&lines) {
        assert_eq!(server.json(&format!("/api/traces/{id}")).await, *line);
    }
    ids.sort_unstable();
    let mut seeded = upstream.seed.trace_ids.clone();
    seeded.sort_unstable();
    assert_eq!(ids, seeded);

    // MLflow's own database says the same, bound by a filter, an order and a number.
    let asked = [
        "--filter",
        "status = 'OK'",
        "--order-by",
        "execution_time_ms DESC",
        "--limit",
        "3",
    ];
    let [by_server, by_database] = [&upstream.url, &upstream.store].map(|from| {
        let mut command = export(from, experiment, &asked);
        command.env("MLFLOW_ARTIFACTS_DESTINATION", &upstream.artifacts);
        async move { command.output().await.unwrap().stdout }
    });
    let (by_server, by_database) = tokio::join!(by_server, by_database);
    let read = |text: &[u8]| -> Vec<Value> {
        let text = std::str::from_utf8(text).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (by_server, by_database) = (read(&by_server), read(&by_database));
    assert_eq!((by_server.len(), by_database.len()), (3, 3));
    for (by_server, by_database) in by_server.iter().zip(by_database) {
        assert_eq!(by_server["info"]["trace_id"], by_database["info"]["trace_id"]);
        assert_eq!(by_server["data"], by_database["data"]);
    }
}

#[tokio::test]
async fn a_collector_reads_what_is_written_as_otlp() {
    let (upstream, other) = (Upstream::v3(), Upstream::postgres());
    let place = Place::new();
    let args = ["--format", "otlp", "--output", &place.output];
    let (told, status) = exported(&upstream.url, &upstream.seed.experiment_id, &args).await;
    assert!(status.success(), "{told}");
    let new = json!({"name": format!("imported-{:?}", std::time::SystemTime::now())});
    let create = format!("{}/api/2.0/mlflow/experiments/create", other.url);
    let (_, made) = answer(http_client().post(create).json(&new)).await;
    let experiment = made["experiment_id"].as_str().unwrap();
    let from = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    let to = TraceServer::on(&other.url, experiment).await;
    let mut compared = 0;
    for line in lines(place.output.as_ref()) {
        let resource = &line["resourceSpans"][0];
        let attributes = resource["resource"]["attributes"].as_array().unwrap();
        let id = attributes[0]["value"]["stringValue"].as_str().unwrap();
        let stored = from.json(&format!("/api/traces/{id}")).await;
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(
            spans.len(),
            stored["data"]["spans"].as_array().unwrap().len(),
            "{id}"
        );
        if spans.is_empty() || !id.starts_with("tr-") {
            continue;
        }
        let read: ExportTraceServiceRequest = serde_json::from_value(line.clone()).unwrap();
        let send = http_client()
            .post(format!("{}/v1/traces", other.url))
            .header("x-mlflow-experiment-id", experiment)
            .header("content-type", "application/x-protobuf")
            .body(read.encode_to_vec());
        let (status, told) = answer(send).await;
        assert!(status.is_success(), "{id}: {told}");
        let came = to.json(&format!("/api/traces/{id}")).await;
        assert_eq!(comparable(&came), comparable(&stored), "{id}");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

/// Spans by their ids, without what an import makes anew: attribute values are compared as what their text says.
fn comparable(trace: &Value) -> Vec<Value> {
    let mut spans = trace["data"]["spans"].as_array().unwrap().clone();
    for span in &mut spans {
        let attributes = span["attributes"].as_object_mut().unwrap();
        attributes.retain(|key, _| key != "mlflow.traceRequestId");
        for value in attributes.values_mut() {
            if let Some(Ok(said)) = value.as_str().map(serde_json::from_str) {
                *value = said;
            }
        }
    }
    spans.sort_by_key(|span| span["span_id"].to_string());
    spans
}

#[tokio::test]
async fn one_that_is_killed_goes_on_where_it_was() {
    let upstream = Upstream::v3();
    let experiment = &upstream.seed.experiment_id;
    let (whole, place) = (Place::new(), Place::new());
    let (told, status) = exported(&upstream.url, experiment, &["--output", &whole.output]).await;
    assert!(status.success(), "{told}");

    let (proxy, gate) = (Proxy::before(&upstream.url).await, Gate::default());
    let (held, reads) = (gate.clone(), AtomicUsize::new(0));
    proxy.rule(move |call| {
        let is_late = call.path.contains("artifact") && reads.fetch_add(1, Ordering::SeqCst) > 10;
        if is_late {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    let args = ["--output", &place.output];
    let mut killed = export(&proxy.url, experiment, &args).spawn().unwrap();
    proxy
        .until("it waits", |proxy| {
            proxy.open_answers("artifact") >= 3 || proxy.count("artifact") > 12
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let second = exported(&proxy.url, experiment, &args).await;
    assert!(
        !second.1.success() && second.0.contains("by another export"),
        "{}",
        second.0
    );
    killed.kill().await.unwrap();
    assert_eq!(place.files(), ["traces.jsonl.part", "traces.jsonl.plan"]);
    // Killed in the middle of a line.
    let part = format!("{}.part", place.output);
    let mut text = std::fs::read(&part).unwrap();
    text.extend_from_slice(br#"{"info":{"trace_id":"tr-"#);
    std::fs::write(&part, text).unwrap();

    gate.open();
    let before = proxy.count("artifact");
    let other = exported(
        &proxy.url,
        experiment,
        &["--output", &place.output, "--limit", "9"],
    )
    .await;
    assert!(
        !other.1.success() && other.0.contains("another command"),
        "{}",
        other.0
    );
    let (told, status) = exported(&proxy.url, experiment, &args).await;
    assert!(status.success() && told.contains("goes on after"), "{told}");
    assert!(proxy.count("artifact") - before < upstream.seed.trace_ids.len());
    // Not byte by byte: the order of members in a label's value is another each time that MLflow is asked.
    let undisturbed = lines(whole.output.as_ref());
    assert!(undisturbed == lines(place.output.as_ref()));
    assert_eq!(place.files(), ["traces.jsonl"]);

    let again = exported(&proxy.url, experiment, &args).await;
    assert!(!again.1.success() && again.0.contains("--force"), "{}", again.0);
    let (told, status) = exported(&proxy.url, experiment, &[&args[..], &["--force"]].concat()).await;
    assert!(status.success(), "{told}");
    assert!(undisturbed == lines(place.output.as_ref()));
}

#[tokio::test]
async fn a_trace_that_breaks_off_is_written_anew() {
    let upstream = Upstream::v3();
    // Larger than what is held whole.
    let id = upstream.big_trace(12);
    let info = TraceServer::on(&upstream.url, "0")
        .await
        .json(&format!("/api/mlflow/traces/{id}"))
        .await;
    let experiment = info["info"]["trace_location"]["mlflow_experiment"]["experiment_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (proxy, reads) = (Proxy::before(&upstream.url).await, AtomicUsize::new(0));
    proxy.rule(move |call| {
        let is_first = call.path.contains("artifact") && reads.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first {
            Fault::CutAfter(5 << 20)
        } else {
            Fault::None
        }
    });
    for format in ["jsonl", "otlp"] {
        let place = Place::new();
        let args = ["--output", &place.output, "--format", format];
        let (told, status) = exported(&proxy.url, &experiment, &args).await;
        assert!(status.success(), "{told}");
        let lines = lines(place.output.as_ref());
        assert_eq!(lines.len(), 1);
        let spans = match format {
            "jsonl" => &lines[0]["data"]["spans"],
            _ => &lines[0]["resourceSpans"][0]["scopeSpans"][0]["spans"],
        };
        assert_eq!(spans.as_array().unwrap().len(), 400);
    }
    assert!(proxy.count("artifact") >= 3);
}

#[tokio::test]
async fn what_is_gone_or_cannot_be_read_is_told_and_holds_up_nothing_else() {
    let upstream = Upstream::v3();
    let experiment = &upstream.seed.experiment_id;
    let id = upstream.seed.run_trace_ids[1].clone();
    let proxy = Proxy::before(&upstream.url).await;
    let gone = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "it is not found"}"#;
    let all = upstream.seed.trace_ids.len();
    for format in ["jsonl", "otlp"] {
        let place = Place::new();
        // What an earlier one left behind, whose file was taken away.
        std::fs::write(format!("{}.plan", place.output), "{}\ntr-1\n").unwrap();
        let wanted = id.clone();
        proxy.rule(move |call| {
            if call.method == "GET" && call.path.contains(&wanted) {
                Fault::Status(404, Vec::new(), gone)
            } else {
                Fault::None
            }
        });
        let args = ["--output", &place.output, "--format", format];
        let (told, status) = exported(&proxy.url, experiment, &args).await;
        assert!(status.success() && told.contains("1 were deleted"), "{told}");
        assert_eq!(lines(place.output.as_ref()).len(), all - 1);

        let (place, wanted) = (Place::new(), id.clone());
        proxy.rule(move |call| {
            if call.path.contains("artifact") && call.path.contains(&wanted) {
                Fault::Status(200, Vec::new(), r#"{"spans": [{"name": nonsense}]}"#)
            } else {
                Fault::None
            }
        });
        let args = ["--output", &place.output, "--format", format];
        let (told, status) = exported(&proxy.url, experiment, &args).await;
        assert!(!status.success() && told.contains("--skip-unreadable"), "{told}");
        assert!(told.contains("goes on from there"), "{told}");
        let leaving_out = [&args[..], &["--skip-unreadable"]].concat();
        let (told, status) = exported(&proxy.url, experiment, &leaving_out).await;
        assert!(
            !status.success() && told.contains(&id) && told.contains("1 traces could not"),
            "{told}"
        );
        assert_eq!(lines(place.output.as_ref()).len(), all - 1);
    }
}

#[tokio::test]
async fn who_stops_reading_is_no_trouble_and_what_cannot_be_asked_is_told() {
    let upstream = Upstream::v3();
    let pipe = format!(
        "{} export | head -c 10; exit ${{PIPESTATUS[0]}}",
        binary().display()
    );
    let ran = Command::new("bash")
        .args(["-c", &pipe])
        .env("MLFLOW_TRACKING_URI", &upstream.url)
        .env("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && !told.contains("panic"), "{told}");
    assert_eq!(ran.stdout, br#"{"info":{""#);

    for (experiment, args, why) in [
        ("", vec![], "no experiment is named"),
        ("1", vec!["--filter", "nonsense = 1"], "cannot be listed"),
        ("1", vec!["--experiment", "x/y"], "--experiment"),
    ] {
        let (told, status) = exported(&upstream.url, experiment, &args).await;
        assert!(!status.success() && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn shells_and_readers_of_manuals_are_served() {
    let run = async |args: &[&str]| {
        let ran = Command::new(binary())
            .args(args)
            .env_clear()
            .output()
            .await
            .unwrap();
        assert!(ran.status.success());
        String::from_utf8(ran.stdout).unwrap()
    };
    let manual = run(&["man"]).await;
    assert!(manual.contains(".TH trace-server 1"), "{manual}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).await;
        assert!(
            script.contains("export") && script.contains("order-by"),
            "{script}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("completions.bash");
    std::fs::write(&path, run(&["completions", "bash"]).await).unwrap();
    let read = Command::new("bash").arg("-n").arg(&path).status().await.unwrap();
    assert!(read.success());
}
