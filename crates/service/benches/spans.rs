//! What is done to the text of spans: found while it arrives, encoded to be kept, a request cut to a line. The text is that of
//! the demo's largest trace.

use std::error::Error;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use futures::TryStreamExt;
use mlflow_store::{DatabaseConfig, MlflowStore};
use service::doors::{encode, preview_of_request, scan};
use service::{Coding, SpanPieces, TraceSource};
use tokio::runtime::Builder;

/// What one read of a socket brings, in bytes.
const PIECE: usize = 16 << 10;

const CHAT: &str = r#"{"messages": [{"role": "system", "content": "You help the customers of a shop, in a few friendly words."},
     {"role": "user", "content": "Where is my order OW-4731?"}, {"role": "assistant", "content": "On its way to you."},
     {"role": "user", "content": "Please cancel it, I ordered it twice by mistake!!"}], "temperature": 0.2}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let text = runtime.block_on(largest_of_demo())?;

    let mut group = criterion.benchmark_group("spans");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let pieces: Vec<_> = text.chunks(PIECE).map(Bytes::copy_from_slice).collect();
    group.bench_function("found in pieces of 16 KiB", |bencher| {
        bencher.iter(|| scan(&pieces));
    });
    group.finish();

    let mut group = criterion.benchmark_group("encoded");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(text.len() as u64));
    for coding in Coding::ALL {
        let encoded = || runtime.block_on(encode(coding, text.clone()));
        group.bench_function(coding.as_str(), |bencher| bencher.iter(encoded));
    }
    group.finish();

    criterion.bench_function("preview of a chat", |bencher| {
        bencher.iter(|| preview_of_request(CHAT));
    });
    criterion.final_summary();
    Ok(())
}

/// The spans of the demo's largest trace, as an MLflow server would send them.
async fn largest_of_demo() -> Result<Bytes, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let demo = demo::create(folder.path()).await?;
    let store = MlflowStore::new(&DatabaseConfig {
        uri: format!("sqlite:///{}", demo.database.display()).into(),
        max_connections: 1,
        statement_timeout: std::time::Duration::from_secs(10),
        breaker: breaker::BreakerPolicy::default(),
        artifacts_destination: None,
    })?;
    let SpanPieces::Spans(spans) = TraceSource::open_spans(&store, &demo.named["big"]).await?.pieces else {
        return Err("the demo's spans are in its database".into());
    };
    let spans: Vec<Vec<Bytes>> = spans.try_collect().await?;
    let list = spans.concat().join(&b","[..]);
    Ok([&br#"{"spans":["#[..], &list, b"]}"].concat().into())
}
