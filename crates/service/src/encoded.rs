//! Answers in the codings that readers take: what is asked for again is encoded once and leaves as ready bytes.
//!
//! Kept beside everything else and by weight like everything else, under the fingerprint of the content: a coding of it
//! never gets old. An answer that was not in the cache itself is encoded while it is sent; most are asked for once.

use std::sync::Arc;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;

use crate::Services;
use crate::answer::{Answer, AnswerBody, CacheStatus};
use crate::cache::{Fresh, Freshness, Key, Served};
use crate::error::ServiceError;

/// Answers of these sizes are kept encoded, in bytes. Smaller ones fit into one packet anyway; larger ones are encoded while
/// they are sent, so that their beginning does not wait for their end.
const SIZES: std::ops::RangeInclusive<usize> = 1 << 10..=8 << 20;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

impl Coding {
    /// All of them, from the least to the most preferred: what is unpacked fastest.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Brotli, Self::Zstd];

    /// The word that HTTP uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Measured on pages and traces of 0.1 to 2 MB: 7, 9 and 1.5 ms a MB. The next level of gzip takes twice as long and saves a
    /// tenth, the next of brotli a fifth longer and 7 %, the next of zstd that saves anything three times as long and 13 %.
    fn level(self) -> Level {
        Level::Precise(match self {
            Self::Gzip | Self::Brotli => 5,
            Self::Zstd => 3,
        })
    }

    /// The pieces as one encoded text. Never waits: it is written to memory.
    pub(crate) async fn encode(self, pieces: &[Bytes]) -> std::io::Result<Vec<u8>> {
        async fn through(mut encoder: impl AsyncWrite + Unpin, pieces: &[Bytes]) -> std::io::Result<()> {
            for piece in pieces {
                encoder.write_all(piece).await?;
            }
            encoder.shutdown().await
        }
        let mut text = Vec::new();
        match self {
            Self::Gzip => through(GzipEncoder::with_quality(&mut text, self.level()), pieces).await?,
            Self::Brotli => through(BrotliEncoder::with_quality(&mut text, self.level()), pieces).await?,
            Self::Zstd => through(ZstdEncoder::with_quality(&mut text, self.level()), pieces).await?,
        }
        text.shrink_to_fit();
        Ok(text)
    }
}

/// An answer's bytes in some coding.
#[derive(Debug)]
pub(crate) struct Encoded(Bytes);

impl Encoded {
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }
}

impl Services {
    /// The answer's bytes in this coding, if it came from the cache whole and is of a size that is kept encoded.
    pub fn encoded(
        &self,
        answer: &Answer,
        coding: Coding,
    ) -> impl Future<Output = Option<Bytes>> + Send + use<> {
        let wanted = match &answer.body {
            AnswerBody::Whole { pieces, fingerprint } if is_worth_it(answer, pieces) => {
                let key = self.keys.encoded(*fingerprint, coding);
                Some(
                    self.cache
                        .fresh(&key)
                        .ok_or_else(|| (self.clone(), key, pieces.clone())),
                )
            }
            _ => None,
        };
        async move {
            let served = match wanted? {
                Ok(served) => served,
                Err((services, key, pieces)) => services.encode(key, coding, pieces).await.ok()?,
            };
            Some(served.value.0.clone())
        }
    }

    /// Encodes off the async threads, once for all who ask meanwhile.
    async fn encode(
        &self,
        key: Key<Arc<Encoded>>,
        coding: Coding,
        pieces: Vec<Bytes>,
    ) -> Result<Served<Arc<Encoded>>, ServiceError> {
        let fresh_for = self.cache.policy().spans_ttl;
        let load = async move {
            let encode = move || Handle::current().block_on(coding.encode(&pieces));
            let text = tokio::task::spawn_blocking(encode).await;
            let text = text.ok().and_then(Result::ok).ok_or(ServiceError::Interrupted)?;
            Ok(Fresh {
                value: Arc::new(Encoded(text.into())),
                fresh_for,
            })
        };
        self.cache.get_or_load(key, Freshness::Cached, load).await
    }
}

/// Whether it was asked for before, and is neither small nor large.
fn is_worth_it(answer: &Answer, pieces: &[Bytes]) -> bool {
    answer.origin.status == CacheStatus::Hit && SIZES.contains(&pieces.iter().map(Bytes::len).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    async fn decoded(coding: Coding, text: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let read = match coding {
            Coding::Gzip => GzipDecoder::new(text).read_to_end(&mut plain).await,
            Coding::Brotli => BrotliDecoder::new(text).read_to_end(&mut plain).await,
            Coding::Zstd => ZstdDecoder::new(text).read_to_end(&mut plain).await,
        };
        read.unwrap();
        plain
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_encoded_is_the_pieces_one_after_the_other(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3_000), 0..5)
        ) {
            let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for coding in Coding::ALL {
                let text = runtime.block_on(coding.encode(&pieces)).unwrap();
                prop_assert_eq!(runtime.block_on(decoded(coding, &text)), pieces.concat());
            }
        }
    }
}
