//! What is kept by us, in SQLite or PostgreSQL: review apps, label schemas, labeling sessions and items, where no workspace
//! keeps them; and jobs.
//!
//! Only our own state: traces, runs and assessments stay in MLflow, and nothing here speaks to it.
//!
//! - **One text of SQL for both databases**, by sqlx's `Any` driver; what differs stands in `dialect`. Statements are
//!   fixed texts with bound parameters.
//! - **No lost update.** A change names the version it was made from (`last_update_time`, which grows with every change)
//!   and is done only if that is still the newest: see [`Changed`].
//! - **Safe to repeat.** Adding items that are there already adds nothing.
//!
//! To add a table: a migration in both folders, a file here with its SQL and its reading of rows, a test in `tests/`,
//! which runs on both databases.

mod clock;
mod connect;
mod dialect;
#[cfg(feature = "doors")]
pub mod doors;
mod error;
mod items;
mod jobs;
mod labeling_sessions;
mod migrations;
mod page;
mod peers;
mod reach;
mod review_apps;
mod row;

pub use connect::StoreConfig;
pub use error::StoreError;
pub use items::{ItemFilter, NewItem};
pub use jobs::{BegunJob, JobEnd};
pub use labeling_sessions::{NewSession, SessionFilter};
pub use page::{Page, PageRequest};
pub use peers::{Heard, Peers};
pub use reach::Assignment;
pub use review_apps::NewReviewApp;

use dialect::Dialect;

/// The store: a pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: sqlx::AnyPool,
    dialect: Dialect,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed<T> {
    /// It is done; this is how things are now.
    Done(T),
    /// It is not done: things changed since the version it was made from, or the name is taken.
    Conflict,
    /// It is not done: there is no such thing.
    Missing,
}
