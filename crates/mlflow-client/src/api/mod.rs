//! One file per family of calls; each adds methods to [`crate::MlflowClient`].

pub(crate) mod artifacts;
pub(crate) mod assessments;
pub(crate) mod experiments;
pub(crate) mod links;
pub(crate) mod reviews;
pub(crate) mod runs;
pub(crate) mod serving;
pub(crate) mod spans;
pub(crate) mod traces;
pub(crate) mod users;
