//! Word between servers that share a PostgreSQL: what one has written, the others must not take from their caches.
//!
//! By LISTEN and NOTIFY: a word arrives within a few milliseconds, and one that comes while a connection is lost does
//! not arrive at all, which is said.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::query;

use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;

const CHANNEL: &str = "ts_written";

/// The function has no value that sqlx could read: asked whether it is null.
const TELL: &str = "SELECT CAST(pg_notify('ts_written', $1) IS NULL AS INT)";

/// A database that is away is looked for again after this long.
const PAUSE: Duration = Duration::from_secs(1);

/// What the other servers say.
#[derive(Debug)]
pub struct Peers {
    url: url::Url,
    listener: Option<PgListener>,
}

/// What is heard of the other servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// One of them said this.
    Said(String),
    /// Nobody listened for a while: something may have been said.
    MayHaveMissed,
}

impl Store {
    /// Says something to all servers on this database, this one among them; on SQLite there are none. At most 8000
    /// bytes.
    pub async fn tell_peers(&self, text: &str) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            let tell = query(TELL).bind(text);
            tell.execute(&mut *self.connection().await?).await?;
        }
        Ok(())
    }

    /// What is said from now on; `None` on SQLite.
    pub fn peers(&self) -> Option<Peers> {
        (self.dialect == Dialect::Postgres).then(|| Peers {
            url: self.pool.connect_options().database_url.clone(),
            listener: None,
        })
    }
}

impl Peers {
    /// Waits for the next word. Looks for the database again for as long as it is away.
    pub async fn next(&mut self) -> Heard {
        loop {
            match &mut self.listener {
                Some(listener) => match listener.try_recv().await {
                    Ok(Some(word)) => return Heard::Said(word.payload().to_owned()),
                    Ok(None) | Err(_) => self.listener = None,
                },
                None => match listening(&self.url).await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        return Heard::MayHaveMissed;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "other servers are not heard; looking for the database again");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

async fn listening(url: &url::Url) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(url.as_str()).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
