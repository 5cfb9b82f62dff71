//! Model serving endpoints of a workspace (Databricks only).

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

/// The largest answer that is read, in bytes: a model writes a few pages.
const MAX_ANSWER: usize = 1 << 20;

impl MlflowClient {
    /// Asks a serving endpoint what `body` says, in the format of the model behind it, and gives its answer as it came (1 MiB at
    /// most). A model takes its time: `deadline` bounds the whole call, its retries included, in place of the limits on other
    /// calls. Sent again only when it surely was not done, or after a 429 or 503.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] also for a name that no endpoint can have.
    pub async fn invoke_serving_endpoint(
        &self,
        name: &str,
        body: &Value,
        deadline: Duration,
    ) -> Result<Bytes, ClientError> {
        let operation = "serving.invoke";
        if !is_name(name) {
            let message = "no serving endpoint has such a name".to_owned();
            return Err(ClientError::NotFound { operation, message });
        }
        let path = format!("/serving-endpoints/{name}/invocations");
        let call = Call::write(operation, Method::POST, path, body)?;
        self.transport().long(call, MAX_ANSWER, deadline).await
    }
}

/// Letters, digits, `-`, `_` and `.`; dots alone would be another path.
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().all(is_allowed) && name.chars().any(|c| c != '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HANGS_UP, Server};
    use serde_json::json;

    const LONG: Duration = Duration::from_secs(30);

    async fn invoke(server: &Server, name: &str) -> Result<Bytes, ClientError> {
        let body = json!({"messages": []});
        server.client().invoke_serving_endpoint(name, &body, LONG).await
    }

    #[tokio::test]
    async fn an_endpoint_is_asked_by_its_name_and_its_answer_is_left_as_it_is() {
        let server = Server::answering([(200, r#"{"choices": [ ]}"#)]).await;
        assert_eq!(
            invoke(&server, "databricks-m.1").await.unwrap(),
            r#"{"choices": [ ]}"#
        );
        let calls = server.calls();
        assert_eq!(
            calls[0].line,
            "POST /serving-endpoints/databricks-m.1/invocations"
        );
        assert_eq!(calls[0].text, r#"{"messages":[]}"#);
    }

    #[tokio::test]
    async fn a_name_leads_to_no_other_path() {
        let server = Server::answering([(200, "{}")]).await;
        for name in ["", ".", "..", "a/b", "a?b", "a%2fb", "ä"] {
            let refused = invoke(&server, name).await;
            assert!(matches!(refused, Err(ClientError::NotFound { .. })), "{name:?}");
        }
        assert!(server.calls().is_empty());
    }

    #[tokio::test]
    async fn a_model_is_asked_again_only_when_it_was_one_call_too_many() {
        let server = Server::answering([(429, "{}"), (503, "{}"), (200, "{}")]).await;
        invoke(&server, "m").await.unwrap();
        assert_eq!(server.calls().len(), 3);
        for answer in [(500, "{}"), (502, "{}"), (504, "{}"), HANGS_UP, (400, "{}")] {
            let server = Server::answering([answer, (200, "{}")]).await;
            assert!(invoke(&server, "m").await.is_err(), "{answer:?}");
            assert_eq!(server.calls().len(), 1, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_model_may_be_silent_for_longer_than_mlflow_and_its_lateness_does_not_close_the_way() {
        let slow = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", slow.local_addr().unwrap());
        let client = crate::testing::impatient_client(&url);
        let (body, deadline) = (json!({}), Duration::from_millis(200));
        for _ in 0..6 {
            let began = tokio::time::Instant::now();
            let late = client.invoke_serving_endpoint("m", &body, deadline).await;
            assert!(matches!(late, Err(ClientError::Timeout { .. })), "{late:?}");
            assert!(began.elapsed() >= deadline, "not at the 20 ms of other calls");
        }
        assert!(
            client
                .get_run(&"r1".parse().unwrap())
                .await
                .is_err_and(|error| { !matches!(error, ClientError::LeftAlone { .. }) })
        );
    }
}
