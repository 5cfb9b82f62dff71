//! Traces of any size, for readers of any speed.

use std::time::Duration;

use futures::{Stream, StreamExt};
use harness::TraceServer;
use http::StatusCode;
use serde_json::json;

use crate::Kind;
use crate::store::OwnStore;

const MIB: usize = 1 << 20;

on_each_store! {
    a_100_mb_trace_is_read_in_32_mb;
    slow_readers_keep_no_connection;
}

async fn a_100_mb_trace_is_read_in_32_mb(kind: Kind) {
    let store = OwnStore::new(kind).await;
    let id = store.big_trace(100);
    let server = store.server().await;
    // What is allocated once, on a first request of any size, is not the stream's.
    server.json(&format!("/api/traces/{}", store.traces[0])).await;
    let (before, _) = server.memory();
    for path in ["", "/spans"] {
        let answer = server
            .get(&format!("/api/traces/{id}{path}"))
            .send()
            .await
            .unwrap();
        let mut pieces = answer.error_for_status().unwrap().bytes_stream();
        let taken = take(&mut pieces, usize::MAX).await;
        assert!(taken > 100 * MIB, "nothing is missing: {taken} bytes");
        let (_, most) = server.memory();
        let growth = most.saturating_sub(before) >> 20;
        assert!(growth < 32, "{path}: memory grew by {growth} MiB");
    }
}

async fn slow_readers_keep_no_connection(kind: Kind) {
    let store = OwnStore::new(kind).await;
    // Each of its own: who reads the same shares a read.
    let ids: Vec<_> = (0..4).map(|_| store.big_trace(32)).collect();
    let connections = [("TRACE_SERVER_MLFLOW_DATABASE_MAX_CONNECTIONS", "2")];
    let server = TraceServer::with(&[&store.settings()[..], &connections].concat()).await;
    let mut readers = Vec::new();
    for id in &ids {
        let answer = server
            .get(&format!("/api/traces/{id}/spans"))
            .send()
            .await
            .unwrap();
        readers.push(answer.error_for_status().unwrap().bytes_stream());
    }
    let mut taken = vec![0; ids.len()];
    for _ in 0..5 {
        for (reader, taken) in readers.iter_mut().zip(&mut taken) {
            *taken += take(reader, 2 * MIB).await;
        }
        // Meanwhile what lies between is filled, and the reading stops.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let asker = server.as_local_user();
        let search = asker
            .post("/api/mlflow/search-traces", &json!({}))
            .header("cache-control", "no-cache");
        let (status, problem) = harness::answer(search).await;
        assert_eq!(status, StatusCode::OK, "{problem}");
    }
    for (reader, taken) in readers.iter_mut().zip(taken) {
        let all = taken + take(reader, usize::MAX).await;
        assert!(all > 32 * MIB, "nothing is missing: {all} bytes");
    }
}

/// Takes so many bytes or a little more; fewer at the end only.
async fn take<E: std::fmt::Debug>(
    reader: &mut (impl Stream<Item = Result<bytes::Bytes, E>> + Unpin),
    bytes: usize,
) -> usize {
    let mut taken = 0;
    while taken < bytes {
        let Some(piece) = reader.next().await else { break };
        taken += piece.unwrap().len();
    }
    taken
}
