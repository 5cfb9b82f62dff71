//! Review apps and their label schemas. The schemas change with their app: a version of the app is a version of all of
//! them.

use std::collections::HashMap;

use domain::{ExperimentId, LabelSchema, ReviewApp, ReviewAppId};
use serde_json::Value;
use sqlx::{AnyConnection, query};

use crate::clock::{next_version, now_ms, version_of};
use crate::error::StoreError;
use crate::row::{Reader, json_text};
use crate::{Changed, Store};

/// What a new review app is made from.
#[derive(Debug, Clone)]
pub struct NewReviewApp {
    /// Its id, not given to any other.
    pub review_app_id: ReviewAppId,
    /// The experiment whose traces are reviewed.
    pub experiment_id: ExperimentId,
    /// Agents that reviewers may chat with.
    pub agents: Vec<Value>,
    /// What reviewers can be asked.
    pub labeling_schemas: Vec<LabelSchema>,
}

const FIND: &str = "
    SELECT review_app_id, experiment_id, agents, updated_at FROM ts_review_apps WHERE experiment_id = $1";

const GET: &str = "
    SELECT review_app_id, experiment_id, agents, updated_at FROM ts_review_apps WHERE review_app_id = $1";

const INSERT: &str = "
    INSERT INTO ts_review_apps (review_app_id, experiment_id, agents, created_at, created_by, updated_at, updated_by)
    VALUES ($1, $2, $3, $4, $5, $4, $5)
    ON CONFLICT DO NOTHING";

const UPDATE: &str = "
    UPDATE ts_review_apps SET agents = $3, updated_at = $4, updated_by = $5
    WHERE review_app_id = $1 AND updated_at = $2";

const SCHEMAS: &str =
    "SELECT definition FROM ts_label_schemas WHERE review_app_id = $1 ORDER BY position, name";

const PUT_SCHEMA: &str = "
    INSERT INTO ts_label_schemas
        (review_app_id, name, position, definition, created_at, created_by, updated_at, updated_by)
    VALUES ($1, $2, $3, $4, $5, $6, $5, $6)
    ON CONFLICT (review_app_id, name) DO UPDATE SET
        position = excluded.position, definition = excluded.definition,
        updated_at = excluded.updated_at, updated_by = excluded.updated_by";

const DELETE_SCHEMA: &str = "DELETE FROM ts_label_schemas WHERE review_app_id = $1 AND name = $2";

impl Store {
    /// The review app of an experiment.
    pub async fn find_review_app(&self, id: &ExperimentId) -> Result<Option<ReviewApp>, StoreError> {
        read(&mut *self.connection().await?, FIND, id.as_str()).await
    }

    /// The review app of this id.
    pub async fn get_review_app(&self, id: &ReviewAppId) -> Result<Option<ReviewApp>, StoreError> {
        read(&mut *self.connection().await?, GET, id.as_str()).await
    }

    /// Makes a review app; a conflict when its experiment has one.
    pub async fn create_review_app(
        &self,
        new: &NewReviewApp,
        by: &str,
    ) -> Result<Changed<ReviewApp>, StoreError> {
        let mut tx = self.writing().await?;
        let now = now_ms();
        let made = query(INSERT)
            .bind(new.review_app_id.as_str())
            .bind(new.experiment_id.as_str())
            .bind(json_text(&new.agents))
            .bind(now)
            .bind(by)
            .execute(&mut *tx)
            .await?;
        if made.rows_affected() == 0 {
            return Ok(Changed::Conflict);
        }
        put_schemas(&mut tx, &new.review_app_id, &[], &new.labeling_schemas, now, by).await?;
        let app = read(&mut tx, GET, new.review_app_id.as_str()).await?;
        tx.commit().await?;
        Ok(app.map_or(Changed::Missing, Changed::Done))
    }

    /// Writes agents and label schemas of a review app as they are given, if it is still as it was read: a conflict
    /// when its `last_update_time` is not the newest.
    pub async fn update_review_app(
        &self,
        app: &ReviewApp,
        by: &str,
    ) -> Result<Changed<ReviewApp>, StoreError> {
        let mut tx = self.writing().await?;
        let seen = version_of(app.last_update_time.as_ref());
        let now = next_version(seen);
        let updated = query(UPDATE)
            .bind(app.review_app_id.as_str())
            .bind(seen)
            .bind(json_text(&app.agents))
            .bind(now)
            .bind(by)
            .execute(&mut *tx)
            .await?;
        // Within the transaction, after the app's row is locked: the schemas of exactly the version that is replaced.
        let Some(before) = read(&mut tx, GET, app.review_app_id.as_str()).await? else {
            return Ok(Changed::Missing);
        };
        if updated.rows_affected() == 0 {
            return Ok(Changed::Conflict);
        }
        let old = &before.labeling_schemas;
        put_schemas(&mut tx, &app.review_app_id, old, &app.labeling_schemas, now, by).await?;
        let app = read(&mut tx, GET, app.review_app_id.as_str()).await?;
        tx.commit().await?;
        Ok(app.map_or(Changed::Missing, Changed::Done))
    }
}

async fn read(
    connection: &mut AnyConnection,
    sql: &'static str,
    id: &str,
) -> Result<Option<ReviewApp>, StoreError> {
    let Some(row) = query(sql).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let row = Reader {
        table: "ts_review_apps",
        row: &row,
    };
    let review_app_id: ReviewAppId = row.id("review_app_id")?;
    let schemas = query(SCHEMAS).bind(review_app_id.as_str());
    let mut labeling_schemas = Vec::new();
    for row in schemas.fetch_all(connection).await? {
        let row = Reader {
            table: "ts_label_schemas",
            row: &row,
        };
        labeling_schemas.push(row.json("definition")?);
    }
    Ok(Some(ReviewApp {
        review_app_id,
        experiment_id: row.id("experiment_id")?,
        agents: row.json("agents")?,
        labeling_schemas,
        last_update_time: Some(row.time("updated_at")?),
    }))
}

/// Brings the schemas from one list to another; those that stay as they are keep their trail.
async fn put_schemas(
    connection: &mut AnyConnection,
    app: &ReviewAppId,
    old: &[LabelSchema],
    new: &[LabelSchema],
    now: i64,
    by: &str,
) -> Result<(), StoreError> {
    let places = |schemas: &[LabelSchema]| -> HashMap<String, i64> {
        let names = schemas.iter().map(|schema| schema.name.clone());
        names.zip(0..).collect()
    };
    let (old_places, new_places) = (places(old), places(new));
    for gone in old.iter().filter(|schema| !new_places.contains_key(&schema.name)) {
        let delete = query(DELETE_SCHEMA).bind(app.as_str()).bind(&gone.name);
        delete.execute(&mut *connection).await?;
    }
    for (schema, position) in new.iter().zip(0_i64..) {
        let is_same_place = old_places.get(&schema.name) == Some(&position);
        if is_same_place && old.contains(schema) {
            continue;
        }
        query(PUT_SCHEMA)
            .bind(app.as_str())
            .bind(&schema.name)
            .bind(position)
            .bind(json_text(schema))
            .bind(now)
            .bind(by)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
