//! Labeling sessions and who is assigned to them.

use domain::{
    LabelSchemaRef, LabelingSession, LabelingSessionId, ReviewAppId, RunId, SessionChange, user_key,
};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use crate::clock::{next_version, now_ms, version_of};
use crate::error::StoreError;
use crate::page::{Page, PageRequest, Place};
use crate::row::{Reader, Trail, json_text};
use crate::{Changed, Store};

/// What a new labeling session is made from.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id, not given to any other.
    pub labeling_session_id: LabelingSessionId,
    /// The review app it belongs to.
    pub review_app_id: ReviewAppId,
    /// The run that its traces are linked to.
    pub mlflow_run_id: RunId,
    /// Everything else.
    pub members: SessionChange,
}

/// Which sessions of a review app; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Assigned to somebody who goes by one of these names, in any case.
    pub assigned_to: Option<Vec<String>>,
    /// Of this name.
    pub name: Option<String>,
    /// Made by this user.
    pub created_by: Option<String>,
    /// With this run.
    pub mlflow_run_id: Option<RunId>,
}

/// Every column that is read, by name: a newer release may have added others.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT labeling_session_id, mlflow_run_id, name, assigned_users, labeling_schemas, agent, dataset, \
             additional_configs, created_at, created_by, updated_at, updated_by FROM ts_labeling_sessions ",
            $rest
        )
    };
}

const LIST_SQLITE: &str = select!("
    WHERE review_app_id = $1 AND (created_at, labeling_session_id) > ($2, $3)
        AND ($4 IS NULL OR labeling_session_id IN (
            SELECT labeling_session_id FROM ts_session_users WHERE user_key IN (SELECT value FROM json_each($4))))
        AND ($5 IS NULL OR name = $5)
        AND ($6 IS NULL OR created_by = $6)
        AND ($7 IS NULL OR mlflow_run_id = $7)
    ORDER BY created_at, labeling_session_id LIMIT $8");

const LIST_POSTGRES: &str = select!(
    "
    WHERE review_app_id = $1 AND (created_at, labeling_session_id) > ($2, $3)
        AND ($4::text IS NULL OR labeling_session_id IN (
            SELECT labeling_session_id FROM ts_session_users
            WHERE user_key IN (SELECT jsonb_array_elements_text($4::jsonb))))
        AND ($5::text IS NULL OR name = $5)
        AND ($6::text IS NULL OR created_by = $6)
        AND ($7::text IS NULL OR mlflow_run_id = $7)
    ORDER BY created_at, labeling_session_id LIMIT $8"
);

const GET: &str = select!("WHERE review_app_id = $1 AND labeling_session_id = $2");

const INSERT: &str = "
    INSERT INTO ts_labeling_sessions
        (labeling_session_id, review_app_id, mlflow_run_id, name, assigned_users, labeling_schemas, agent, dataset,
        additional_configs, created_at, created_by, updated_at, updated_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10, $11)";

const UPDATE: &str = "
    UPDATE ts_labeling_sessions SET name = $4, assigned_users = $5, labeling_schemas = $6, agent = $7, dataset = $8,
        additional_configs = $9, updated_at = $10, updated_by = $11
    WHERE review_app_id = $1 AND labeling_session_id = $2 AND updated_at = $3";

const DELETE: &str = "DELETE FROM ts_labeling_sessions WHERE review_app_id = $1 AND labeling_session_id = $2";

const FORGET_USERS: &str = "DELETE FROM ts_session_users WHERE labeling_session_id = $1";

const ASSIGN_SQLITE: &str = "
    INSERT INTO ts_session_users (labeling_session_id, user_key)
    SELECT $1, value FROM json_each($2) WHERE true ON CONFLICT DO NOTHING";

const ASSIGN_POSTGRES: &str = "
    INSERT INTO ts_session_users (labeling_session_id, user_key)
    SELECT $1, jsonb_array_elements_text($2::jsonb) ON CONFLICT DO NOTHING";

impl Store {
    /// The sessions of a review app, the oldest first.
    pub async fn list_sessions(
        &self,
        app: &ReviewAppId,
        filter: &SessionFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<LabelingSession>, StoreError> {
        let after = page.after()?;
        let rows = query(self.dialect.pick(LIST_SQLITE, LIST_POSTGRES))
            .bind(app.as_str())
            .bind(after.number)
            .bind(after.id)
            .bind(filter.assigned_to.as_deref().map(keys_text))
            .bind(filter.name.as_deref())
            .bind(filter.created_by.as_deref())
            .bind(filter.mlflow_run_id.as_ref().map(RunId::as_str))
            .bind(page.limit())
            .fetch_all(&mut *self.connection().await?)
            .await?;
        let placed = rows.iter().map(|row| {
            let session = session(row)?;
            let place = Place {
                number: reader(row).get("created_at")?,
                id: session.labeling_session_id.as_str().to_owned(),
            };
            Ok((place, session))
        });
        Ok(page.page(placed.collect::<Result<_, StoreError>>()?))
    }

    /// One session of a review app.
    pub async fn get_session(
        &self,
        app: &ReviewAppId,
        id: &LabelingSessionId,
    ) -> Result<Option<LabelingSession>, StoreError> {
        read(&mut *self.connection().await?, app, id).await
    }

    /// Makes a session; missing when there is no such review app.
    pub async fn create_session(
        &self,
        new: &NewSession,
        by: &str,
    ) -> Result<Changed<LabelingSession>, StoreError> {
        let mut tx = self.writing().await?;
        let members = &new.members;
        let users = members.assigned_users.as_deref().unwrap_or_default();
        let schemas = members.labeling_schemas.as_deref().unwrap_or_default();
        let inserted = query(INSERT)
            .bind(new.labeling_session_id.as_str())
            .bind(new.review_app_id.as_str())
            .bind(new.mlflow_run_id.as_str())
            .bind(members.name.as_deref().unwrap_or_default())
            .bind(json_text(&users))
            .bind(json_text(&schemas))
            .bind(members.agent.iter().flatten().next().map(json_text))
            .bind(members.dataset.iter().flatten().next().map(json_text))
            .bind(members.additional_configs.iter().flatten().next().map(json_text))
            .bind(now_ms())
            .bind(by)
            .execute(&mut *tx)
            .await;
        match inserted {
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                return Ok(Changed::Missing);
            }
            inserted => inserted?,
        };
        self.assign(&mut tx, &new.labeling_session_id, users).await?;
        let session = read(&mut tx, &new.review_app_id, &new.labeling_session_id).await?;
        tx.commit().await?;
        Ok(session.map_or(Changed::Missing, Changed::Done))
    }

    /// Writes a session's members as they are given, if it is still as it was read: a conflict when its
    /// `last_update_time` is not the newest.
    pub async fn update_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
        by: &str,
    ) -> Result<Changed<LabelingSession>, StoreError> {
        let mut tx = self.writing().await?;
        let id = &session.labeling_session_id;
        let seen = version_of(session.last_update_time.as_ref());
        let updated = query(UPDATE)
            .bind(app.as_str())
            .bind(id.as_str())
            .bind(seen)
            .bind(&session.name)
            .bind(json_text(&session.assigned_users))
            .bind(json_text(&session.labeling_schemas))
            .bind(session.agent.as_ref().map(json_text))
            .bind(session.dataset.as_ref().map(json_text))
            .bind(session.additional_configs.as_ref().map(json_text))
            .bind(next_version(seen))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        if updated.rows_affected() == 0 {
            let is_there = read(&mut tx, app, id).await?.is_some();
            return Ok(if is_there {
                Changed::Conflict
            } else {
                Changed::Missing
            });
        }
        query(FORGET_USERS).bind(id.as_str()).execute(&mut *tx).await?;
        self.assign(&mut tx, id, &session.assigned_users).await?;
        let session = read(&mut tx, app, id).await?;
        tx.commit().await?;
        Ok(session.map_or(Changed::Missing, Changed::Done))
    }

    async fn assign(
        &self,
        connection: &mut AnyConnection,
        id: &LabelingSessionId,
        users: &[String],
    ) -> Result<(), StoreError> {
        query(self.dialect.pick(ASSIGN_SQLITE, ASSIGN_POSTGRES))
            .bind(id.as_str())
            .bind(keys_text(users))
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Takes a session away with its items; false when there was none.
    pub async fn delete_session(
        &self,
        app: &ReviewAppId,
        id: &LabelingSessionId,
    ) -> Result<bool, StoreError> {
        let delete = query(DELETE).bind(app.as_str()).bind(id.as_str());
        let deleted = delete.execute(&mut *self.connection().await?).await?;
        Ok(deleted.rows_affected() > 0)
    }
}

async fn read(
    connection: &mut AnyConnection,
    app: &ReviewAppId,
    id: &LabelingSessionId,
) -> Result<Option<LabelingSession>, StoreError> {
    let get = query(GET).bind(app.as_str()).bind(id.as_str());
    let row = get.fetch_optional(connection).await?;
    row.as_ref().map(session).transpose()
}

/// Names as a JSON list, in the form they are looked up by.
pub(crate) fn keys_text(names: &[String]) -> String {
    let keys: Vec<_> = names.iter().map(|name| user_key(name)).collect();
    json_text(&keys)
}

fn reader(row: &AnyRow) -> Reader<'_> {
    Reader {
        table: "ts_labeling_sessions",
        row,
    }
}

fn session(row: &AnyRow) -> Result<LabelingSession, StoreError> {
    let row = reader(row);
    let Trail {
        created_at,
        created_by,
        updated_at,
        updated_by,
    } = row.trail()?;
    Ok(LabelingSession {
        labeling_session_id: row.id("labeling_session_id")?,
        mlflow_run_id: Some(row.id("mlflow_run_id")?),
        create_time: Some(created_at),
        created_by: Some(created_by),
        last_update_time: Some(updated_at),
        last_updated_by: Some(updated_by),
        name: row.get("name")?,
        assigned_users: row.json("assigned_users")?,
        agent: row.optional_json("agent")?,
        labeling_schemas: row.json::<Vec<LabelSchemaRef>>("labeling_schemas")?,
        dataset: row.optional_json("dataset")?,
        additional_configs: row.optional_json("additional_configs")?,
    })
}
