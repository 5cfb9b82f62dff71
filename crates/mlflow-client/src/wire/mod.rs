//! The wire formats and their quirks; nothing of them leaves this folder.

pub(crate) mod assessment;
pub(crate) mod assessment_write;
pub(crate) mod otlp;
pub(crate) mod signed;
pub(crate) mod trace;
