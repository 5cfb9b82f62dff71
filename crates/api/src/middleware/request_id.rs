//! The id that ties a response, its log line and its problem body together.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header, in requests and responses.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over, in bytes.
const MAX_LENGTH: usize = 128;

/// A request's id.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the request brings when it is well-formed, else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let brought = headers
            .get(X_REQUEST_ID)
            .filter(|value| is_well_formed(value.as_bytes()));
        Self(brought.cloned().unwrap_or_else(fresh))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Nothing that could break a log line or a header.
fn is_well_formed(id: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(is_allowed)
}

fn fresh() -> HeaderValue {
    let id = format!("{:032x}", rand::random::<u128>());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_id_is_taken_over() {
        let of = |id: &[u8]| {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap())]);
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(of(b"req-1.2:3_4"), "req-1.2:3_4");
        for wrong in [&b""[..], b"a b", b"a\xff", b"a{}", &[b'x'; 129]] {
            assert_eq!(of(wrong).len(), 32);
        }
        assert_ne!(of(b""), of(b""));
    }
}
