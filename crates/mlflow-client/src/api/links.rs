//! Links from traces to runs. A trace may be linked to several; a search for a run's traces finds it by each.

use domain::{RunId, TraceId};
use reqwest::Method;
use serde::Serialize;

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

/// The most traces MLflow links in one call (3.17.2: 101 are 400 "Cannot link more than 100 traces to a run in a single
/// request").
const MAX_TRACES: usize = 100;

#[derive(Serialize)]
struct Body<'a> {
    run_id: &'a RunId,
    trace_ids: &'a [TraceId],
}

impl MlflowClient {
    /// Links traces to a run, 100 with each call, one call after the other. Idempotent: a trace linked before stays
    /// linked once. When one call fails, the traces of those before it are linked.
    ///
    /// MLflow answers 200 to traces and runs that it does not know (3.17.2) and to a run that was deleted: who must be
    /// sure of them asks first.
    ///
    /// # Errors
    /// [`ClientError::RouteAbsent`] on a server too old for it, such as 2.22.
    pub async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), ClientError> {
        for trace_ids in traces.chunks(MAX_TRACES) {
            let body = Body {
                run_id: run,
                trace_ids,
            };
            // The same path below `/api/3.0` is 405, on Databricks as well this is the one.
            let path = "/api/2.0/mlflow/traces/link-to-run";
            let call = Call::write("traces.link_to_run", Method::POST, path, &body)?;
            self.transport().done(&call.idempotent()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Server;
    use serde_json::json;

    #[tokio::test]
    async fn traces_are_linked_a_hundred_at_a_time() {
        let server = Server::answering([(200, "{}"), (200, ""), (200, "{}")]).await;
        let ids: Vec<TraceId> = (0..250).map(|n| format!("tr-{n}").parse().unwrap()).collect();
        server
            .client()
            .link_traces(&"r1".parse().unwrap(), &ids)
            .await
            .unwrap();
        let pages: Vec<Vec<TraceId>> = server
            .calls()
            .into_iter()
            .map(|call| {
                assert_eq!(call.line, "POST /api/2.0/mlflow/traces/link-to-run");
                assert_eq!(call.body["run_id"], "r1");
                serde_json::from_value(call.body["trace_ids"].clone()).unwrap()
            })
            .collect();
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(pages.concat(), ids);
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let refusal = r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}"#;
        let server = Server::answering([(200, "{}"), (400, refusal)]).await;
        let ids: Vec<TraceId> = (0..300).map(|n| format!("tr-{n}").parse().unwrap()).collect();
        let linked = server.client().link_traces(&"r1".parse().unwrap(), &ids).await;
        assert!(matches!(linked, Err(ClientError::Rejected { status: 400, .. })));
        assert_eq!(server.calls().len(), 2);
    }

    #[tokio::test]
    async fn no_traces_are_no_call_and_a_login_page_is_no_answer() {
        let server = Server::answering([(200, "<html>Sign in</html>")]).await;
        let client = server.client();
        client.link_traces(&"r1".parse().unwrap(), &[]).await.unwrap();
        assert_eq!(server.calls().len(), 0);
        let linked = client
            .link_traces(&"r1".parse().unwrap(), &["tr-1".parse().unwrap()])
            .await;
        assert!(matches!(linked, Err(ClientError::Malformed { .. })));
        assert_eq!(
            server.calls()[0].body,
            json!({"run_id": "r1", "trace_ids": ["tr-1"]})
        );
    }
}
