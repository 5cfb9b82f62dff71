//! What many traces, or the labels of many people, say together: no I/O, no async, no HTTP.
//!
//! | module | what it tells |
//! |---|---|
//! | [`session`] | how far a labeling session is, what was answered, how much reviewers agree |
//! | [`digest`] | a trace gone through span by span, and many together |
//! | [`experiment`] | what goes wrong in a sample of traces, and what experts should be asked |
//! | [`patterns`] | what traces have in common: kind of agent, tools, figures of spans |
//! | [`agreement`] | how much those agree who rate the same |
//! | [`insights`] | what a model sees, as it is shown |
//! | [`facts`] | what is looked at of a trace without its spans |
//! | [`stats`] | quantiles, of few values exactly, of many in bounded memory |
//! | [`report`] | Markdown in which other people's text changes nothing but itself |
//!
//! Traces are gone through one by one and each span is forgotten once it is counted, so that memory hangs on how many kinds
//! of things there are, never on how many or how large traces are.

pub mod agreement;
pub mod digest;
pub mod experiment;
pub mod facts;
pub mod insights;
pub mod patterns;
pub mod report;
pub mod session;
pub mod stats;
