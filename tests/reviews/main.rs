//! Reviews, end to end: the built binary on a real MLflow, reviews kept in SQLite, in PostgreSQL and in a workspace.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]
#![expect(clippy::too_many_lines, reason = "a story or a table is best read as one")]

/// Runs a test once for each way of keeping reviews.
macro_rules! on_each {
    ($($name:ident on $($kept:ident),+;)+) => {
        $(mod $name {
            $(#[expect(non_snake_case, reason = "the keeper's own name")]
            #[tokio::test]
            async fn $kept() {
                super::$name(crate::place::Kept::$kept).await;
            })+
        })+
    };
}

mod access;
mod analyses;
mod conflicts;
mod documented;
mod exchange;
mod jobs;
mod labels;
mod linking;
mod manifest;
mod models;
mod place;
mod restarts;
mod schemas;
mod story;
mod workspace;
mod written;
