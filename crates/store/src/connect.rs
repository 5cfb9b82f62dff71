//! Opens the database: finds it by its address, brings its schema up to date, keeps connections.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{Any, ConnectOptions, Connection, Executor};
use url::Url;

use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::migrations::migrator;

/// A database that is just starting is waited for.
const START_PATIENCE: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(500);

/// How long a statement waits for another's lock in SQLite.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Which database, and how many connections to it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `sqlite://PATH` (made if it is not there) or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: SecretString,
    /// Connections open at once.
    pub max_connections: u32,
}

enum Address {
    Sqlite(PathBuf),
    Postgres(Url),
}

impl Store {
    /// Opens the database and brings its schema up to date. One that is not there yet is waited for, 30 s at most.
    ///
    /// # Errors
    /// [`StoreError`] that says what to change.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let address = Address::parse(config.url.expose_secret())?;
        let begun = Instant::now();
        while let Err(error) = address.migrate_in_time().await {
            if !error.is_transient() || begun.elapsed() > START_PATIENCE {
                return Err(error);
            }
            tracing::info!(%error, "waiting for the database");
            tokio::time::sleep(START_PAUSE).await;
        }
        sqlx::any::install_default_drivers();
        let options = AnyPoolOptions::new()
            .max_connections(config.max_connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT);
        let dialect = address.dialect();
        let options = match dialect {
            // A property of a connection, not of the file. Foreign keys are on by sqlx's default.
            Dialect::Sqlite => options.after_connect(|connection, _| {
                let busy = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
                Box::pin(async move { connection.execute(sqlx::AssertSqlSafe(busy)).await.map(|_| ()) })
            }),
            Dialect::Postgres => options,
        };
        let pool = options.connect_lazy_with(AnyConnectOptions::from_url(&address.url())?);
        Ok(Self { pool, dialect })
    }

    /// Looks whether the database can be reached, and changes nothing: one that is not there is not made.
    ///
    /// # Errors
    /// [`StoreError`] that says what to change.
    pub async fn probe(config: &StoreConfig) -> Result<(), StoreError> {
        match Address::parse(config.url.expose_secret())? {
            Address::Sqlite(path) if !path.exists() => {
                let has_folder = path.parent().is_some_and(Path::is_dir);
                let otherwise = StoreError::Address("must name a file in a folder that is there");
                has_folder.then_some(()).ok_or(otherwise)
            }
            Address::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                Ok(SqliteConnection::connect_with(&options).await?.ping().await?)
            }
            Address::Postgres(url) => {
                let in_time =
                    tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect(url.as_str())).await;
                let mut connection = in_time.map_err(|_| StoreError::Silent(ACQUIRE_TIMEOUT))??;
                Ok(connection.ping().await?)
            }
        }
    }

    /// The kind of database, and where it is; no password in it.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub fn describe(config: &StoreConfig) -> Result<String, StoreError> {
        Ok(match Address::parse(config.url.expose_secret())? {
            Address::Sqlite(path) => format!("SQLite, {}", path.display()),
            Address::Postgres(url) => {
                let host = url.host_str().unwrap_or("localhost");
                format!("PostgreSQL, {host}{}", url.path())
            }
        })
    }

    /// The file, where the database is one; it need not be there.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub fn file(config: &StoreConfig) -> Result<Option<PathBuf>, StoreError> {
        Ok(match Address::parse(config.url.expose_secret())? {
            Address::Sqlite(path) => Some(path),
            Address::Postgres(_) => None,
        })
    }

    pub(crate) async fn connection(&self) -> Result<PoolConnection<Any>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// A transaction that writes; undone unless it is committed.
    pub(crate) async fn writing(&self) -> Result<sqlx::Transaction<'static, Any>, StoreError> {
        Ok(self.pool.begin_with(self.dialect.begin_writing()).await?)
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("sqlite:") {
            return Self::sqlite(rest.strip_prefix("//").unwrap_or(rest));
        }
        let url =
            Url::parse(text).map_err(|_| StoreError::Address("must be sqlite://PATH or postgres://…"))?;
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Self::Postgres(url)),
            _ => Err(StoreError::Address("must begin with sqlite:// or postgres://")),
        }
    }

    fn sqlite(path: &str) -> Result<Self, StoreError> {
        let path = path.split('?').next().unwrap_or_default();
        if path.is_empty() || path.contains(":memory:") {
            return Err(StoreError::Address(
                "must name a file: reviews that are kept in memory would be lost",
            ));
        }
        if path.contains('%') {
            return Err(StoreError::Address("must name a file without % in its path"));
        }
        let path = std::path::absolute(Path::new(path));
        path.map(Self::Sqlite)
            .map_err(|_| StoreError::Address("must name a file that can be found"))
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    fn url(&self) -> Url {
        match self {
            Self::Sqlite(path) => SqliteConnectOptions::new().filename(path).to_url_lossy(),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// A host that drops what it is sent would be waited for without end.
    async fn migrate_in_time(&self) -> Result<(), StoreError> {
        let in_time = tokio::time::timeout(START_PATIENCE, self.migrate()).await;
        in_time.unwrap_or(Err(StoreError::Silent(START_PATIENCE)))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = migrator(self.dialect());
        match self {
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .busy_timeout(BUSY_TIMEOUT)
                    // Kept in the file: readers and the writer do not wait for each other.
                    .journal_mode(SqliteJournalMode::Wal);
                let mut connection = SqliteConnection::connect_with(&options).await?;
                // sqlx locks no SQLite while it migrates; a transaction around it all does.
                let mut all = connection.begin_with("BEGIN IMMEDIATE").await?;
                migrator.run_direct(None, &mut *all, false).await?;
                all.commit().await?;
                Ok(connection.close().await?)
            }
            Self::Postgres(url) => {
                let options = PgConnectOptions::from_str(url.as_str())
                    .map_err(|_| StoreError::Address("is no address of a PostgreSQL"))?;
                let mut connection = PgConnection::connect_with(&options).await?;
                migrator.run_direct(None, &mut connection, false).await?;
                Ok(connection.close().await?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(url: &str) -> Result<String, String> {
        let config = StoreConfig {
            url: url.into(),
            max_connections: 1,
        };
        Store::describe(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_told_without_its_password() {
        assert_eq!(described("sqlite:///data/r.db").unwrap(), "SQLite, /data/r.db");
        assert!(described("sqlite://r.db").unwrap().ends_with("/r.db"));
        assert_eq!(
            described("postgres://u:secret@db.example.com:5433/reviews?sslmode=require").unwrap(),
            "PostgreSQL, db.example.com/reviews"
        );
        for wrong in [
            "",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:///a%20b.db",
            "mysql://u:secret@h/d",
            "u:secret@h",
        ] {
            let error = described(wrong).unwrap_err();
            assert!(
                error.starts_with("DATABASE_URL must") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
