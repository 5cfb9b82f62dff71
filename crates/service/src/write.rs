//! Writes: done to the end once begun, and seen by the next read.

use std::sync::Arc;

use opentelemetry::trace::FutureExt as _;

use crate::Services;
use crate::cache::{Thing, Touches};
use crate::error::ServiceError;
use crate::waiting::waiting;

/// Marks things as written when it is dropped: after the write, however it ended. One that seems to have failed may
/// have been done all the same.
struct TouchWhenDone {
    touches: Arc<Touches>,
    things: Vec<Thing>,
}

impl Drop for TouchWhenDone {
    fn drop(&mut self) {
        self.touches.touch(&self.things);
    }
}

impl Services {
    /// Waits until jobs are interrupted and all writes under way are done: the last thing before the process ends.
    pub async fn settle(&self) {
        self.jobs.end().await;
        self.writes.close();
        self.writes.wait().await;
    }

    /// Writes these things. The work goes on when the one who asked for it leaves, so that it is never done by half.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        things: Vec<Thing>,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.write_unless(|_| false, things, work).await
    }

    /// The same for work that is one call to MLflow: one that surely did nothing leaves everything as fresh as it was,
    /// so that old answers can stand in for an MLflow that is away.
    pub(crate) async fn write_by_one_call<T: Send + 'static>(
        &self,
        things: Vec<Thing>,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.write_unless(ServiceError::surely_did_nothing, things, work)
            .await
    }

    async fn write_unless<T: Send + 'static>(
        &self,
        did_nothing: fn(&ServiceError) -> bool,
        things: Vec<Thing>,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let touches = self.cache.touches();
        let (services, told) = (self.clone(), things.clone());
        let mut done = TouchWhenDone { touches, things };
        let write = async move {
            let result = work.await;
            if result.as_ref().is_err_and(did_nothing) {
                done.things.clear();
                return result;
            }
            drop(done);
            services.tell_peers(told).await;
            result
        };
        let task = self.writes.spawn(write.with_current_context());
        waiting(task).await.unwrap_or(Err(ServiceError::Interrupted))
    }
}
