//! What the newest traces of an experiment have in common.

use std::pin::pin;
use std::sync::Arc;

use analysis::digest::Totals;
use analysis::patterns::Patterns;
use domain::{BrokenRule, ExperimentId};
use futures::StreamExt;

use crate::Services;
use crate::answer::Answer;
use crate::cache::{Fresh, Freshness};
use crate::error::ServiceError;
use crate::records::Document;

impl Services {
    /// What the newest traces of an experiment, of the configured one unless named, have in common: [`Patterns`].
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] where no experiment is named or configured; [`ServiceError::ExperimentNotFound`]. Traces
    /// whose spans cannot be read are counted; the first one's trouble is told where it is that of all of them, and what is
    /// no trace's own trouble always.
    pub async fn analyse_patterns(
        &self,
        experiment: Option<ExperimentId>,
        traces: u32,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        let experiment = experiment.or_else(|| self.experiment_id.clone()).ok_or_else(|| {
            let rule = "is required, because no experiment is configured (MLFLOW_EXPERIMENT_ID)";
            BrokenRule::new("experiment_id", rule)
        })?;
        // MLflow finds no traces in an experiment that there is not, and says nothing.
        self.get_experiment(&experiment, freshness).await?;
        let key = self.keys.patterns(&experiment, traces);
        let (services, fresh_for) = (self.clone(), self.cache.policy().search_ttl);
        let load = async move {
            let infos = services.newest_traces(&experiment, traces, freshness).await?;
            let (mut totals, mut failed, mut trouble) = (Totals::default(), 0, None);
            let mut digested = pin!(services.digest(&infos, freshness, &[]));
            while let Some(one) = digested.next().await {
                match one?.digest {
                    Ok(digest) => totals.add(&digest),
                    Err(error) => {
                        failed += 1;
                        trouble.get_or_insert(error);
                    }
                }
            }
            if let Some(trouble) = trouble.filter(|_| totals.traces == 0) {
                return Err(trouble);
            }
            Ok(Fresh {
                value: Arc::new(Document::render(&Patterns::of(&totals, failed))?),
                fresh_for,
            })
        };
        Ok(self.cache.get_or_load(key, freshness, load).await?.into())
    }
}
