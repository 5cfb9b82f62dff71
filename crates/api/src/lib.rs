//! The HTTP API: routes over the use cases of `service`, and what a server needs around them.
//!
//! A request passes the [`middleware`] stack, [`extract`] reads it or says which field breaks which rule, one handler
//! of [`routes`] calls one use case, [`respond`] (ready bytes) or [`stream`] (bytes that arrive) render its answer,
//! and [`problem`] every error. [`wiring`] puts a server together from its [`config`].

pub mod admission;
pub mod check;
pub mod config;
mod connections;
pub mod demo;
#[cfg(feature = "doors")]
pub mod doors;
pub mod export;
pub mod extract;
pub mod frontend;
pub mod metrics;
pub mod middleware;
pub mod openapi;
mod opening;
pub mod probe;
pub mod problem;
pub mod respond;
pub mod router;
pub mod routes;
pub mod schema;
pub mod serve;
pub mod state;
pub mod stream;
pub mod telemetry;
pub mod upstream;
pub mod views;
pub mod wiring;
