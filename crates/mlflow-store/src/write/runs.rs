//! Runs: made, changed, tagged, marked as deleted.

use std::collections::BTreeMap;

use domain::{NewRun, Run, RunId, RunTag, RunUpdate};

use super::{assessments, random_id, run_names, unix_ms};
use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::experiments::unknown_experiment;
use crate::filter::Refusal;
use crate::pool::Transaction;
use crate::runs::{self, unknown_run};
use crate::sql::Statement;

/// A run has its name twice: in its row and in this tag.
const RUN_NAME: &str = "mlflow.runName";

/// What MLflow's columns hold, in characters (3.17.2). It cuts a longer value without a word; here it is refused.
const MAX_TAG_KEY: usize = 250;
const MAX_TAG_VALUE: usize = 8000;

impl MlflowStore {
    /// Makes a run. Each call makes one more.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such experiment, [`DatabaseError::Refused`] when it was deleted or a
    /// tag cannot be kept; [`DatabaseError::ReadOnly`].
    pub async fn create_run(&self, new: &NewRun) -> Result<Run, DatabaseError> {
        check_tags(&new.tags)?;
        // Read back within: what another does to it right after is none of this call.
        self.write(async |all| {
            let id = create(all, new).await?;
            let rows = all.fetch_all(&runs::one(all.dialect(), &id)).await?;
            runs::only(&rows, &id)
        })
        .await
    }

    /// Changes a run. One that ends without a time ends now, as MLflow's SDK has it.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such run, [`DatabaseError::Refused`] when it was deleted;
    /// [`DatabaseError::ReadOnly`].
    pub async fn update_run(&self, id: &RunId, update: &RunUpdate) -> Result<(), DatabaseError> {
        let is_ending = update.status.is_some_and(domain::RunStatus::is_terminal);
        let end_time = update.end_time.or_else(|| is_ending.then(unix_ms));
        let mut statement = Statement::new(self.dialect(), "UPDATE runs SET run_uuid = run_uuid");
        if let Some(status) = update.status {
            statement.push(", status = ").bind(status.as_str());
        }
        if let Some(end_time) = end_time {
            statement.push(", end_time = ").bind(end_time);
        }
        statement.push(" WHERE run_uuid = ").bind(id.as_str());
        self.write(async |all| {
            check_active(all, id).await?;
            all.execute(&statement).await.map(|_| ())
        })
        .await
    }

    /// Sets tags of a run, all or none.
    ///
    /// # Errors
    /// As [`Self::update_run`], and [`DatabaseError::Refused`] when a tag cannot be kept.
    pub async fn set_run_tags(&self, id: &RunId, tags: &[RunTag]) -> Result<(), DatabaseError> {
        check_tags(tags)?;
        if tags.is_empty() {
            return Ok(());
        }
        self.write(async |all| {
            check_active(all, id).await?;
            for (key, value) in last_of_each(tags) {
                if key == RUN_NAME && value.is_empty() {
                    // No name: MLflow leaves the run the one it has.
                    continue;
                }
                if key == RUN_NAME {
                    let mut rename = Statement::new(all.dialect(), "UPDATE runs SET name = ");
                    rename.bind(value);
                    rename.push(" WHERE run_uuid = ").bind(id.as_str());
                    all.execute(&rename).await?;
                }
                set_tag(all, id.as_str(), key, value).await?;
            }
            Ok(())
        })
        .await
    }

    /// Marks a run as deleted, and deletes the assessments that it made; one that is already stays so.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such run; [`DatabaseError::ReadOnly`].
    pub async fn delete_run(&self, id: &RunId) -> Result<(), DatabaseError> {
        let mut statement = Statement::new(
            self.dialect(),
            "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ",
        );
        statement.bind(unix_ms());
        statement.push(" WHERE run_uuid = ").bind(id.as_str());
        self.write(async |all| {
            assessments::delete_of_run(all, id).await?;
            match all.execute(&statement).await? {
                0 => Err(unknown_run(id)),
                _ => Ok(()),
            }
        })
        .await
    }
}

async fn create(all: &mut Transaction, new: &NewRun) -> Result<RunId, DatabaseError> {
    let mut experiment = Statement::new(
        all.dialect(),
        "SELECT artifact_location, lifecycle_stage FROM experiments WHERE experiment_id = ",
    );
    experiment.bind(new.experiment_id.as_str().parse::<i64>().unwrap_or(-1));
    let found = all.fetch_all(&experiment).await?;
    let row = found
        .first()
        .ok_or_else(|| unknown_experiment(&new.experiment_id))?;
    if row.text(1)?.as_deref() != Some("active") {
        return Err(Refusal::new(format!("experiment {} was deleted", new.experiment_id)).into());
    }
    let mut tags = last_of_each(&new.tags);
    let name = match (
        new.run_name.as_deref().filter(|name| !name.is_empty()),
        tags.get(RUN_NAME).copied().filter(|name| !name.is_empty()),
    ) {
        (Some(name), Some(tag)) if name != tag => {
            return Err(Refusal::new("run_name and the tag mlflow.runName must be the same").into());
        }
        (Some(name), _) => name.to_owned(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => run_names::random(),
    };
    let id = random_id();
    let artifact_uri = within(&row.text(0)?.unwrap_or_default(), &format!("{id}/artifacts"));
    let mut insert = Statement::new(all.dialect(), "INSERT INTO runs (source_type, source_name, entry_point_name, source_version, status, lifecycle_stage,
         run_uuid, name, artifact_uri, user_id, experiment_id, start_time)
         VALUES ('UNKNOWN', '', '', '', 'RUNNING', 'active', ");
    insert
        .bind(id.as_str())
        .push(", ")
        .bind(name.as_str())
        .push(", ")
        .bind(artifact_uri);
    insert.push(", ").bind(new.user_id.as_deref().unwrap_or_default());
    insert
        .push(", ")
        .bind(new.experiment_id.as_str().parse::<i64>().unwrap_or(-1));
    insert
        .push(", ")
        .bind(new.start_time.unwrap_or_else(unix_ms))
        .push(")");
    all.execute(&insert).await?;
    tags.insert(RUN_NAME, &name);
    for (key, value) in tags {
        set_tag(all, &id, key, value).await?;
    }
    id.parse().map_err(|_| DatabaseError::Unreadable {
        table: "runs",
        reason: "a new id is none".to_owned(),
    })
}

/// Locks the run, too: who tags it and who deletes it take turns.
async fn check_active(all: &mut Transaction, id: &RunId) -> Result<(), DatabaseError> {
    let mut statement = Statement::new(
        all.dialect(),
        "SELECT lifecycle_stage FROM runs WHERE run_uuid = ",
    );
    statement.bind(id.as_str());
    statement.push(all.dialect().pick("", " FOR UPDATE"));
    let found = all.fetch_all(&statement).await?;
    let row = found.first().ok_or_else(|| unknown_run(id))?;
    if row.text(0)?.as_deref() == Some("active") {
        return Ok(());
    }
    Err(Refusal::new(format!("run {id} was deleted")).into())
}

async fn set_tag(all: &mut Transaction, run: &str, key: &str, value: &str) -> Result<(), DatabaseError> {
    let mut statement = Statement::new(all.dialect(), "INSERT INTO tags (key, value, run_uuid) VALUES (");
    statement.bind(key).push(", ").bind(value);
    statement.push(", ").bind(run);
    statement.push(") ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value");
    all.execute(&statement).await.map(|_| ())
}

fn last_of_each(tags: &[RunTag]) -> BTreeMap<&str, &str> {
    tags.iter()
        .map(|tag| (tag.key.as_str(), tag.value.as_str()))
        .collect()
}

/// By MLflow's rules for a tag's name, so that its own API can change what stands here.
fn check_tags(tags: &[RunTag]) -> Result<(), Refusal> {
    for RunTag { key, value } in tags {
        let is_word = |character: char| character.is_alphanumeric() || "_/-. :".contains(character);
        let is_plain = !key.is_empty()
            && key.chars().all(is_word)
            && !key.starts_with('/')
            && key.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_plain || key.chars().count() > MAX_TAG_KEY {
            return Err(Refusal::new(format!(
                "a tag's key must be 1 to {MAX_TAG_KEY} letters, digits, '_', '-', '.', ' ', ':' or '/', and no path that \
                 leads elsewhere"
            )));
        }
        if value.chars().count() > MAX_TAG_VALUE {
            return Err(Refusal::new(format!(
                "the value of tag {key:?} must have at most {MAX_TAG_VALUE} characters"
            )));
        }
    }
    Ok(())
}

/// A path within an artifact location, which may be a URL with a query.
fn within(location: &str, path: &str) -> String {
    let (base, query) = match location.find(['?', '#']) {
        Some(at) if location.contains("://") => location.split_at(at),
        _ => (location, ""),
    };
    format!("{}/{path}{query}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_artifacts_lie_within_those_of_its_experiment() {
        assert_eq!(
            within("mlflow-artifacts:/1", "r/artifacts"),
            "mlflow-artifacts:/1/r/artifacts"
        );
        assert_eq!(within("/data/1/", "r"), "/data/1/r");
        assert_eq!(within("s3://b/1?region=eu", "r"), "s3://b/1/r?region=eu");
    }

    #[test]
    fn a_tag_that_mlflow_would_not_keep_as_it_is_is_refused() {
        let tag = |key: &str, value: &str| {
            check_tags(&[RunTag {
                key: key.into(),
                value: value.into(),
            }])
        };
        for key in ["team", "mlflow.runName", "a/b", "größe", "a b:c"] {
            assert!(tag(key, "v").is_ok(), "{key}");
        }
        for key in ["", "a\nb", "../x", "a//b", "/a", "a=b"] {
            assert!(tag(key, "v").is_err(), "{key}");
        }
        assert!(tag("k", &"x".repeat(8001)).is_err() && tag("k", &"ü".repeat(8000)).is_ok());
    }
}
