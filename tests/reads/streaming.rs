//! Traces of any size in bounded memory.

use futures::StreamExt;
use harness::{Fault, Gate, Proxy, TraceServer, Upstream};
use serde_json::Value;

const MIB: u64 = 1 << 20;

async fn on_big_trace() -> (Upstream, String, Proxy, TraceServer) {
    let upstream = Upstream::v3();
    let id = upstream.big_trace(100);
    let proxy = Proxy::before(&upstream.url).await;
    let server = TraceServer::on(&proxy.url, &upstream.seed.experiment_id).await;
    // What is allocated once, on a first request of any size, is not the stream's.
    server
        .json(&format!("/api/traces/{}", upstream.trace("big")))
        .await;
    (upstream, id, proxy, server)
}

#[tokio::test]
async fn a_100_mb_trace_streams_in_32_mb_whatever_the_form() {
    let (_, id, _, server) = on_big_trace().await;
    let (before, _) = server.memory();
    for (path, accept, tail) in [
        ("/spans", "application/x-ndjson", "}\n"),
        ("/spans", "application/json", "]}"),
        ("/spans", "text/event-stream", "}\n\n"),
        ("", "application/json", "]}}"),
        ("/data", "application/json", "}}"),
    ] {
        let answer = server
            .get(&format!("/api/traces/{id}{path}"))
            .header("accept", accept)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let (mut bytes, mut end) = (0, Vec::new());
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.unwrap();
            bytes += chunk.len() as u64;
            end = [&end[end.len().saturating_sub(8)..], &chunk].concat();
        }
        assert!(bytes > 100 * MIB, "{accept} {path}: {bytes} bytes");
        assert!(end.ends_with(tail.as_bytes()), "{accept} {path}");
        let (_, most) = server.memory();
        let growth = most.saturating_sub(before);
        assert!(
            growth < 32 * MIB,
            "{accept} {path}: memory grew by {} MiB",
            growth / MIB
        );
    }
}

#[tokio::test]
async fn the_first_span_leaves_while_the_last_has_not_come() {
    let (_, id, proxy, server) = on_big_trace().await;
    let gate = Gate::default();
    proxy.does_to("artifact", Fault::HeldAfter(10 * MIB, gate.clone()));
    let mut chunks = server
        .get(&format!("/api/traces/{id}/spans"))
        .send()
        .await
        .unwrap()
        .bytes_stream();
    let mut text = Vec::new();
    while !text.contains(&b'\n') {
        text.extend(chunks.next().await.unwrap().unwrap());
    }
    let first: Value = serde_json::from_slice(text.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(first["name"], "section_0");
    assert_eq!(proxy.open_answers("artifact"), 1, "the rest is still held");
    gate.open();
    while let Some(chunk) = chunks.next().await {
        text.extend(chunk.unwrap());
    }
    assert_eq!(String::from_utf8(text).unwrap().lines().count(), 400);
}

#[tokio::test]
async fn a_reader_who_hangs_up_stops_the_upstream_read() {
    let (_, id, proxy, server) = on_big_trace().await;
    let before = proxy.bytes();
    for path in ["/spans", ""] {
        let mut chunks = server
            .get(&format!("/api/traces/{id}{path}"))
            .send()
            .await
            .unwrap()
            .bytes_stream();
        chunks.next().await.unwrap().unwrap();
        assert!(proxy.open_answers("artifact") > 0, "more is to come");
        drop(chunks);
        proxy
            .until("the upstream read stops", |proxy| {
                proxy.open_answers("artifact") == 0
            })
            .await;
    }
    let read = proxy.bytes() - before;
    assert!(
        read < 60 * MIB,
        "{} MiB were read for two readers who left at once",
        read / MIB
    );
}

#[tokio::test]
async fn a_reader_who_reads_nothing_holds_the_upstream_back() {
    let (_, id, proxy, server) = on_big_trace().await;
    let before = proxy.bytes();
    let answer = server
        .get(&format!("/api/traces/{id}/spans"))
        .send()
        .await
        .unwrap();
    // All buffers between fill up, then nothing moves any more.
    let mut last = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let now = proxy.bytes();
        if now == last {
            break;
        }
        last = now;
    }
    assert!(
        last - before < 60 * MIB,
        "{} MiB were read ahead",
        (last - before) / MIB
    );
    assert_eq!(
        answer.text().await.unwrap().lines().count(),
        400,
        "and all comes once it is read"
    );
}

#[tokio::test]
async fn one_span_and_summaries_of_a_100_mb_trace_are_found_in_bounded_memory() {
    let (_, id, proxy, server) = on_big_trace().await;
    let (before, _) = server.memory();
    let second = server
        .json(&format!("/api/traces/{id}/spans/0000000000000002"))
        .await;
    assert_eq!(second["name"], "section_1");
    proxy
        .until("the read ends early", |proxy| proxy.open_answers("artifact") == 0)
        .await;
    let body = serde_json::json!({"trace_ids": [id], "span_summary_only": true});
    let batch = server.post_json("/api/traces/batch", &body).await;
    assert_eq!(batch["traces"][0]["data"]["spans"].as_array().unwrap().len(), 400);
    let listed = server
        .post_json(
            "/api/traces/batch",
            &serde_json::json!({"trace_ids": [id, id], "include_spans": true}),
        )
        .await;
    assert_eq!(
        listed["traces"][1]["data"]["spans"].as_array().unwrap().len(),
        400
    );
    let (_, most) = server.memory();
    assert!(
        most.saturating_sub(before) < 48 * MIB,
        "memory grew by {} MiB",
        (most - before) / MIB
    );
}
