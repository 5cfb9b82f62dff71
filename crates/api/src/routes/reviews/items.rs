//! Items of a labeling session.

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use axum::response::Response;
use domain::{Item, ItemChange, ItemId, ItemState, Label, LabelingSessionId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::ItemFilter;
use utoipa::ToSchema;

use super::linking::MAX_TRACES;
use super::{Done, versioned};
use crate::extract::{Asking, AtLeastOne, IfMatch, Json, Listing, PathId, Query, Seen, Served, UpdateMask};
use crate::problem::Problem;
use crate::routes::problems::{
    BodyProblems, ConflictProblems, QueryProblems, ReadProblems, UnknownProblems, UpstreamProblems,
};

/// Items, one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemPage {
    /// The items, in the order they were added.
    items: Vec<Item>,
    /// Where the next page begins; null on the last.
    #[schema(example = "3136392e306631653264")]
    next_page_token: Option<String>,
}

/// What an item is made for.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewItemSource {
    /// The trace.
    #[schema(value_type = String, example = "tr-6513270e269e0d37f2a74de452e6b438")]
    trace_id: TraceId,
}

/// An item to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewItem {
    /// What it is about.
    source: NewItemSource,
}

/// Items to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewItemsBody {
    /// 1 to 10000 items.
    #[schema(value_type = Vec<NewItem>, min_items = 1, max_items = 10000)]
    items: AtLeastOne<NewItem, MAX_TRACES>,
}

/// Items of the traces that were named.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedItems {
    /// The items, those that were there already among them.
    items: Vec<Item>,
}

/// How an item changes.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ItemBody {
    /// How far it has come.
    state: Option<ItemState>,
    /// Labels by name, set one by one: those that are not named stay, null takes one away.
    #[schema(value_type = Option<BTreeMap<String, Label>>, example = json!({"tone": {"value": "friendly", "comment": "throughout"}}))]
    labels: Option<BTreeMap<String, Option<Label>>>,
    /// Said about the item as a whole.
    #[schema(max_length = 20000, example = "The customer was asked twice.")]
    comment: Option<String>,
    /// Rounds of chat with an agent, all anew.
    #[schema(value_type = Option<Vec<Object>>, example = json!([]))]
    chat_rounds: Option<Vec<Value>>,
    /// The version that the change is made to; when it is not the newest any more, the change is a conflict.
    #[schema(value_type = Option<String>, example = "2026-11-23T18:09:40.120Z")]
    last_update_time: Option<Timestamp>,
}

/// The items of a session, in the order they were added. They can be filtered by `state`.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions/{labeling_session_id}/items",
    tag = "reviews",
    params(
        ("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"),
        Listing
    ),
    responses((status = 200, description = "A page of items", body = ItemPage), ReadProblems, QueryProblems, UpstreamProblems)
)]
pub async fn list_items(
    PathId(session): PathId<LabelingSessionId>,
    Served(services): Served,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let mut filter = ItemFilter::default();
    for (_, value) in listing.conditions(&["state"])? {
        let state = value.parse();
        filter.state = Some(state.map_err(|broken: domain::BrokenRule| {
            Problem::invalid_field("filter", format!("by state {}", broken.rule))
        })?);
    }
    let page = services.list_items(&session, filter, listing.page()).await?;
    let page = ItemPage {
        items: page.entries,
        next_page_token: page.next_page_token,
    };
    Ok(versioned(&page, None))
}

/// Makes items without linking their traces to the session's run; `link-traces` does both. A trace that has an item
/// keeps it.
#[utoipa::path(
    post,
    path = "/api/labeling-sessions/{labeling_session_id}/items/batchCreate",
    tag = "reviews",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    request_body = NewItemsBody,
    responses(
        (status = 200, description = "The items", body = CreatedItems),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn create_items(
    Asking(identity): Asking,
    PathId(session): PathId<LabelingSessionId>,
    Served(services): Served,
    Json(body): Json<NewItemsBody>,
) -> Result<JsonAnswer<CreatedItems>, Problem> {
    let traces = body
        .items
        .0
        .into_iter()
        .map(|item| item.source.trace_id)
        .collect();
    let items = services.create_items(session, traces, identity.user_name).await?;
    Ok(JsonAnswer(CreatedItems { items }))
}

/// An item.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions/{labeling_session_id}/items/{item_id}",
    tag = "reviews",
    params(
        ("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"),
        ("item_id" = String, Path, description = "The item's id", example = "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    ),
    responses((status = 200, description = "The item", body = Item, headers(("etag" = String, description = "Its version, for `If-Match`"))), ReadProblems, UpstreamProblems)
)]
pub async fn get_item(
    PathId(session): PathId<LabelingSessionId>,
    PathId(id): PathId<ItemId>,
    Served(services): Served,
) -> Result<Response, Problem> {
    let item = services.get_item(&session, &id).await?;
    Ok(versioned(&item, item.last_update_time.as_ref()))
}

/// Changes an item. With `If-Match` (the `ETag` it came with) or `last_update_time` a change by another is a conflict;
/// without, the change is made to the newest version, so that what others changed beside it stays.
#[utoipa::path(
    patch,
    path = "/api/labeling-sessions/{labeling_session_id}/items/{item_id}",
    tag = "reviews",
    params(
        ("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"),
        ("item_id" = String, Path, description = "The item's id", example = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        UpdateMask,
        IfMatch
    ),
    request_body = ItemBody,
    responses(
        (status = 200, description = "The item as it is now", body = Item, headers(("etag" = String, description = "Its version, for `If-Match`"))),
        UnknownProblems,
        ConflictProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn update_item(
    Asking(identity): Asking,
    PathId(session): PathId<LabelingSessionId>,
    PathId(id): PathId<ItemId>,
    Served(services): Served,
    Query(mask): Query<UpdateMask>,
    seen: Seen,
    Json(body): Json<ItemBody>,
) -> Result<Response, Problem> {
    let mask = mask.among(&["state", "labels", "comment", "chat_rounds"])?;
    let change = ItemChange {
        state: mask.required("state", body.state)?,
        labels: mask.required("labels", body.labels)?,
        comment: mask.clearable("comment", body.comment),
        chat_rounds: mask.emptied("chat_rounds", body.chat_rounds),
    };
    let seen = seen.or(body.last_update_time);
    let item = services
        .update_item(session, id, change, seen, identity.user_name)
        .await?;
    Ok(versioned(&item, item.last_update_time.as_ref()))
}

/// Takes an item away. Its trace stays linked to the session's run, and labels already given stay.
#[utoipa::path(
    delete,
    path = "/api/labeling-sessions/{labeling_session_id}/items/{item_id}",
    tag = "reviews",
    params(
        ("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"),
        ("item_id" = String, Path, description = "The item's id", example = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        IfMatch
    ),
    responses((status = 200, description = "It is deleted", body = Done), ReadProblems, QueryProblems, ConflictProblems, UpstreamProblems)
)]
pub async fn delete_item(
    PathId(session): PathId<LabelingSessionId>,
    PathId(id): PathId<ItemId>,
    Served(services): Served,
    seen: Seen,
) -> Result<JsonAnswer<Done>, Problem> {
    let message = format!("the item {id} is deleted");
    services.delete_item(session, id, seen.or(None)).await?;
    Ok(JsonAnswer(Done { message }))
}
