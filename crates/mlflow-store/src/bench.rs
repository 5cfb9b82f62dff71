//! Doors to what is measured by itself (feature `bench`); no part of the API.

use crate::filter::{Refusal, TraceFilter, TraceOrder};

/// Reads a filter of traces and an order of them.
///
/// # Errors
/// When MLflow would refuse either.
pub fn read_search(filter: &str, order_by: &[String]) -> Result<(), Refusal> {
    TraceFilter::parse(filter)?;
    TraceOrder::parse(order_by)?;
    Ok(())
}
