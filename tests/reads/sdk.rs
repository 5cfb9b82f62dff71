//! Every field of every sample trace, held against what MLflow's own SDK reads.

use harness::{TraceServer, Upstream, compare_all};

#[tokio::test]
async fn every_field_of_every_trace_is_what_the_sdk_reads() {
    let (upstream, server) = crate::direct().await;
    compare_all(&upstream, &server).await;
}

#[tokio::test]
async fn an_old_server_is_read_as_its_own_sdk_reads_it() {
    let upstream = Upstream::v2();
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    compare_all(&upstream, &server).await;
}
