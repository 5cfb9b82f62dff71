//! Every field of every sample trace, held against what MLflow's own SDK reads through MLflow's own server.

use harness::{Upstream, compare_all};

use crate::Kind;

on_each_store! {
    every_field_of_every_trace_is_what_the_sdk_reads;
}

async fn every_field_of_every_trace_is_what_the_sdk_reads(kind: Kind) {
    let upstream = kind.upstream();
    let server = crate::embedded(&upstream, &[]).await;
    compare_all(&upstream, &server).await;
}

#[tokio::test]
async fn the_store_of_an_old_server_is_read_as_its_own_sdk_reads_it() {
    // Its spans are files among the artifacts, and its tables are those of its time.
    let upstream = Upstream::v2();
    let server = crate::embedded(&upstream, &[]).await;
    compare_all(&upstream, &server).await;
}
