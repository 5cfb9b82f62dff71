//! The wire formats and their quirks; nothing of them leaves this folder.

mod assessment;
pub(crate) mod otlp;
pub(crate) mod trace;
