//! Traces of our own work: sent to a collector, in the trace of whoever asks, and MLflow is told whose they are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Proxy, TraceServer, Upstream, answer, http_client};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use serde_json::{Value, json};
use tonic::transport::server::TcpIncoming;

/// What a browser would say: a trace of its own, and the span that asks.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKING: &str = "00f067aa0ba902b7";

fn asks(server: &TraceServer, path: &str, trace: &str, flags: &str) -> reqwest::RequestBuilder {
    let parent = format!("00-{trace}-{ASKING}-{flags}");
    server.get(path).header("traceparent", parent)
}

#[tokio::test]
async fn they_are_read_in_ourselves() {
    let upstream = Upstream::v3();
    let new = json!({"name": format!("ourselves-{:?}", std::time::SystemTime::now())});
    let create = format!("{}/api/2.0/mlflow/experiments/create", upstream.url);
    let (_, made) = answer(http_client().post(create).json(&new)).await;
    let experiment = made["experiment_id"].as_str().unwrap();
    let proxy = Proxy::before(&upstream.url).await;
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &proxy.url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &upstream.url),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            &format!("x-mlflow-experiment-id={experiment}"),
        ),
        // Nothing is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ])
    .await;
    let path = format!("/api/traces/{}", upstream.seed.run_trace_ids[0]);
    let unrecorded = "5bf92f3577b34da6a3ce929d0e0e4736";
    for (path, trace, flags) in [
        (path.as_str(), TRACE, "01"),
        ("/health", "6bf92f3577b34da6a3ce929d0e0e4736", "01"),
        ("/api/experiments/none-such", unrecorded, "00"),
    ] {
        asks(&server, path, trace, flags).send().await.unwrap();
    }
    let told: Vec<_> = proxy
        .calls()
        .iter()
        .filter_map(|call| Some(call.headers.get("traceparent")?.to_str().unwrap().to_owned()))
        .collect();
    let of_trace = |told: &&String| told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01");
    assert!(
        told.iter().filter(of_trace).count() >= 2,
        "for info and spans: {told:?}"
    );
    assert!(
        told.iter().all(|told| !told.contains(ASKING)),
        "of our span: {told:?}"
    );
    let log = server.log().await;
    let logged = log.iter().find(|line| line.contains(&path)).unwrap();
    assert!(logged.contains(TRACE), "{logged}");

    // By another server, in the experiment they were sent to.
    let reader = TraceServer::on(&upstream.url, experiment).await;
    let found = reader
        .post_json("/api/mlflow/search-traces", &json!({"max_results": 10}))
        .await;
    let ids: Vec<_> = found["traces"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 1, "{found}");
    let id = format!("tr-{TRACE}");
    assert_eq!(ids[0]["info"]["trace_id"], json!(id), "{found}");
    let read = reader.json(&format!("/api/traces/{id}")).await;
    let spans = read["data"]["spans"].as_array().unwrap();
    let of = |name: &str| {
        let span = spans.iter().find(|span| span["name"] == name);
        span.unwrap_or_else(|| panic!("no {name} of {spans:#?}"))
    };
    let request = of("GET /api/traces/{trace_id}");
    let attributes = &request["attributes"];
    assert_eq!(attributes["http.response.status_code"], json!("200"), "{request}");
    assert_eq!(attributes["trace_server.cache"], json!("\"miss\""));
    let size: u64 = attributes["http.response.body.size"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(size > 100, "{size}");
    for call in ["traces.info", "traces.artifact"] {
        assert_eq!(of(call)["parent_span_id"], request["span_id"], "{spans:#?}");
    }
}

/// A collector as OpenTelemetry defines it.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn they_go_where_databricks_apps_collects_them() {
    let (upstream, collector) = (Upstream::v3(), Collector::default());
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", incoming.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &upstream.store),
        ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_RESOURCE_ATTRIBUTES", "app=review"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    let path = format!("/api/traces/{}", upstream.seed.run_trace_ids[0]);
    asks(&server, &path, TRACE, "01").send().await.unwrap();
    // Its spans are read while it is sent.
    let search = json!({"max_results": 3, "include_spans": true});
    server.post_json("/api/mlflow/search-traces", &search).await;
    let read = || {
        let told = collector.0.lock().unwrap().clone();
        let resources = told.into_iter().flat_map(|told| told.resource_spans);
        let of_all = resources.map(|spans| {
            let names = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let names: Vec<_> = names.map(|span| span.name).collect();
            (format!("{:?}", spans.resource), names)
        });
        of_all.collect::<Vec<_>>()
    };
    let mut told = read();
    for _ in 0..500 {
        let names = || told.iter().flat_map(|(_, names)| names);
        if ["GET", "POST"]
            .iter()
            .all(|method| names().any(|name| name.starts_with(method)))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        told = read();
    }
    let names: Vec<_> = told.iter().flat_map(|(_, names)| names).collect();
    for name in [
        "GET /api/traces/{trace_id}",
        "traces.info",
        "traces.spans",
        "traces.batch_spans",
    ] {
        assert!(names.iter().any(|of| *of == name), "{name} of {told:?}");
    }
    let resource = &told[0].0;
    for word in ["trace-server", "review", env!("CARGO_PKG_VERSION")] {
        assert!(resource.contains(word), "{resource}");
    }
}

#[tokio::test]
async fn no_request_waits_for_a_collector_that_is_away() {
    let upstream = Upstream::v3();
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &upstream.url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20planted-token-of-the-collector",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ])
    .await;
    let path = format!("/api/traces/{}", upstream.seed.run_trace_ids[0]);
    for _ in 0..20 {
        let read: Value = server.json(&path).await;
        assert!(read["info"].is_object(), "{read}");
    }
    server.terminate();
    let (status, log) = tokio::time::timeout(Duration::from_secs(15), server.ended())
        .await
        .unwrap();
    assert!(status.success(), "{log:?}");
    let told = log
        .iter()
        .any(|line| line.contains("WARN") || line.contains("ERROR"));
    assert!(told, "{log:?}");
    assert!(log.iter().all(|line| !line.contains("planted")), "{log:?}");
}
