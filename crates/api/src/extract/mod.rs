//! What handlers take from a request, each with an error that names the field and the rule.

mod asking;
mod bounds;
mod conditions;
mod json;
mod path;
mod query;

pub use asking::Asking;
pub use bounds::{AtLeastOne, Bounded, Flag};
pub use conditions::Conditions;
pub use json::Json;
pub use path::PathId;
pub use query::Query;
