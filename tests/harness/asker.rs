//! Asks a trace-server as one user.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::TraceServer;

/// Asks a trace-server as one user: as the one whom a trusted proxy names, or as the local one.
///
/// For each method: the request itself, what it answers when all goes well, and what it answers however it goes.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    server: &'a TraceServer,
    user: Option<&'a str>,
}

impl TraceServer {
    /// Asks as this user; counts where the server trusts a proxy.
    pub fn as_user<'a>(&'a self, user: &'a str) -> Asker<'a> {
        Asker {
            server: self,
            user: Some(user),
        }
    }

    /// Asks and names no user.
    pub fn as_local_user(&self) -> Asker<'_> {
        Asker {
            server: self,
            user: None,
        }
    }
}

impl Asker<'_> {
    /// A request of this path by this method.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.server.request(method, path);
        match self.user {
            Some(user) => request.header("x-forwarded-email", user),
            None => request,
        }
    }

    /// A GET of this path.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST of this body to this path.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// A PATCH of this path with this body.
    pub fn patch(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::PATCH, path).json(body)
    }

    /// A DELETE of this path.
    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// The JSON at this path, which must be there.
    pub async fn get_json(&self, path: &str) -> Value {
        well(self.get(path)).await
    }

    /// The JSON that this path answers to this body, which must go well.
    pub async fn post_json(&self, path: &str, body: &Value) -> Value {
        well(self.post(path, body)).await
    }

    /// The JSON that this path answers to this change, which must go well.
    pub async fn patch_json(&self, path: &str, body: &Value) -> Value {
        well(self.patch(path, body)).await
    }

    /// The JSON that this path answers when it is deleted, which must go well; null for an empty answer.
    pub async fn delete_json(&self, path: &str) -> Value {
        well(self.delete(path)).await
    }

    /// What a GET of this path answers, however it goes.
    pub async fn try_get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.get(path)).await
    }

    /// What a POST of this body to this path answers, however it goes.
    pub async fn try_post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.post(path, body)).await
    }

    /// What a PATCH of this path with this body answers, however it goes.
    pub async fn try_patch(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.patch(path, body)).await
    }

    /// What a DELETE of this path answers, however it goes.
    pub async fn try_delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.delete(path)).await
    }
}

async fn well(request: RequestBuilder) -> Value {
    let (status, body) = answer(request).await;
    assert!(status.is_success(), "{status}: {body}");
    body
}

/// The status and the JSON that a request is answered with; null stands for an empty answer.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("it answers");
    let status = response.status();
    let body = response.bytes().await.expect("the answer is whole");
    if body.is_empty() {
        return (status, Value::Null);
    }
    let json = serde_json::from_slice(&body);
    let json = json.unwrap_or_else(|_| panic!("{status}, no JSON: {}", String::from_utf8_lossy(&body)));
    (status, json)
}
