//! Databases on the PostgreSQL server that `tests/postgres/serve.py` started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use url::Url;

/// The PostgreSQL server that runs beside the tests.
#[derive(Debug, Clone)]
pub struct Postgres {
    url: Url,
    psql: PathBuf,
}

impl Postgres {
    /// A new, empty database for one test.
    pub async fn database() -> Database {
        let server = Self::from_env();
        let name = format!("test_{}", crate::random_hex());
        server.run(&format!("CREATE DATABASE {name}")).await;
        let mut url = server.url.clone();
        url.set_path(&name);
        Database { server, name, url }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how the script that starts the server tells where it is"
    )]
    fn from_env() -> Self {
        let url = std::env::var("TEST_POSTGRES_URL")
            .expect("TEST_POSTGRES_URL is not set; run the tests by `make test`");
        Self {
            url: url.parse().expect("TEST_POSTGRES_URL is a URL"),
            psql: psql().expect("PostgreSQL's client is in PATH, or where Debian has it"),
        }
    }

    async fn run(&self, sql: &str) -> String {
        query(&self.psql, &self.url, sql).await
    }
}

/// A database for one test. Dropped, with whoever is still connected, when this is.
#[derive(Debug)]
pub struct Database {
    server: Postgres,
    name: String,
    url: Url,
}

impl Database {
    /// Its URL, with the password.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What `psql` prints for this SQL: a row a line, `|` between columns, nothing for null.
    pub async fn query(&self, sql: &str) -> String {
        query(&self.server.psql, &self.url, sql).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let mut command = command(&self.server.psql, &self.server.url, &sql);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // It waits for the disk, which a test need not do: in the end the whole server is thrown away.
        std::thread::spawn(move || command.status());
    }
}

/// Waits as tokio does, because what the query waits for may need this very thread.
async fn query(psql: &Path, url: &Url, sql: &str) -> String {
    let output = tokio::process::Command::from(command(psql, url, sql))
        .kill_on_drop(true)
        .output()
        .await
        .expect("psql starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{sql}\n{errors}");
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    text.trim_end_matches('\n').to_owned()
}

/// `psql` without anything that its user may have set.
fn command(psql: &Path, url: &Url, sql: &str) -> Command {
    let mut command = Command::new(psql);
    command
        .env_clear()
        .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
        .args(["--set=ON_ERROR_STOP=1", "--command", sql, url.as_str()])
        .stdin(Stdio::null());
    command
}

/// The client in PATH, else that of the newest PostgreSQL where Debian has them.
fn psql() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("psql"));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = versions
        .flatten()
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin/psql")))
        })
        .collect();
    versions.sort();
    let of_debian = versions.into_iter().rev().map(|(_, program)| program);
    in_path.chain(of_debian).find(|program| program.is_file())
}
