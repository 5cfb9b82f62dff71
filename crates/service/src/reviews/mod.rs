//! Reviews: review apps and their label schemas, labeling sessions, their items, and the traces linked to them.
//!
//! Where they are kept is behind [`ReviewBackend`]: a Databricks workspace keeps them itself ([`DatabricksReviews`]),
//! elsewhere we do ([`SqlReviews`]). What is the same on both is decided here, one file for each kind of thing; a change
//! is made to the newest version or refused ([`change`]).

mod apps;
mod backend;
mod change;
mod databricks;
mod items;
mod linking;
mod pages;
mod schemas;
mod sessions;
mod sql;

pub use backend::ReviewBackend;
pub use databricks::DatabricksReviews;
pub use linking::LinkedToSession;
pub(crate) use pages::all_items;
pub use sql::SqlReviews;
