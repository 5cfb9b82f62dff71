//! Answers in the codings that readers take: what is asked for again is encoded once and leaves as ready bytes.
//!
//! Kept beside everything else and by weight like everything else, under the fingerprint and the length of the content. An
//! answer that was not in the cache itself is encoded while it is sent; most are asked for once.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::Services;
use crate::answer::{Answer, AnswerBody, CacheStatus};
use crate::cache::{Fresh, Freshness, Key};
use crate::error::ServiceError;

/// Answers of less fit into one packet anyway, in bytes.
pub const SMALLEST_ENCODED: usize = 1 << 10;

/// Larger answers are encoded while they are sent, so that their beginning does not wait for their end, in bytes.
const LARGEST_KEPT: usize = 8 << 20;

/// How long an encoding is kept: as long as most answers. Who asks later waits for another.
const KEPT_FOR: Duration = Duration::from_mins(5);

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

/// An encoding that is wanted: the bytes, or what they are to be made of.
enum Wanted {
    Kept(Bytes),
    Missing(Services, Key<Arc<Encoded>>, Coding, Vec<Bytes>),
}

impl Services {
    /// The answer's bytes in this coding, if it came from the cache whole, is of a size that is kept encoded, and is encoded
    /// or can be at once.
    // Not an `async fn`: an answer may hold a stream, which cannot be shared between threads while it is waited for.
    pub fn encoded(
        &self,
        answer: &Answer,
        coding: Coding,
    ) -> impl Future<Output = Option<Bytes>> + Send + use<> {
        let wanted = self.wanted(answer, coding);
        async move {
            match wanted? {
                Wanted::Kept(text) => Some(text),
                Wanted::Missing(services, key, coding, pieces) => {
                    services.encode(key, coding, pieces).await.ok()
                }
            }
        }
    }

    fn wanted(&self, answer: &Answer, coding: Coding) -> Option<Wanted> {
        let AnswerBody::Whole { pieces, fingerprint } = &answer.body else {
            return None;
        };
        let bytes = pieces.iter().map(Bytes::len).sum();
        let was_asked_for_before = answer.origin.status == CacheStatus::Hit;
        if !was_asked_for_before || !(SMALLEST_ENCODED..=LARGEST_KEPT).contains(&bytes) {
            return None;
        }
        let key = self.keys.encoded(*fingerprint, bytes, coding);
        Some(match self.cache.fresh(&key) {
            Some(kept) => Wanted::Kept(kept.value.0.clone()),
            None => Wanted::Missing(self.clone(), key, coding, pieces.clone()),
        })
    }

    /// Encodes off the async threads, once for all who ask meanwhile.
    ///
    /// # Errors
    /// When as many others are being encoded as there are processors: more at once would hold up everything else.
    async fn encode(
        &self,
        key: Key<Arc<Encoded>>,
        coding: Coding,
        pieces: Vec<Bytes>,
    ) -> Result<Bytes, ServiceError> {
        let encodings = Arc::clone(&self.encodings);
        let load = async move {
            let turn = encodings
                .try_acquire_owned()
                .map_err(|_| ServiceError::Interrupted)?;
            let encode = move || {
                let text = Handle::current().block_on(coding.encode(&pieces));
                drop(turn);
                text
            };
            let text = tokio::task::spawn_blocking(encode).await;
            let text = text.ok().and_then(Result::ok).ok_or(ServiceError::Interrupted)?;
            Ok(Fresh {
                value: Arc::new(Encoded(text.into())),
                fresh_for: KEPT_FOR,
            })
        };
        let served = self.cache.get_or_load(key, Freshness::Cached, load).await?;
        Ok(served.value.0.clone())
    }
}

/// How many answers are encoded at once.
pub(crate) fn encodings_at_once() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    Arc::new(Semaphore::new(processors))
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
