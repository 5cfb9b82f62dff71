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

/// What may stand after the `?` of a PostgreSQL URL: the driver's names, which are those of libpq, whose words MLflow takes.
const POSTGRES_OPTIONS: [&str; 11] = [
    "dbname",
    "host",
    "hostaddr",
    // Such as `-csearch_path=mlflow`.
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

impl Address {
    /// What our own traces say of it.
    pub(crate) fn peer(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Sqlite(_) => vec![("db.system.name", "sqlite".to_owned())],
            Self::Postgres(url) => {
                let host = url.host_str().map(|host| ("server.address", host.to_owned()));
                let system = [("db.system.name", "postgresql".to_owned())];
                system.into_iter().chain(host).collect()
            }
        }
    }

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
        let mut url = Url::parse(&format!("postgres://{rest}")).map_err(|_| {
            DatabaseError::Address("must be postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE".into())
        })?;
        // What the driver does not know it writes to the log, with its value.
        let known: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(key, _)| POSTGRES_OPTIONS.contains(&key.as_ref()))
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !known.is_empty() {
            url.query_pairs_mut().extend_pairs(known);
        }
        Ok(Self::Postgres(url))
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
    fn what_the_driver_does_not_know_is_left_out_with_its_value() {
        let read = Address::parse(
            "postgresql://db/mlflow?sslmode=require&sslpassword=secret&options=-csearch_path%3Dm",
        );
        let Some(Ok(Address::Postgres(url))) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            url.as_str(),
            "postgres://db/mlflow?sslmode=require&options=-csearch_path%3Dm"
        );
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
