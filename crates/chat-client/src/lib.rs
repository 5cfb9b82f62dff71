//! A client of one OpenAI-compatible chat model, and the format in which every such model is asked.
//!
//! [`ChatClient`] sends `POST {base}/chat/completions`; it bounds time, tries and bytes, and follows no redirect. [`Wire`] is
//! the format alone: whoever reaches a model in another way (a serving endpoint of a workspace) asks by it as well. A question
//! names no tools: a model can answer with text and nothing else.
//!
//! No error and no `Debug` holds the address, the key, a question or an answer.

mod answer;
mod client;
mod error;
mod request;
mod retry;
mod wire;

pub use answer::{ChatAnswer, Usage};
pub use client::{ChatClient, ChatConfig};
pub use error::ChatError;
pub use request::ChatRequest;
pub use wire::Wire;
