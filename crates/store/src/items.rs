//! Items: the traces of a labeling session, and how far each has come.

use domain::{Item, ItemId, ItemSource, ItemState, LabelingSessionId, ReviewAppId, TraceId};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use crate::clock::{next_version, now_ms, version_of};
use crate::error::StoreError;
use crate::page::{Page, PageRequest, Place};
use crate::row::{Reader, Trail, json_text};
use crate::{Changed, Store};

/// Which items of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// Those in this state.
    pub state: Option<ItemState>,
}

/// An item to be added: its id, not given to any other, and its trace.
#[derive(Debug, Clone, Serialize)]
pub struct NewItem {
    /// The item's id.
    pub item_id: ItemId,
    /// The trace it is about.
    pub trace_id: TraceId,
}

/// Every column that is read, by name: a newer release may have added others.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT item_id, trace_id, position, state, labels, chat_rounds, comment, created_at, created_by, \
             updated_at, updated_by FROM ts_items ",
            $rest
        )
    };
}

const LIST: &str = select!("
    WHERE labeling_session_id = $1 AND (position, item_id) > ($2, $3) AND (CAST($4 AS TEXT) IS NULL OR state = $4)
    ORDER BY position, item_id LIMIT $5");

const GET: &str = select!(
    "
    WHERE labeling_session_id = $1 AND item_id = $2 AND EXISTS (
        SELECT 1 FROM ts_labeling_sessions WHERE labeling_session_id = $1 AND review_app_id = $3)"
);

/// Looks whether the session is there. PostgreSQL locks its row as well: two who add the same items in another order
/// would wait for each other for ever. SQLite has one writer at a time.
const LOCK_SESSION_SQLITE: &str =
    "SELECT labeling_session_id FROM ts_labeling_sessions WHERE labeling_session_id = $1";

const LOCK_SESSION_POSTGRES: &str =
    "SELECT labeling_session_id FROM ts_labeling_sessions WHERE labeling_session_id = $1 FOR UPDATE";

/// Appends to the session those that are not there yet, in the order given.
const ADD_SQLITE: &str = "
    INSERT INTO ts_items (item_id, labeling_session_id, trace_id, position, state, labels, chat_rounds, created_at,
        created_by, updated_at, updated_by)
    SELECT json_extract(value, '$.item_id'), $1, json_extract(value, '$.trace_id'),
        (SELECT COALESCE(MAX(position), 0) FROM ts_items WHERE labeling_session_id = $1) + 1 + key, 'PENDING', '{}', '[]',
        $3, $4, $3, $4
    FROM json_each($2) WHERE true
    ON CONFLICT (labeling_session_id, trace_id) DO NOTHING";

const ADD_POSTGRES: &str = "
    INSERT INTO ts_items (item_id, labeling_session_id, trace_id, position, state, labels, chat_rounds, created_at,
        created_by, updated_at, updated_by)
    SELECT new.value ->> 'item_id', $1, new.value ->> 'trace_id',
        (SELECT COALESCE(MAX(position), 0) FROM ts_items WHERE labeling_session_id = $1) + new.place, 'PENDING', '{}',
        '[]', $3, $4, $3, $4
    FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS new (value, place)
    ON CONFLICT (labeling_session_id, trace_id) DO NOTHING";

const UPDATE: &str = "
    UPDATE ts_items SET state = $4, labels = $5, chat_rounds = $6, comment = $7, updated_at = $8, updated_by = $9
    WHERE labeling_session_id = $1 AND item_id = $2 AND updated_at = $3 AND EXISTS (
        SELECT 1 FROM ts_labeling_sessions WHERE labeling_session_id = $1 AND review_app_id = $10)";

const DELETE: &str = "
    DELETE FROM ts_items WHERE labeling_session_id = $1 AND item_id = $2 AND EXISTS (
        SELECT 1 FROM ts_labeling_sessions WHERE labeling_session_id = $1 AND review_app_id = $3)";

impl Store {
    /// The items of a session, in the order they were added.
    pub async fn list_items(
        &self,
        session: &LabelingSessionId,
        filter: ItemFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Item>, StoreError> {
        let after = page.after()?;
        let rows = query(LIST)
            .bind(session.as_str())
            .bind(after.number)
            .bind(after.id)
            .bind(filter.state.map(ItemState::as_str))
            .bind(page.limit())
            .fetch_all(&mut *self.connection().await?)
            .await?;
        let placed = rows.iter().map(|row| {
            let item = item(row)?;
            let place = Place {
                number: reader(row).get("position")?,
                id: item.item_id.as_str().to_owned(),
            };
            Ok((place, item))
        });
        Ok(page.page(placed.collect::<Result<_, StoreError>>()?))
    }

    /// One item of a session of a review app.
    pub async fn get_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        id: &ItemId,
    ) -> Result<Option<Item>, StoreError> {
        read(&mut *self.connection().await?, app, session, id).await
    }

    /// Adds items for traces that have none in the session yet, all or none of them; how many were added. Missing when
    /// there is no such session.
    pub async fn add_items(
        &self,
        session: &LabelingSessionId,
        new: &[NewItem],
        by: &str,
    ) -> Result<Changed<u64>, StoreError> {
        let mut tx = self.writing().await?;
        let lock = self.dialect.pick(LOCK_SESSION_SQLITE, LOCK_SESSION_POSTGRES);
        let locked = query(lock)
            .bind(session.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if locked.is_none() {
            return Ok(Changed::Missing);
        }
        let added = query(self.dialect.pick(ADD_SQLITE, ADD_POSTGRES))
            .bind(session.as_str())
            .bind(json_text(&new))
            .bind(now_ms())
            .bind(by)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Changed::Done(added.rows_affected()))
    }

    /// Writes an item's members as they are given, if it is still as it was read: a conflict when its
    /// `last_update_time` is not the newest.
    pub async fn update_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &Item,
        by: &str,
    ) -> Result<Changed<Item>, StoreError> {
        let mut tx = self.writing().await?;
        let seen = version_of(item.last_update_time.as_ref());
        let updated = query(UPDATE)
            .bind(session.as_str())
            .bind(item.item_id.as_str())
            .bind(seen)
            .bind(item.state.as_str())
            .bind(json_text(&item.labels))
            .bind(json_text(&item.chat_rounds))
            .bind(item.comment.as_deref())
            .bind(next_version(seen))
            .bind(by)
            .bind(app.as_str())
            .execute(&mut *tx)
            .await?;
        let now = read(&mut tx, app, session, &item.item_id).await?;
        tx.commit().await?;
        Ok(match now {
            None => Changed::Missing,
            Some(_) if updated.rows_affected() == 0 => Changed::Conflict,
            Some(item) => Changed::Done(item),
        })
    }

    /// Takes an item away; false when there was none.
    pub async fn delete_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        id: &ItemId,
    ) -> Result<bool, StoreError> {
        let delete = query(DELETE)
            .bind(session.as_str())
            .bind(id.as_str())
            .bind(app.as_str());
        let deleted = delete.execute(&mut *self.connection().await?).await?;
        Ok(deleted.rows_affected() > 0)
    }
}

async fn read(
    connection: &mut AnyConnection,
    app: &ReviewAppId,
    session: &LabelingSessionId,
    id: &ItemId,
) -> Result<Option<Item>, StoreError> {
    let get = query(GET)
        .bind(session.as_str())
        .bind(id.as_str())
        .bind(app.as_str());
    let row = get.fetch_optional(connection).await?;
    row.as_ref().map(item).transpose()
}

fn reader(row: &AnyRow) -> Reader<'_> {
    Reader {
        table: "ts_items",
        row,
    }
}

fn item(row: &AnyRow) -> Result<Item, StoreError> {
    let row = reader(row);
    let Trail {
        created_at,
        created_by,
        updated_at,
        updated_by,
    } = row.trail()?;
    let state: String = row.get("state")?;
    Ok(Item {
        item_id: row.id("item_id")?,
        create_time: Some(created_at),
        created_by: Some(created_by),
        last_update_time: Some(updated_at),
        last_updated_by: Some(updated_by),
        source: ItemSource::trace(row.id("trace_id")?),
        state: state.parse().map_err(|_| StoreError::Corrupt {
            table: "ts_items",
            reason: "state is none of ours".to_owned(),
        })?,
        chat_rounds: row.json("chat_rounds")?,
        labels: row.json("labels")?,
        comment: row.get("comment")?,
        request_preview: None,
        response_preview: None,
    })
}
