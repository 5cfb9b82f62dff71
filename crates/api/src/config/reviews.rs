//! Where reviews are kept.

use std::path::Path;

use clap::{Args, ValueEnum};
use mlflow_client::Flavor;
use secrecy::SecretString;
use store::StoreConfig;

use super::mlflow::secret;

/// Where reviews are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reviews")]
pub struct ReviewArgs {
    /// Who keeps review apps, label schemas, labeling sessions and items. `auto`: the workspace where MLflow is
    /// Databricks, else the database.
    #[arg(long = "reviews", env = "TRACE_SERVER_REVIEWS", value_enum, default_value_t = ReviewsIn::Auto)]
    kept_in: ReviewsIn,
    /// Our own database, which also keeps how analyses stand: `sqlite://PATH` (`sqlite:///PATH` from the root; made if it is not there) or
    /// `postgres://USER:PASSWORD@HOST/DATABASE`, which several servers can share.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", default_value = "sqlite://trace-server.db", hide_env_values = true, value_parser = secret)]
    database_url: SecretString,
    /// Connections to the database open at once.
    #[arg(
        long,
        env = "TRACE_SERVER_DATABASE_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 10
    )]
    database_max_connections: u32,
}

/// Who keeps reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReviewsIn {
    /// The workspace where MLflow is Databricks, else the database.
    Auto,
    /// The Databricks workspace.
    Databricks,
    /// The database.
    Sql,
}

impl ReviewArgs {
    /// Whether the Databricks workspace keeps the reviews.
    pub fn are_in_workspace(&self, flavor: Flavor) -> bool {
        match self.kept_in {
            ReviewsIn::Auto => flavor == Flavor::Databricks,
            ReviewsIn::Databricks => true,
            ReviewsIn::Sql => false,
        }
    }

    /// Keeps the reviews in this file.
    pub fn use_file(&mut self, path: &Path) {
        self.kept_in = ReviewsIn::Sql;
        self.database_url = format!("sqlite://{}", path.display()).into();
    }

    /// The database.
    pub fn store(&self) -> StoreConfig {
        StoreConfig {
            url: self.database_url.clone(),
            max_connections: self.database_max_connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Cli;
    use clap::Parser;
    use mlflow_client::Flavor::{Databricks, OpenSource};

    #[test]
    fn a_workspace_keeps_its_reviews_unless_told_otherwise() {
        let in_workspace = |flags: &[&str], flavor| {
            let cli = Cli::parse_from([&["trace-server"], flags].concat());
            cli.config.reviews.are_in_workspace(flavor)
        };
        assert!(in_workspace(&[], Databricks) && !in_workspace(&[], OpenSource));
        assert!(!in_workspace(&["--reviews", "sql"], Databricks));
        assert!(in_workspace(&["--reviews", "databricks"], OpenSource));
    }

    #[test]
    fn the_databases_password_is_not_shown() {
        let cli = Cli::parse_from(["trace-server", "--database-url", "postgres://u:hidden@h/d"]);
        assert!(!format!("{:?}", cli.config.reviews).contains("hidden"));
    }
}
