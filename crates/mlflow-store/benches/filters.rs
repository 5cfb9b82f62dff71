//! Filters of traces, from the text to what they mean.

use std::error::Error;

use criterion::Criterion;
use mlflow_store::doors::read_search;

const LONG: &str = "status = 'ERROR' AND timestamp_ms >= 1795450006076 AND tags.`team.name` = 'support' AND \
     metadata.\"mlflow.trace.user\" ILIKE '%ann%' AND span.type = 'TOOL' AND span.attributes.model LIKE '%mini%' AND \
     feedback.correct = 'no' AND execution_time_ms > 1500";

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("filter");
    let newest = ["timestamp_ms DESC".to_owned()];
    for (name, filter) in [
        ("none", ""),
        ("one comparison", "status = 'OK'"),
        ("eight comparisons", LONG),
    ] {
        // One that is refused would be read fast.
        read_search(filter, &newest)?;
        group.bench_function(name, |bencher| bencher.iter(|| read_search(filter, &newest)));
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
