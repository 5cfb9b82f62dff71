//! Files of runs: signed addresses, and the cloud store that they lead to, as each cloud wants them used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::Inner;
use crate::faults::Call;

const SIGNATURE: &str = "sig=planted-signature";

/// The files, and which cloud keeps them.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    files: HashMap<String, Vec<u8>>,
    /// What was appended and not flushed yet.
    begun: HashMap<String, Vec<u8>>,
    kind: Option<&'static str>,
    /// Addresses that are refused as expired before one is good.
    expired: usize,
}

impl Cloud {
    pub(super) fn sign_as(&mut self, kind: &'static str, expired: usize) {
        (self.kind, self.expired) = (Some(kind), expired);
    }

    pub(super) fn file(&self, run: &str, path: &str) -> Option<Vec<u8>> {
        self.files.get(&format!("{run}/{path}")).cloned()
    }
}

pub(super) fn routes() -> Router<Arc<Inner>> {
    let credentials = "/api/2.0/mlflow/artifacts/credentials-for";
    Router::new()
        .route(&format!("{credentials}-read"), post(sign))
        .route(&format!("{credentials}-write"), post(sign))
        .route("/cloud/artifacts/{*file}", any(store))
}

async fn sign(State(inner): State<Arc<Inner>>, Json(body): Json<Value>) -> Json<Value> {
    let own = inner.own_url.get().cloned().unwrap_or_default();
    let kind = lock(&inner.cloud).kind.unwrap_or("AWS_PRESIGNED_URL");
    let run = body["run_id"].as_str().unwrap_or_default();
    let paths = body["path"].as_array().cloned().unwrap_or_default();
    let signed = paths.iter().filter_map(Value::as_str).map(|path| {
        json!({
            "run_id": run, "path": path, "type": kind, "headers": [{"name": "x-amz-meta", "value": "as-asked"}],
            "signed_uri": format!("{own}/cloud/artifacts/{run}/{path}?{SIGNATURE}"),
        })
    });
    Json(json!({"credential_infos": signed.collect::<Vec<_>>()}))
}

/// Wants the signature and the headers that came with it, and nothing of the workspace's; and to be used as its cloud is.
async fn store(State(inner): State<Arc<Inner>>, Path(file): Path<String>, request: Request) -> Response {
    let call = Call::read(request).await;
    let query = call.path.split_once('?').map_or("", |(_, query)| query);
    let is_as_asked = call
        .headers
        .get("x-amz-meta")
        .is_some_and(|value| value == "as-asked");
    if !query.starts_with(SIGNATURE) || !is_as_asked || call.headers.contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut cloud = lock(&inner.cloud);
    if cloud.expired > 0 {
        cloud.expired -= 1;
        return (StatusCode::FORBIDDEN, "Request has expired: planted-signature").into_response();
    }
    if call.method == Method::GET {
        let found = cloud.files.get(&file).cloned();
        return found.map_or(StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response);
    }
    if !call.headers.contains_key(header::CONTENT_LENGTH) {
        return StatusCode::LENGTH_REQUIRED.into_response();
    }
    let is_block = call
        .headers
        .get("x-ms-blob-type")
        .is_some_and(|value| value == "BlockBlob");
    let status = match (cloud.kind, &call.method, &query[SIGNATURE.len()..]) {
        (Some("AZURE_SAS_URI"), &Method::PUT, "") if is_block => cloud.put(file, &call.body),
        (Some("AZURE_ADLS_GEN2_SAS_URI"), method, rest) => cloud.lake(method, rest, file, &call.body),
        (None | Some("AWS_PRESIGNED_URL" | "GCP_SIGNED_URL"), &Method::PUT, "") => {
            cloud.put(file, &call.body)
        }
        _ => StatusCode::BAD_REQUEST,
    };
    status.into_response()
}

impl Cloud {
    fn put(&mut self, file: String, content: &Bytes) -> StatusCode {
        self.files.insert(file, content.to_vec());
        StatusCode::CREATED
    }

    /// Azure Data Lake: a file is made, which empties the one before, appended to, and there once it is flushed at its length.
    fn lake(&mut self, method: &Method, rest: &str, file: String, content: &Bytes) -> StatusCode {
        let flushed = rest
            .strip_prefix("&action=flush&position=")
            .and_then(|end| end.parse::<usize>().ok());
        match (method.as_str(), rest) {
            ("PUT", "&resource=file") => {
                self.begun.insert(file.clone(), Vec::new());
                self.put(file, &Bytes::new())
            }
            ("PATCH", "&action=append&position=0") if self.begun.contains_key(&file) => {
                self.begun.insert(file, content.to_vec());
                StatusCode::ACCEPTED
            }
            ("PATCH", _) if self.begun.get(&file).map(Vec::len) == flushed => {
                let content = self.begun.remove(&file).unwrap_or_default();
                self.files.insert(file, content);
                StatusCode::OK
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

pub(super) fn lock(cloud: &Mutex<Cloud>) -> std::sync::MutexGuard<'_, Cloud> {
    cloud.lock().expect("nobody panicked")
}
