//! Experiments.

use domain::{Experiment, ExperimentId};
use serde::Deserialize;

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

#[derive(Deserialize)]
struct Answer {
    experiment: Experiment,
}

impl MlflowClient {
    /// One experiment.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know it.
    pub async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, ClientError> {
        let call = Call::get("experiments.get", "/api/2.0/mlflow/experiments/get")
            .query("experiment_id", id.as_str());
        Ok(self.transport().json::<Answer>(&call).await?.experiment)
    }
}
