//! What the server is and can do, learned once per process.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// `mlflow server`, any version.
    OpenSource,
    /// A Databricks workspace.
    Databricks,
}

/// A route that only some servers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Feature {
    /// `/api/3.0/mlflow/traces/*`: search and info, since 3.2 (or 3.0 on Databricks).
    TracesV3 = 1,
    /// `POST /api/3.0/mlflow/traces/batchGetInfos`, since 3.14; not on Databricks.
    BatchGetInfos = 1 << 1,
    /// `GET /api/3.0/mlflow/traces/get`, since 3.10; not on Databricks.
    TracesGet = 1 << 2,
    /// `GET /ajax-api/2.0/mlflow/get-trace-artifact`, since 2.14; not on Databricks.
    TraceArtifact = 1 << 3,
}

/// A server's version as `GET /version` gives it: major and minor.
type MajorMinor = (u32, u32);

/// A route that a gateway closes is asked for again after this long.
const CLOSED_FOR: Duration = Duration::from_mins(1);

/// What the server is and can do.
///
/// Starts from the version where the server tells one. A server that answers as if it had no such route is believed
/// where its version does not say otherwise; one that must have the route is in trouble, and nothing is learned of it.
#[derive(Debug)]
pub struct Capabilities {
    flavor: Flavor,
    version: Option<String>,
    /// Routes that the version promises.
    promised: u8,
    absent: AtomicU8,
    artifact_closed_until: Mutex<Option<Instant>>,
}

impl Capabilities {
    /// What a server of this kind and version is known to have; an unknown version is taken for a new one.
    pub(crate) fn new(flavor: Flavor, version: Option<String>) -> Self {
        let parsed = version.as_deref().and_then(parse_version);
        let all = [
            Feature::TracesV3,
            Feature::BatchGetInfos,
            Feature::TracesGet,
            Feature::TraceArtifact,
        ];
        let bits = |is_in: &dyn Fn(Feature) -> bool| {
            all.into_iter()
                .filter(|feature| is_in(*feature))
                .fold(0, |bits, feature| bits | feature as u8)
        };
        let (promised, absent) = match (flavor, parsed) {
            (Flavor::Databricks, _) => (0, bits(&|feature| feature != Feature::TracesV3)),
            (Flavor::OpenSource, None) => (0, 0),
            (Flavor::OpenSource, Some(version)) => (
                bits(&|feature| version >= since(feature).1),
                bits(&|feature| version < since(feature).0),
            ),
        };
        let artifact_closed_until = Mutex::default();
        Self {
            flavor,
            version,
            promised,
            absent: AtomicU8::new(absent),
            artifact_closed_until,
        }
    }

    /// The kind of server.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// The version the server told, such as `3.17.2`.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether the route is there, as far as is known.
    pub fn has(&self, feature: Feature) -> bool {
        let is_closed = feature == Feature::TraceArtifact
            && self.closed_until().is_some_and(|until| Instant::now() < until);
        !is_closed && self.absent.load(Ordering::Relaxed) & feature as u8 == 0
    }

    /// Notes that the server answered as if it had no such route. Whether to believe it, and do without.
    pub(crate) fn believes_absent(&self, feature: Feature) -> bool {
        let is_promised = self.promised & feature as u8 != 0;
        match feature {
            // A route of MLflow's own page, which gateways close.
            Feature::TraceArtifact if is_promised => {
                *self.closed_until() = Some(Instant::now() + CLOSED_FOR);
                true
            }
            _ if is_promised => false,
            _ => {
                self.absent.fetch_or(feature as u8, Ordering::Relaxed);
                true
            }
        }
    }

    fn closed_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.artifact_closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first release that may have the route, and the first that surely has (read in releases' sources, of which not
/// every one was at hand). Between the two the route is tried, and its absence believed.
fn since(feature: Feature) -> (MajorMinor, MajorMinor) {
    match feature {
        Feature::TracesV3 => ((3, 1), (3, 2)),
        Feature::BatchGetInfos => ((3, 11), (3, 14)),
        Feature::TracesGet => ((3, 7), (3, 10)),
        Feature::TraceArtifact => ((2, 14), (2, 14)),
    }
}

fn parse_version(text: &str) -> Option<MajorMinor> {
    let mut parts = text.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_decides_what_is_tried() {
        let old = Capabilities::new(Flavor::OpenSource, Some("2.22.1".into()));
        assert!(!old.has(Feature::TracesV3) && old.has(Feature::TraceArtifact));
        let new = Capabilities::new(Flavor::OpenSource, Some("3.17.2\n".into()));
        assert!(new.has(Feature::TracesV3) && new.has(Feature::BatchGetInfos) && new.has(Feature::TracesGet));
    }

    #[test]
    fn an_unknown_version_is_taken_for_a_new_one_until_a_route_is_missing() {
        let unknown = Capabilities::new(Flavor::OpenSource, Some("<html>".into()));
        assert!(unknown.has(Feature::BatchGetInfos));
        assert!(unknown.believes_absent(Feature::BatchGetInfos));
        assert!(!unknown.has(Feature::BatchGetInfos) && unknown.has(Feature::TracesGet));
    }

    #[test]
    fn a_promised_route_that_seems_missing_is_trouble_and_not_believed() {
        let new = Capabilities::new(Flavor::OpenSource, Some("3.17.2".into()));
        assert!(!new.believes_absent(Feature::TracesV3) && new.has(Feature::TracesV3));
        assert!(new.believes_absent(Feature::TraceArtifact) && !new.has(Feature::TraceArtifact));
        let between = Capabilities::new(Flavor::OpenSource, Some("3.1.4".into()));
        assert!(between.has(Feature::TracesV3) && between.believes_absent(Feature::TracesV3));
        *new.closed_until() = Some(Instant::now());
        assert!(new.has(Feature::TraceArtifact), "a gateway may open again");
    }

    #[test]
    fn databricks_has_only_the_v3_routes() {
        let databricks = Capabilities::new(Flavor::Databricks, None);
        assert!(databricks.has(Feature::TracesV3));
        assert!(!databricks.has(Feature::BatchGetInfos) && !databricks.has(Feature::TraceArtifact));
    }
}
