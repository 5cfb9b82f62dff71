//! What the server is and can do, learned once per process.

use std::sync::atomic::{AtomicU8, Ordering};

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

/// What the server is and can do.
///
/// Starts from the version where the server tells one, and forgets a route for good when the server answers that
/// it has none.
#[derive(Debug)]
pub struct Capabilities {
    flavor: Flavor,
    version: Option<String>,
    absent: AtomicU8,
}

impl Capabilities {
    /// What a server of this kind and version is known to have; an unknown version is taken for a new one.
    pub(crate) fn new(flavor: Flavor, version: Option<String>) -> Self {
        let parsed = version.as_deref().and_then(parse_version);
        let lacks = |feature| match (flavor, feature) {
            (Flavor::Databricks, Feature::TracesV3) => false,
            (Flavor::Databricks, _) => true,
            (Flavor::OpenSource, feature) => parsed.is_some_and(|version| version < since(feature)),
        };
        let absent = [
            Feature::TracesV3,
            Feature::BatchGetInfos,
            Feature::TracesGet,
            Feature::TraceArtifact,
        ]
        .into_iter()
        .filter(|feature| lacks(*feature))
        .fold(0, |bits, feature| bits | feature as u8);
        Self {
            flavor,
            version,
            absent: AtomicU8::new(absent),
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
        self.absent.load(Ordering::Relaxed) & feature as u8 == 0
    }

    pub(crate) fn mark_absent(&self, feature: Feature) {
        self.absent.fetch_or(feature as u8, Ordering::Relaxed);
    }
}

/// The first release that surely has the route (read in the releases' sources; the true first may lie before).
fn since(feature: Feature) -> MajorMinor {
    match feature {
        Feature::TracesV3 => (3, 1),
        Feature::BatchGetInfos => (3, 11),
        Feature::TracesGet => (3, 7),
        Feature::TraceArtifact => (2, 14),
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
        unknown.mark_absent(Feature::BatchGetInfos);
        assert!(!unknown.has(Feature::BatchGetInfos) && unknown.has(Feature::TracesGet));
    }

    #[test]
    fn databricks_has_only_the_v3_routes() {
        let databricks = Capabilities::new(Flavor::Databricks, None);
        assert!(databricks.has(Feature::TracesV3));
        assert!(!databricks.has(Feature::BatchGetInfos) && !databricks.has(Feature::TraceArtifact));
    }
}
