//! What handlers take from a request, each with an error that names the field and the rule.

mod asking;
mod bounds;
mod coding;
mod conditions;
mod json;
mod listing;
mod mask;
mod path;
mod query;
mod reached;
mod seen;
mod served;

pub use asking::{Asking, Forwarded};
pub use bounds::{AtLeastOne, Bounded, Flag, Token};
pub(crate) use coding::preferred;
pub use conditions::{Conditions, IfChanged, PastTheCache};
pub use json::Json;
#[cfg(feature = "doors")]
pub(crate) use json::parse;
pub use listing::Listing;
pub use mask::{Mask, UpdateMask};
pub use path::{PathId, PathParam, SchemaName};
pub use query::Query;
pub use reached::Reached;
pub use seen::{IfMatch, Seen};
pub use served::Served;
