//! Bodies: ready pieces, and bytes that are sent while they arrive.
//!
//! Everything here is pulled by the socket: a reader that reads slowly slows the upstream down, one that hangs up
//! stops it.

mod coalesce;
mod ending;
mod segmented;
mod spans;

pub use coalesce::coalesced;
pub use ending::Ending;
pub use segmented::SegmentedBody;
pub use spans::{EndedEarly, KEEP_ALIVE, StreamForm, stream_spans};
