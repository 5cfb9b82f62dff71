//! What a server counts.

use std::time::Duration;

use crate::TraceServer;

/// All series, as `/metrics` told them once.
#[derive(Debug)]
pub struct Metrics {
    /// As they were told.
    pub text: String,
    series: Vec<(String, f64)>,
}

impl TraceServer {
    /// What it counts now.
    pub async fn metrics(&self) -> Metrics {
        let told = self.get("/metrics").send().await.expect("it answers");
        let text = told.text().await.expect("the answer is whole");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a series has a value");
            (name.to_owned(), value.parse().expect("it is a number"))
        });
        Metrics {
            series: series.collect(),
            text,
        }
    }

    /// Waits until it has counted so many: some is counted once an answer is over, which its reader knows before.
    ///
    /// # Panics
    /// When it does not come about in 10 s.
    pub async fn until_counted(&self, wanted: &str, count: u64) {
        for _ in 0..200 {
            let metrics = self.metrics().await;
            if metrics.has(wanted) && metrics.count(wanted) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never {count} of {wanted}: {}", self.metrics().await.text);
    }
}

impl Metrics {
    /// The sum of all series of this name that have these labels: `trace_server_jobs{stage="running"}`.
    ///
    /// # Panics
    /// When there is none.
    pub fn value(&self, wanted: &str) -> f64 {
        assert!(self.has(wanted), "no {wanted} in {}", self.text);
        self.found(wanted).sum()
    }

    fn has(&self, wanted: &str) -> bool {
        self.found(wanted).next().is_some()
    }

    fn found(&self, wanted: &str) -> impl Iterator<Item = f64> {
        let (name, labels) = parts(wanted);
        let is_wanted = move |series: &str| {
            let (of, has) = parts(series);
            of == name && labels.split(',').all(|label| has.contains(label))
        };
        let series = self.series.iter();
        series.filter_map(move |(series, value)| is_wanted(series).then_some(*value))
    }

    /// The same of what is counted one by one.
    ///
    /// # Panics
    /// When there is none, or it is no whole number.
    pub fn count(&self, wanted: &str) -> u64 {
        let value = self.value(wanted);
        let text = value.to_string();
        text.parse().unwrap_or_else(|_| panic!("{wanted} is {value}"))
    }
}

/// The name of a series, and its labels.
fn parts(series: &str) -> (&str, &str) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    (name, labels.strip_suffix('}').unwrap_or(labels))
}
