//! Traces: found, listed, opened, with as much of their spans as is asked for.

mod batch;
mod document;
mod get;
mod info;
mod list;
mod search;

pub use batch::TraceBatch;
pub use document::SpanInclusion;
#[cfg(test)]
pub(crate) use info::test_info;
pub(crate) use info::{InfoEntry, InfoList};
pub use search::TraceSearch;
pub(crate) use search::{RUN_WORDS, SearchPage};
