//! An answer as bytes, with what the one who asked should know of its origin.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::cache::Served;
use crate::error::ServiceError;

/// How an answer was come by. Ordered from best to worst: an answer of several parts says the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheStatus {
    /// From the cache, fresh.
    Hit,
    /// From a call that another request had begun.
    Coalesced,
    /// From the upstream.
    Miss,
    /// From the cache, past its time, because the upstream is in trouble.
    Stale,
}

impl CacheStatus {
    /// The word for the `x-cache` header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Coalesced => "coalesced",
            Self::Miss => "miss",
            Self::Stale => "stale",
        }
    }
}

/// A hash of content: equal content has an equal fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u128);

impl Fingerprint {
    pub(crate) fn of(content: &[u8]) -> Self {
        Self(xxh3_128(content))
    }

    /// The fingerprint of a document made of parts in this order. `form` tells documents of the same parts apart.
    pub(crate) fn of_parts(form: &str, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut hash = Xxh3::new();
        hash.update(form.as_bytes());
        for part in parts {
            hash.update(&part.0.to_le_bytes());
        }
        Self(hash.digest128())
    }

    /// The value of an `ETag` header. Weak, because one fingerprint stands for all content encodings.
    pub fn to_etag(self) -> String {
        format!("W/\"{:032x}\"", self.0)
    }
}

/// The bytes of an answer.
pub enum AnswerBody {
    /// All there, in pieces that are sent one after the other; only small ones are copied together for that.
    Whole {
        /// The pieces.
        pieces: Vec<Bytes>,
        /// Of all pieces together.
        fingerprint: Fingerprint,
    },
    /// Still arriving. An error in it means that the answer is incomplete and must be seen to be.
    Arriving(BoxStream<'static, Result<Bytes, ServiceError>>),
}

impl AnswerBody {
    pub(crate) fn into_stream(self) -> BoxStream<'static, Result<Bytes, ServiceError>> {
        match self {
            Self::Whole { pieces, .. } => stream::iter(pieces.into_iter().map(Ok)).boxed(),
            Self::Arriving(stream) => stream,
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole { .. } => "Whole",
            Self::Arriving(_) => "Arriving",
        })
    }
}

/// How an answer was come by and how old it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The worst of its parts.
    pub status: CacheStatus,
    /// The oldest of its parts: how long ago the upstream was asked.
    pub age: Duration,
}

impl Origin {
    /// The origin of an answer with no part from anywhere.
    pub(crate) const OWN: Self = Self {
        status: CacheStatus::Hit,
        age: Duration::ZERO,
    };

    /// The origin of a part that the upstream was asked for just now, in vain or not.
    pub(crate) const ASKED: Self = Self {
        status: CacheStatus::Miss,
        age: Duration::ZERO,
    };

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            status: self.status.max(other.status),
            age: self.age.max(other.age),
        }
    }
}

impl<V> From<&Served<V>> for Origin {
    fn from(served: &Served<V>) -> Self {
        Self {
            status: served.status,
            age: served.age,
        }
    }
}

/// An answer as JSON bytes.
#[derive(Debug)]
pub struct Answer {
    /// The bytes.
    pub body: AnswerBody,
    /// Where they come from.
    pub origin: Origin,
}

impl Answer {
    pub(crate) fn whole(pieces: Vec<Bytes>, fingerprint: Fingerprint, origin: Origin) -> Self {
        Self {
            body: AnswerBody::Whole { pieces, fingerprint },
            origin,
        }
    }
}
