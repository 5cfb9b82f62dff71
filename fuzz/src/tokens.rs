//! Page tokens and ids.

use std::str::FromStr;

use domain::{AssessmentId, ExperimentId, ItemId, LabelingSessionId, ReviewAppId, RunId, SpanId, TraceId};

/// The farthest page of MLflow's.
const MAX_OFFSET: i64 = 1 << 40;

/// What is written is read; what is read is what was written, or names a place all the same. An id is safe wherever it is put.
pub(crate) fn run(data: &[u8]) {
    let number = data.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
    check_offset(number);
    check_offset(number & (MAX_OFFSET - 1));
    let id: String = data
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| char::from(*byte))
        .collect();
    if !id.is_empty() {
        let token = store::doors::write_page_token(number, &id);
        assert_eq!(
            token.and_then(|token| store::doors::read_page_token(&token).ok()),
            Some((number, id))
        );
    }
    if let Ok(text) = std::str::from_utf8(data) {
        check_text(text);
    }
}

fn check_offset(offset: i64) {
    let read = mlflow_store::doors::read_page_token(&mlflow_store::doors::write_page_token(offset)).ok();
    assert_eq!(
        read,
        Some(offset).filter(|offset| (1..=MAX_OFFSET).contains(offset))
    );
}

fn check_text(text: &str) {
    match mlflow_store::doors::read_page_token(text) {
        Ok(0) => assert_eq!(text, ""),
        Ok(offset) => check_offset(offset),
        Err(refusal) => assert!(refusal.to_string().starts_with("Invalid page token")),
    }
    if let Ok((number, id)) = store::doors::read_page_token(text) {
        let token = store::doors::write_page_token(number, &id).unwrap_or_default();
        assert!(text.is_empty() || text == token, "read, and never written");
    }
    check_id::<AssessmentId>(text);
    check_id::<ExperimentId>(text);
    check_id::<ItemId>(text);
    check_id::<LabelingSessionId>(text);
    check_id::<ReviewAppId>(text);
    check_id::<RunId>(text);
    check_id::<TraceId>(text);
    if let Ok(id) = text.parse::<SpanId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

fn check_id<T: FromStr + ToString>(text: &str) {
    if let Ok(id) = text.parse::<T>() {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(!text.is_empty() && text.len() <= 64 && text.bytes().all(is_safe));
        assert_eq!(id.to_string(), text);
    }
}
