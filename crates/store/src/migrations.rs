//! The schema, carried by the binary and brought up to date when it starts.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::dialect::Dialect;

macro_rules! migrations {
    ($dialect:literal: $($version:literal $name:literal),* $(,)?) => {
        &[$((
            $version,
            $name,
            include_str!(concat!("../../../migrations/", $dialect, "/", $name, ".sql")),
        )),*]
    };
}

const SQLITE: &[(i64, &str, &str)] = migrations!("sqlite": 1 "0001_create_reviews", 2 "0002_create_jobs");
const POSTGRES: &[(i64, &str, &str)] = migrations!("postgres": 1 "0001_create_reviews", 2 "0002_create_jobs");

/// All migrations of a kind of database. A database of a newer release is left as it is: replicas are replaced one after
/// the other.
pub(crate) fn migrator(dialect: Dialect) -> Migrator {
    let all = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let migrations = all.iter().map(|&(version, name, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    // Set before the first release, so that nothing is lost by it.
    migrator.dangerous_set_table_name("ts_migrations");
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_is_carried_and_both_databases_have_the_same() {
        let names = |all: &[(i64, &'static str, &str)]| all.iter().map(|one| one.1).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
        for (folder, all) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../migrations")
                .join(folder);
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let carried: Vec<_> = all.iter().map(|(_, name, _)| format!("{name}.sql")).collect();
            assert_eq!(files, carried);
            for (version, name, _) in all {
                assert!(name.starts_with(&format!("{version:04}_")), "{name}");
            }
        }
    }
}
