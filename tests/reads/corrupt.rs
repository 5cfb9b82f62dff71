//! What MLflow answers is not believed blindly: what is torn, of another type or about something else is refused, nothing
//! of it is kept, and the next read is right.

use bytes::Bytes;
use harness::{Call, Fault, Line, Proxy, TraceServer, Upstream, Wire};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

/// The two ways MLflow is asked for infos by id.
const INFO: &str = "/api/3.0/mlflow/traces/tr-";
const INFOS: &str = "batchGetInfos";
const SEARCH: &str = "/api/3.0/mlflow/traces/search";
const SPANS: &str = "get-trace-artifact";

/// What a user reads.
#[derive(Debug, Clone)]
struct Read {
    path: String,
    body: Option<Value>,
}

impl Read {
    fn get(path: String) -> Self {
        Self { path, body: None }
    }

    fn post(path: &str, body: Value) -> Self {
        let path = path.to_owned();
        Self {
            path,
            body: Some(body),
        }
    }

    fn of(&self, server: &TraceServer) -> RequestBuilder {
        match &self.body {
            Some(body) => server.post(&self.path, body),
            None => server.get(&self.path),
        }
    }

    async fn answer(&self, server: &TraceServer) -> Response {
        self.of(server).send().await.unwrap()
    }

    async fn json(&self, server: &TraceServer) -> Value {
        harness::answer(self.of(server)).await.1
    }
}

/// A way to spoil an answer.
type Spoil = (&'static str, fn(Vec<u8>) -> Vec<u8>);

/// What no answer may be, whatever it is about.
const NO_ANSWERS: &[Spoil] = &[
    ("half of it", |body| body[..body.len() / 2].to_vec()),
    ("all but the last byte", |body| {
        let end = body.trim_ascii_end().len() - 1;
        body[..end].to_vec()
    }),
    ("nothing", |_| Vec::new()),
    ("a list", |_| b"[]".to_vec()),
    ("a list of it", |body| [b"[", body.as_slice(), b"]"].concat()),
    ("null", |_| b"null".to_vec()),
    ("a text", |_| br#""{}""#.to_vec()),
    ("it twice", |body| [body.as_slice(), &body].concat()),
    ("a page", |_| b"<!doctype html><title>Sign in</title>".to_vec()),
    ("not UTF-8", |body| with(&body, br#"": ""#, b"\": \"\xff")),
    ("NUL bytes", |body| vec![0; body.len()]),
];

/// The body with the first of these texts replaced.
fn with(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = body.windows(from.len()).position(|bytes| bytes == from);
    let at = at.expect("the text is in the body");
    [&body[..at], to, &body[at + from.len()..]].concat()
}

fn set(body: &[u8], pointer: &str, value: &Value) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(body).unwrap();
    *json.pointer_mut(pointer).unwrap() = value.clone();
    json.to_string().into_bytes()
}

/// Answers to calls with this in their path are spoilt from now on.
fn spoil(
    proxy: &Proxy,
    part: &'static str,
    how: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static,
) {
    proxy.rule(move |call: &Call| {
        if call.path.contains(part) {
            Fault::changed(how.clone())
        } else {
            Fault::None
        }
    });
}

/// A server whose answers from MLflow may be spoilt, and what it must answer when they are not.
struct Stage {
    proxy: Proxy,
    server: TraceServer,
    /// Reads that nobody has done on this server, and what another answers to them.
    reads: Vec<(Read, Value)>,
}

impl Stage {
    async fn of(reads: impl IntoIterator<Item = Read>) -> Self {
        let (_, proxy, server) = crate::proxied().await;
        let mut stage = Self {
            proxy,
            server,
            reads: Vec::new(),
        };
        let (_, other) = crate::direct().await;
        for read in reads {
            let right = read.json(&other).await;
            stage.reads.push((read, right));
        }
        stage
    }

    /// Each of the traces that have spans, opened.
    async fn of_traces() -> Self {
        let ids = Upstream::v3().seed.trace_ids;
        let reads = ids.iter().map(|id| Read::get(format!("/api/traces/{id}")));
        let mut stage = Self::of(reads).await;
        let has_spans = |right: &Value| {
            right["data"]["spans"]
                .as_array()
                .is_some_and(|spans| spans.len() > 1)
        };
        stage.reads.retain(|(_, right)| has_spans(right));
        stage
    }

    /// A read while answers are spoilt is a problem that says whose fault it is; the next one is right, and new.
    async fn refused_then_right(
        &mut self,
        case: &str,
        part: &'static str,
        how: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static,
    ) {
        let (read, _) = self.reads.last().expect("there are as many reads as cases");
        let before = self.proxy.count(part);
        spoil(&self.proxy, part, how);
        let (status, problem) = harness::answer(read.of(&self.server)).await;
        assert!(
            matches!(status.as_u16(), 502 | 503),
            "{case}: {status}: {problem}"
        );
        let code = problem["error"]["code"].as_str().unwrap();
        assert!(code.starts_with("UPSTREAM_"), "{case}: {problem}");
        assert!(self.proxy.count(part) > before, "{case}: it was asked for");
        self.is_right_and_new(case).await;
    }

    /// Once nothing is spoilt any more the read is right, and comes from MLflow.
    async fn is_right_and_new(&mut self, case: &str) {
        self.proxy.rule(|_| Fault::None);
        let (read, right) = self.reads.pop().expect("there are as many reads as cases");
        let answer = read.answer(&self.server).await;
        assert_eq!(answer.status(), 200, "{case}");
        assert_eq!(answer.headers()["x-cache"], "miss", "{case}");
        // As values: MLflow gives the members of an assessment's object in any order.
        let value: Value = answer.json().await.unwrap();
        assert!(value == right, "{case}: {value} is not {right}");
    }
}

#[tokio::test]
async fn an_info_that_cannot_be_read_is_refused_and_not_kept() {
    let mut stage = Stage::of_traces().await;
    for (case, how) in NO_ANSWERS {
        stage.refused_then_right(case, INFO, *how).await;
    }
    stage
        .refused_then_right("no info", INFO, |_| b"{}".to_vec())
        .await;
    for (pointer, value) in [
        ("/trace", json!([])),
        ("/trace/trace_info", json!([])),
        ("/trace/trace_info/trace_id", json!(null)),
        ("/trace/trace_info/trace_id", json!(7)),
        ("/trace/trace_info/trace_id", json!("")),
        ("/trace/trace_info/request_time", json!(1_795_457_376)),
        ("/trace/trace_info/trace_location", json!("3")),
        ("/trace/trace_info/tags", json!(["a"])),
        ("/trace/trace_info/trace_metadata", json!("a")),
        ("/trace/trace_info/state", json!(1)),
    ] {
        let case = format!("{pointer} = {value}");
        stage
            .refused_then_right(&case, INFO, move |body| set(&body, pointer, &value))
            .await;
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_read_is_refused_and_not_kept() {
    let page = |size| Read::post("/api/mlflow/search-traces", json!({"max_results": size}));
    let mut stage = Stage::of((3..30).map(page)).await;
    for (case, how) in NO_ANSWERS {
        stage.refused_then_right(case, SEARCH, *how).await;
    }
    for (pointer, value) in [
        ("/traces", json!({})),
        ("/traces", json!("tr-1")),
        ("/traces/1", json!(null)),
        ("/traces/1", json!([])),
        ("/traces/1/trace_id", json!(null)),
        ("/traces/1/trace_id", json!(["tr-1"])),
        ("/traces/1/tags", json!([])),
        ("/next_page_token", json!(3)),
    ] {
        let case = format!("{pointer} = {value}");
        stage
            .refused_then_right(&case, SEARCH, move |body| set(&body, pointer, &value))
            .await;
    }
}

#[tokio::test]
async fn spans_that_cannot_be_read_are_refused_and_not_kept() {
    let mut stage = Stage::of_traces().await;
    for (case, how) in NO_ANSWERS {
        stage.refused_then_right(case, SPANS, *how).await;
    }
    stage
        .refused_then_right("no list", SPANS, |_| b"{}".to_vec())
        .await;
    stage
        .refused_then_right("an error", SPANS, |_| br#"{"message": "busy"}"#.to_vec())
        .await;
    for (pointer, value) in [
        ("/spans", json!(null)),
        ("/spans", json!({})),
        ("/spans", json!("[]")),
        ("/spans/0", json!(null)),
        ("/spans/1", json!(7)),
        ("/spans/1", json!([])),
    ] {
        let case = format!("{pointer} = {value}");
        stage
            .refused_then_right(&case, SPANS, move |body| set(&body, pointer, &value))
            .await;
    }
}

#[tokio::test]
async fn spans_of_other_types_pass_as_they_are_and_are_found_by_nothing() {
    let (upstream, proxy, server) = crate::proxied().await;
    spoil(&proxy, SPANS, |body| {
        let mut json: Value = serde_json::from_slice(&body).unwrap();
        let spans = json["spans"].as_array_mut().unwrap();
        spans[0]["name"] = json!(7);
        spans[1]["span_id"] = json!(null);
        spans[1]["attributes"] = json!([1]);
        spans[2]["start_time_unix_nano"] = json!("noon");
        json.to_string().into_bytes()
    });
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let spans = server.json(&path).await["data"]["spans"].clone();
    assert_eq!(spans[0]["name"], 7);
    assert_eq!(
        (&spans[1]["span_id"], &spans[1]["attributes"]),
        (&Value::Null, &json!([1]))
    );
    assert_eq!(spans[2]["start_time_unix_nano"], "noon");
    let count = spans.as_array().unwrap().len();
    for query in ["view=summary", "offset=0"] {
        let lines = server.get(&format!("{path}/spans?{query}")).send().await.unwrap();
        assert_eq!(lines.text().await.unwrap().lines().count(), count, "{query}");
    }
    let null = server
        .get(&format!("{path}/spans/0000000000000000"))
        .send()
        .await
        .unwrap();
    assert_eq!(null.status(), 404);
}

#[tokio::test]
async fn a_batch_says_of_which_traces_the_infos_cannot_be_read() {
    let upstream = Upstream::v3();
    let ids = &upstream.seed.trace_ids[..3];
    let read = Read::post("/api/traces/batch", json!({"trace_ids": ids}));
    for (case, how) in &NO_ANSWERS[..4] {
        let (_, proxy, server) = crate::proxied().await;
        spoil(&proxy, INFOS, *how);
        let batch = read.json(&server).await;
        assert_eq!(batch["errors"], json!({}), "{case}: each was asked for alone");
        // Every way is spoilt for one of them.
        let mut stage = Stage::of([read.clone()]).await;
        let bad = ids[1].clone();
        stage.proxy.rule(move |call| {
            if call.path.contains(INFOS) || call.path.contains(&bad) {
                Fault::changed(how)
            } else {
                Fault::None
            }
        });
        let batch = read.json(&stage.server).await;
        for (index, id) in ids.iter().enumerate() {
            let info = &batch["traces"][index]["info"];
            match index {
                1 => assert_eq!(batch["errors"][id]["code"], "UPSTREAM_ERROR", "{case}: {batch}"),
                _ => assert_eq!(info["trace_id"], **id, "{case}: {batch}"),
            }
        }
        assert_eq!(batch["errors"].as_object().unwrap().len(), 1, "{case}: {batch}");
        assert!(batch["traces"][1].is_null(), "{case}: {batch}");
        stage.is_right_and_new(case).await;
    }
}

#[tokio::test]
async fn a_batch_and_a_page_say_of_which_traces_the_spans_cannot_be_read() {
    let upstream = Upstream::v3();
    let [good, bad] = ["rag", "error"].map(|name| upstream.trace(name).to_owned());
    for (case, how) in &NO_ANSWERS[..4] {
        let body = json!({"trace_ids": [good, bad], "include_spans": true});
        let batch = Read::post("/api/traces/batch", body);
        let mut stage = Stage::of([batch.clone()]).await;
        let spoilt = bad.clone();
        let rule = move |call: &Call| {
            if call.path.contains(SPANS) && call.path.contains(&spoilt) {
                Fault::changed(how)
            } else {
                Fault::None
            }
        };
        stage.proxy.rule(rule.clone());
        let answer = batch.json(&stage.server).await;
        assert_eq!(
            answer["errors"][&bad]["code"], "UPSTREAM_ERROR",
            "{case}: {answer}"
        );
        assert!(answer["traces"][1].is_null(), "{case}");
        let spans = &answer["traces"][0]["data"]["spans"];
        assert!(!spans.as_array().unwrap().is_empty(), "{case}");
        stage.is_right_and_new(case).await;
        let (_, proxy, server) = crate::proxied().await;
        proxy.rule(rule);
        let page = Read::post(
            "/api/mlflow/search-traces",
            json!({"max_results": 40, "span_summary_only": true}),
        );
        let answer = page.json(&server).await;
        for trace in answer["traces"].as_array().unwrap() {
            let is_bad = trace["info"]["trace_id"] == *bad;
            let is_marked = trace["data"]["error"]["code"] == "UPSTREAM_ERROR";
            assert_eq!(is_marked, is_bad, "{case}: {trace}");
        }
    }
}

#[tokio::test]
async fn what_is_about_another_trace_is_neither_served_nor_kept_as_the_one_asked_for() {
    let upstream = Upstream::v3();
    let [asked, other, third] = ["rag", "error", "wide"].map(|name| upstream.trace(name).to_owned());
    let opened = |id: &str| Read::get(format!("/api/traces/{id}"));
    let batch = Read::post("/api/traces/batch", json!({"trace_ids": [asked, third]}));
    let swapped = {
        let (from, to) = (asked.clone(), other.clone());
        move |body| with_all(body, &from, &to)
    };
    let mut stage = Stage::of([opened(&asked)]).await;
    stage.refused_then_right("an info", INFO, swapped.clone()).await;
    // As when two calls get mixed up on their way: the whole answer to another call.
    let of_other = reqwest::get(upstream.artifact_url(&other)).await.unwrap();
    let of_other: Vec<u8> = of_other.bytes().await.unwrap().into();
    let mut stage = Stage::of([opened(&asked)]).await;
    stage
        .refused_then_right("spans", SPANS, move |_| of_other.clone())
        .await;
    // In a batch, in one call and in one for each.
    let mut stage = Stage::of([opened(&other), batch.clone()]).await;
    let path = asked.clone();
    stage.proxy.rule(move |call| {
        if call.path.contains(INFOS) || call.path.contains(&path) {
            Fault::changed(swapped.clone())
        } else {
            Fault::None
        }
    });
    let answer = batch.json(&stage.server).await;
    assert_eq!(answer["errors"][&asked]["code"], "UPSTREAM_ERROR", "{answer}");
    assert_eq!(answer["traces"][1]["info"]["trace_id"], *third);
    stage.is_right_and_new("a batch").await;
    stage.is_right_and_new("the other").await;
}

fn with_all(body: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(body).unwrap().replace(from, to).into_bytes()
}

#[tokio::test]
async fn a_trace_that_comes_twice_on_a_page_is_shown_once_and_spans_of_one_id_all() {
    let (upstream, proxy, server) = crate::proxied().await;
    spoil(&proxy, SEARCH, |body| {
        let mut json: Value = serde_json::from_slice(&body).unwrap();
        let first = json["traces"][0].clone();
        json["traces"].as_array_mut().unwrap().push(first);
        json.to_string().into_bytes()
    });
    let page = json!({"max_results": 4});
    let page = server.post_json("/api/mlflow/search-traces", &page).await;
    let traces = page["traces"].as_array().unwrap();
    let mut ids: Vec<_> = traces
        .iter()
        .map(|trace| trace["info"]["trace_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
    spoil(&proxy, SPANS, |body| {
        let mut json: Value = serde_json::from_slice(&body).unwrap();
        let id = json["spans"][0]["span_id"].clone();
        json["spans"][2]["span_id"] = id;
        json.to_string().into_bytes()
    });
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let spans = server.json(&path).await["data"]["spans"].clone();
    let id = spans[0]["span_id"].as_str().unwrap();
    assert_eq!(spans[2]["span_id"], id);
    let id = id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(
        server.json(&format!("{path}/spans/{id}")).await,
        spans[0],
        "the first counts"
    );
}

/// A span of so many bytes of text.
fn span(index: usize, bytes: usize) -> String {
    let parent = if index == 0 { "null" } else { r#""AAAAAAAAAAE=""# };
    let name = index.to_string() + &"x".repeat(bytes);
    format!(
        r#"{{"span_id": "{index:016x}", "parent_span_id": {parent}, "name": "{name}", "start_time_unix_nano": 1, "end_time_unix_nano": 2, "attributes": {{}}}}"#
    )
}

/// A text in pieces as they come from a socket.
fn pieces(text: String) -> impl Iterator<Item = Bytes> + Send {
    let text = Bytes::from(text);
    (0..text.len())
        .step_by(64 << 10)
        .map(move |at| text.slice(at..text.len().min(at + (64 << 10))))
}

#[tokio::test]
async fn a_span_of_50_mb_passes_and_one_over_the_limit_is_refused() {
    let (upstream, proxy, server) = crate::proxied().await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let told = |bytes: usize| {
        move |call: &Call| {
            if call.path.contains(SPANS) {
                {
                    Fault::told(move || {
                        pieces(format!(r#"{{"spans": [{}, {}]}}"#, span(0, bytes), span(1, 1)))
                    })
                }
            } else {
                Fault::None
            }
        }
    };
    server
        .json(&path.replace(upstream.trace("rag"), upstream.trace("big")))
        .await;
    let (before, _) = server.memory();
    proxy.rule(told(50 << 20));
    let lines = server
        .get(&format!("{path}/spans"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let expected = format!("{}\n{}\n", span(0, 50 << 20), span(1, 1));
    assert!(lines == expected, "{} bytes", lines.len());
    let trace = server.get(&path).send().await.unwrap().text().await.unwrap();
    assert!(trace.contains(&span(0, 50 << 20)));
    let (_, most) = server.memory();
    let growth = (most - before) >> 20;
    // The span, what it was gathered in when that became too small, and what is on its way out.
    assert!(growth < 200, "memory grew by {growth} MiB");
    proxy.rule(told(65 << 20));
    for (path, expected) in [(path.clone(), 502), (format!("{path}/spans"), 502)] {
        let (status, problem) = harness::answer(server.get(&path)).await;
        assert_eq!(status, expected, "{problem}");
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains("a span is larger than 67108864 bytes"), "{told}");
    }
    proxy.rule(|_| Fault::None);
    let answer = server.get(&path).send().await.unwrap();
    assert_eq!(answer.headers()["x-cache"], "miss");
}

#[tokio::test]
async fn a_million_spans_are_read_in_bounded_memory() {
    let (upstream, proxy, server) = crate::proxied().await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    server
        .json(&format!("/api/traces/{}", upstream.trace("big")))
        .await;
    let (before, _) = server.memory();
    let thousand = r#"{"span_id": "AAAAAAAAAAI=", "name": "x"},"#.repeat(1000);
    let bytes = 1000 * thousand.len();
    proxy.rule(move |call| {
        let thousand = Bytes::from(thousand.clone());
        if call.path.contains(SPANS) {
            Fault::told(move || {
                let head = std::iter::once(Bytes::from_static(br#"{"spans": ["#));
                let last = Bytes::from(span(1_000_000, 1) + "]}");
                head.chain(std::iter::repeat_n(thousand.clone(), 1000))
                    .chain([last])
            })
        } else {
            Fault::None
        }
    });
    let batch = json!({"trace_ids": [upstream.trace("rag")], "span_summary_only": true});
    for read in [Read::get(path), Read::post("/api/traces/batch", batch)] {
        let mut answer = read.answer(&server).await;
        assert_eq!(answer.status(), 200, "{read:?}");
        let (mut count, mut end) = (0, Vec::new());
        while let Some(chunk) = answer.chunk().await.unwrap() {
            count += chunk.len();
            end = [&end[end.len().saturating_sub(1000)..], &chunk].concat();
        }
        assert!(count > bytes, "{read:?}: {count} bytes");
        let end = String::from_utf8_lossy(&end);
        assert!(end.contains(r#""1000000x""#), "{read:?}: {end}");
        let (_, most) = server.memory();
        let growth = most.saturating_sub(before) >> 20;
        assert!(growth < 64, "{read:?}: memory grew by {growth} MiB");
    }
}

/// MLflow 3.17.2, a wire before it, and a server on the wire that waits no longer than it must.
async fn wired(settings: &[(&str, &str)]) -> (Upstream, Wire, TraceServer) {
    let own = [
        ("TRACE_SERVER_UPSTREAM_KEEPALIVE", "off"),
        ("TRACE_SERVER_UPSTREAM_CALL_TIMEOUT", "1s"),
    ];
    let (upstream, wire, server) = harness::wired(&[&own, settings].concat()).await;
    // What it learns once is learned over a good line.
    let unknown = format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id);
    server.json(&unknown).await;
    (upstream, wire, server)
}

/// The info of one trace, which is one call.
fn info_of(id: &str) -> Read {
    Read::post("/api/traces/batch", json!({"trace_ids": [id]}))
}

#[tokio::test]
async fn a_byte_turned_over_anywhere_is_never_served_and_never_kept() {
    let (upstream, wire, server) = wired(&[]).await;
    let (_, other) = crate::direct().await;
    let mut refused = 0;
    for (nth, id) in upstream.seed.trace_ids.iter().enumerate() {
        let read = info_of(id);
        let right = read.json(&other).await;
        let at = 37 * nth as u64;
        wire.turn(Line::Flipped(at)).await;
        let answer = read.json(&server).await;
        wire.turn(Line::Good).await;
        // In a header that nobody reads it does no harm.
        if answer != right {
            let code = answer["errors"][id]["code"].as_str();
            assert!(
                code.is_some_and(|code| code.starts_with("UPSTREAM_")),
                "byte {at}: {answer}"
            );
            refused += 1;
            let again = read.answer(&server).await;
            assert_eq!(again.headers()["x-cache"], "miss", "byte {at}");
            assert_eq!(again.json::<Value>().await.unwrap(), right, "byte {at}");
        }
    }
    assert!(refused > 20, "most bytes count: {refused}");
    wire.until_idle().await;
}

#[tokio::test]
async fn a_length_that_is_not_that_of_the_body_is_found_out() {
    let (upstream, wire, server) = wired(&[]).await;
    let ids = [upstream.trace("rag"), upstream.trace("error")];
    for (id, digit) in ids.into_iter().zip(["0", "9"]) {
        let url = format!("{}/api/3.0/mlflow/traces/{id}", upstream.url);
        let length = reqwest::get(url)
            .await
            .unwrap()
            .content_length()
            .unwrap()
            .to_string();
        // Nearly nothing, or more than ever comes.
        let lie = digit.repeat(length.len() - 1);
        let lie = if digit == "0" { lie + "9" } else { lie + digit };
        let said = |length: &str| format!("content-length: {length}\r\n");
        wire.turn(Line::replaced(said(&length), said(&lie))).await;
        let read = info_of(id);
        let answer = read.json(&server).await;
        let code = answer["errors"][id]["code"].as_str().unwrap_or_default();
        assert!(code.starts_with("UPSTREAM_"), "{length} as {lie}: {answer}");
        wire.turn(Line::Good).await;
        let again = read.answer(&server).await;
        assert_eq!(again.headers()["x-cache"], "miss");
        assert_eq!(
            again.json::<Value>().await.unwrap()["traces"][0]["info"]["trace_id"],
            id
        );
    }
    wire.until_idle().await;
}

#[tokio::test]
async fn a_line_in_trouble_is_told_and_leaves_no_connection_behind() {
    // Each that is lost for good would be missed.
    let settings = [
        ("TRACE_SERVER_UPSTREAM_MAX_CONNECTIONS", "2"),
        ("TRACE_SERVER_UPSTREAM_BREAKER_FAILURES", "0"),
    ];
    let (upstream, wire, server) = wired(&settings).await;
    let path = format!("/api/traces/{}", upstream.trace("big"));
    for (line, expected) in [
        (Line::Refused, 503),
        (Line::Reset, 503),
        (Line::Silent, 504),
        (Line::EndsAfter(0), 503),
        (Line::EndsAfter(700), 503),
        (Line::ResetAfter(0), 503),
        (Line::ResetAfter(700), 503),
        (Line::Throttled(600), 504),
    ] {
        wire.turn(line.clone()).await;
        for _ in 0..3 {
            let (status, problem) = harness::answer(server.get(&path)).await;
            assert_eq!(status, expected, "{line:?}: {problem}");
            assert!(problem["detail"].is_string(), "{line:?}: {problem}");
        }
        wire.until_idle().await;
        assert_eq!(
            server.get("/health").send().await.unwrap().status(),
            200,
            "{line:?}"
        );
    }
    wire.turn(Line::Slow(std::time::Duration::from_millis(5))).await;
    let slow = server.get(&path).send().await.unwrap();
    assert_eq!(
        (slow.status().as_u16(), &slow.headers()["x-cache"]),
        (200, &"miss".parse().unwrap())
    );
    let (_, other) = crate::direct().await;
    let right = other.get(&path).send().await.unwrap();
    assert!(slow.text().await.unwrap() == right.text().await.unwrap());
    wire.until_idle().await;
}
