//! Where MLflow's database is, read from a tracking URI as MLflow reads it.

use std::path::{Path, PathBuf};

use url::Url;

use crate::error::DatabaseError;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A file.
    Sqlite(PathBuf),
    /// A server; the URL may hold a password.
    Postgres(Url),
}

impl Address {
    /// Reads a tracking URI; `None` when it names no database at all, but a server or a workspace.
    ///
    /// `sqlite:///` is followed by a path (so a path from the root makes four slashes), a driver after `+` is MLflow's own
    /// business: it is left out.
    pub(crate) fn parse(uri: &str) -> Option<Result<Self, DatabaseError>> {
        let (scheme, rest) = uri.trim().split_once("://")?;
        match scheme.split('+').next().unwrap_or_default() {
            "sqlite" => Some(Self::sqlite(rest)),
            "postgresql" | "postgres" => Some(Self::postgres(rest)),
            other @ ("mysql" | "mssql") => Some(Err(DatabaseError::Address(format!(
                "names a {other} database; trace-server reads SQLite and PostgreSQL. Use the address of the MLflow server \
                 that stands before it"
            )))),
            _ => None,
        }
    }

    fn sqlite(rest: &str) -> Result<Self, DatabaseError> {
        let path = rest.strip_prefix('/').ok_or_else(|| {
            DatabaseError::Address("must be sqlite:///PATH (sqlite:////PATH from the root)".into())
        })?;
        let path = path.split('?').next().unwrap_or_default();
        if path.is_empty() || path == ":memory:" {
            let message = "must name a file: what is in another process's memory cannot be read";
            return Err(DatabaseError::Address(message.into()));
        }
        let path = std::path::absolute(Path::new(path));
        path.map(Self::Sqlite)
            .map_err(|_| DatabaseError::Address("must name a file that can be found".into()))
    }

    fn postgres(rest: &str) -> Result<Self, DatabaseError> {
        let url = Url::parse(&format!("postgres://{rest}"));
        url.map(Self::Postgres).map_err(|_| {
            DatabaseError::Address("must be postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE".into())
        })
    }
}

/// Without the password.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:///{}", path.display()),
            Self::Postgres(url) => {
                let host = url.host_str().unwrap_or("localhost");
                write!(f, "postgresql://{host}")?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uri: &str) -> Option<Result<String, String>> {
        let read = Address::parse(uri)?;
        Some(
            read.map(|address| address.to_string())
                .map_err(|error| error.to_string()),
        )
    }

    #[test]
    fn a_uri_is_read_as_mlflow_reads_it() {
        let here = std::env::current_dir().unwrap();
        for (uri, is) in [
            (
                "sqlite:////data/mlflow.db",
                "sqlite:////data/mlflow.db".to_owned(),
            ),
            (
                "sqlite:///mlflow.db",
                format!("sqlite:///{}/mlflow.db", here.display()),
            ),
            (
                "sqlite+pysqlite:////d/m.db?timeout=5",
                "sqlite:////d/m.db".to_owned(),
            ),
            (
                "postgresql://ann:secret@db:5433/mlflow?sslmode=require",
                "postgresql://db:5433/mlflow".to_owned(),
            ),
            (
                "postgresql+psycopg2://ann:secret@db/mlflow",
                "postgresql://db/mlflow".to_owned(),
            ),
        ] {
            assert_eq!(told(uri), Some(Ok(is)), "{uri}");
        }
        for uri in [
            "http://mlflow:5000",
            "databricks",
            "databricks://me",
            "file:///mlruns",
            "./mlruns",
        ] {
            assert_eq!(told(uri), None, "{uri}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_do_and_no_password() {
        for uri in [
            "sqlite://",
            "sqlite://mlflow.db",
            "sqlite:///",
            "sqlite:///:memory:",
            "mysql+pymysql://ann:secret@db/mlflow",
            "postgresql://ann:secret@db:port/mlflow",
        ] {
            let error = told(uri).unwrap().unwrap_err();
            assert!(
                error.starts_with("MLFLOW_TRACKING_URI ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
