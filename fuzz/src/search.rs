//! Searches on a real database: SQLite, with the demo's traces. The first line is the filter, each further one a key of the
//! order.

use std::sync::LazyLock;
use std::time::Duration;

use domain::{ExperimentId, SearchRuns, SearchTraces};
use mlflow_store::{DatabaseConfig, DatabaseError, MlflowStore};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::filters::parts;

/// More than the demo has.
const ALL: u32 = 500;

/// So many pages are read one by one.
const PAGES: usize = 4;

struct Stage {
    runtime: Runtime,
    store: MlflowStore,
    experiment: ExperimentId,
    _folder: TempDir,
}

/// What parses runs. Whether traces are walked or gathered, and page by page or all at once, the same are found in the same
/// order.
pub(crate) fn run(data: &[u8]) {
    let (Ok(text), Some(stage)) = (std::str::from_utf8(data), STAGE.as_ref()) else {
        return;
    };
    let (filter, order_by) = parts(text);
    stage.runtime.block_on(async {
        let all = stage.traces(filter, &order_by, ALL, None).await;
        let (mut paged, mut token) = (Vec::new(), None);
        if let Some((all, _)) = all {
            for _ in 0..PAGES {
                let page = stage.traces(filter, &order_by, 3, token).await;
                let (traces, next) = page.unwrap_or_default();
                assert!(
                    traces.len() == 3 || next.is_none(),
                    "a page that is not full, and no last one"
                );
                paged.extend(traces);
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(all.get(..paged.len()), Some(paged.as_slice()));
            assert!(token.is_some() || paged.len() == all.len(), "all, and no more");
        }
        stage.check_runs(filter, order_by).await;
    });
}

impl Stage {
    async fn set() -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let demo = demo::create(folder.path()).await.ok()?;
        let store = MlflowStore::new(&DatabaseConfig {
            uri: format!("sqlite:///{}", demo.database.display()).into(),
            max_connections: 2,
            statement_timeout: Duration::from_mins(1),
            breaker: breaker::BreakerPolicy::default(),
            artifacts_destination: None,
        });
        Some(Self {
            runtime: Builder::new_current_thread().enable_all().build().ok()?,
            store: store.ok()?,
            experiment: demo.experiment_id,
            _folder: folder,
        })
    }

    /// The ids and the next page's token; nothing of what MLflow would refuse.
    async fn traces(
        &self,
        filter: &str,
        order_by: &[String],
        max_results: u32,
        page_token: Option<String>,
    ) -> Option<(Vec<String>, Option<String>)> {
        let search = SearchTraces {
            experiment_ids: vec![self.experiment.clone()],
            filter: Some(filter.to_owned()),
            max_results,
            order_by: order_by.to_vec(),
            page_token,
        };
        let page = answered(self.store.search_traces(&search).await)?;
        let ids = page.traces.iter().map(|trace| trace.trace_id.to_string());
        Some((ids.collect(), page.next_page_token))
    }

    async fn check_runs(&self, filter: &str, order_by: Vec<String>) {
        let search = SearchRuns {
            experiment_ids: vec![self.experiment.clone()],
            filter: Some(filter.to_owned()),
            run_view_type: None,
            max_results: ALL,
            order_by,
            page_token: None,
        };
        answered(self.store.search_runs(&search).await);
    }
}

fn answered<T>(answer: Result<T, DatabaseError>) -> Option<T> {
    assert!(
        matches!(answer, Ok(_) | Err(DatabaseError::Refused(_))),
        "{:?}",
        answer.err()
    );
    answer.ok()
}

static STAGE: LazyLock<Option<Stage>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let stage = runtime.block_on(Stage::set());
    assert!(stage.is_some(), "no demo");
    stage
});
