//! The filters and orders of MLflow's searches: read, checked, and compiled to SQL.
//!
//! A filter goes through three steps, each in its own files: `grammar` finds the comparisons in the text, `traces` and
//! `runs` give each its meaning, and the `compile_` files write the conditions. The first two say no to everything that
//! MLflow 3.17.2 says no to; what is left compiles on any schema that has the tables for it.

mod analytics;
mod comparator;
mod compile_assessments;
mod compile_order;
mod compile_runs;
mod compile_spans;
mod compile_traces;
mod grammar;
mod key;
mod literal;
mod order;
mod refusal;
mod runs;
mod scanner;
mod test;
mod traces;

#[cfg(test)]
mod compile_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod properties_tests;
#[cfg(test)]
mod table_tests;

pub(crate) use compile_assessments::push_any_of_session;
pub(crate) use compile_traces::{Approach, Scope};
#[cfg(feature = "doors")]
pub(crate) use grammar::texts;
pub(crate) use order::{Direction, RunOrder, TraceOrder};
pub use refusal::Refusal;
pub(crate) use runs::RunFilter;
pub(crate) use traces::TraceFilter;
