//! Where people read a trace that a report names.

use domain::TraceId;

/// Whose pages show traces.
#[derive(Debug, Clone)]
pub enum TracePages {
    /// Those of an MLflow server at this address, without a slash at its end.
    Mlflow(String),
    /// Those of a Databricks workspace at this address, without a slash at its end.
    Databricks(String),
    /// Nobody's: our own API tells a trace.
    Api,
}

impl TracePages {
    /// The address of a trace. What MLflow's own page selects it by is `selectedEvaluationId` (3.17.2), and the page of a
    /// workspace is the same under another path.
    pub(super) fn of(&self, experiment: &str, trace: &TraceId) -> String {
        let page = format!("experiments/{experiment}/traces?selectedEvaluationId={trace}");
        match self {
            Self::Mlflow(base) => format!("{base}/#/{page}"),
            Self::Databricks(base) => format!("{base}/ml/{page}"),
            Self::Api => format!("/api/traces/{trace}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_shown_where_it_is_kept() {
        let trace = "tr-1".parse().unwrap();
        for (pages, address) in [
            (
                TracePages::Mlflow("http://host:5000".into()),
                "http://host:5000/#/experiments/7/traces?selectedEvaluationId=tr-1",
            ),
            (
                TracePages::Databricks("https://host".into()),
                "https://host/ml/experiments/7/traces?selectedEvaluationId=tr-1",
            ),
            (TracePages::Api, "/api/traces/tr-1"),
        ] {
            assert_eq!(pages.of("7", &trace), address);
        }
    }
}
