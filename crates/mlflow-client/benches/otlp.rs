//! The answer of `traces/get` to MLflow's dictionary format: a trace as an MLflow server gave it, and one of a megabyte made
//! of the same spans.

use std::error::Error;

use criterion::{Criterion, Throughput};
use mlflow_client::doors::otlp_to_dictionary;
use serde_json::Value;

const CAPTURED: &str = include_str!("../tests/fixtures/3.17.2__traces_get.json");

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("OTLP to dictionary");
    for (name, bytes) in [("as captured", 0), ("1 MB", 1 << 20)] {
        let answer = repeated(CAPTURED, bytes)?;
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| otlp_to_dictionary(answer.as_bytes()));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// The answer with its spans again and again, until it has so many bytes.
fn repeated(answer: &str, bytes: usize) -> Result<String, serde_json::Error> {
    let mut value: Value = serde_json::from_str(answer)?;
    let times = bytes.div_ceil(value["trace"]["spans"].to_string().len()).max(1);
    let spans = value["trace"]["spans"].take();
    let once = spans.as_array().map_or(&[][..], Vec::as_slice);
    value["trace"]["spans"] = std::iter::repeat_n(once, times).flatten().cloned().collect();
    Ok(value.to_string())
}
