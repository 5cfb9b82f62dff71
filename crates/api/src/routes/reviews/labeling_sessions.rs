//! Labeling sessions of the configured experiment's review app.

use axum::Json as JsonAnswer;
use axum::response::Response;
use domain::{LabelSchemaRef, LabelingSession, LabelingSessionId, SessionChange, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::SessionFilter;
use utoipa::ToSchema;

use super::{Done, versioned};
use crate::extract::{Asking, IfMatch, Json, Listing, Mask, PathId, Query, Seen, Served, UpdateMask};
use crate::problem::Problem;
use crate::routes::problems::{
    BodyProblems, ConflictProblems, QueryProblems, ReadProblems, UnknownProblems, UpstreamProblems,
};

/// Labeling sessions, one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelingSessionPage {
    /// The sessions, the oldest first.
    labeling_sessions: Vec<LabelingSession>,
    /// Where the next page begins; null on the last.
    #[schema(example = "3136392e306631653264")]
    next_page_token: Option<String>,
}

/// What a labeling session is made of.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LabelingSessionBody {
    /// The session's name; required when one is made.
    #[schema(max_length = 250, example = "Week 47")]
    name: Option<String>,
    /// Who labels: names or e-mail addresses, in any case.
    #[schema(example = json!(["ann@example.com"]))]
    assigned_users: Option<Vec<String>>,
    /// What reviewers are asked: label schemas that there are.
    labeling_schemas: Option<Vec<LabelSchemaRef>>,
    /// The agent that reviewers chat with.
    #[schema(value_type = Option<Object>, example = json!({"agent_name": "support"}))]
    agent: Option<Value>,
    /// The dataset that its items come from.
    #[schema(value_type = Option<Object>, example = json!({"dataset_name": "orders"}))]
    dataset: Option<Value>,
    /// Further settings.
    #[schema(value_type = Option<Object>, example = json!({"disable_multi_turn_chat": true}))]
    additional_configs: Option<Value>,
    /// The version that a change is made to; when it is not the newest any more, the change is a conflict.
    #[schema(value_type = Option<String>, example = "2026-11-23T18:09:40.120Z")]
    last_update_time: Option<Timestamp>,
}

const MEMBERS: [&str; 6] = [
    "name",
    "assigned_users",
    "labeling_schemas",
    "agent",
    "dataset",
    "additional_configs",
];

impl LabelingSessionBody {
    fn into_change(self, mask: &Mask) -> Result<SessionChange, Problem> {
        Ok(SessionChange {
            name: mask.required("name", self.name)?,
            assigned_users: mask.emptied("assigned_users", self.assigned_users),
            labeling_schemas: mask.emptied("labeling_schemas", self.labeling_schemas),
            agent: mask.clearable("agent", self.agent),
            dataset: mask.clearable("dataset", self.dataset),
            additional_configs: mask.clearable("additional_configs", self.additional_configs),
        })
    }
}

/// A session as this user is shown it, with its version.
fn shown(mut session: LabelingSession, user: &str) -> Response {
    session.spell(user);
    versioned(&session, session.last_update_time.as_ref())
}

/// The sessions that the user reaches, the oldest first: a developer all, a reviewer those assigned to them. They can be
/// filtered by `name`, `assigned_users` (one name), `created_by` and `mlflow_run_id`.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions",
    tag = "reviews",
    params(Listing),
    responses((status = 200, description = "A page of sessions", body = LabelingSessionPage), ReadProblems, QueryProblems, UpstreamProblems)
)]
pub async fn list_labeling_sessions(
    Asking(identity): Asking,
    Served(services): Served,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let mut filter = SessionFilter::default();
    for (member, value) in listing.conditions(&["name", "assigned_users", "created_by", "mlflow_run_id"])? {
        match member {
            "name" => filter.name = Some(value),
            "created_by" => filter.created_by = Some(value),
            "assigned_users" => filter.assigned_to = Some(vec![value]),
            _ => {
                let run = value.parse().map_err(|broken: domain::InvalidId| {
                    Problem::invalid_field("filter", broken.to_string())
                })?;
                filter.mlflow_run_id = Some(run);
            }
        }
    }
    let mut page = services
        .list_labeling_sessions(filter, listing.page(), &identity)
        .await?;
    for session in &mut page.entries {
        session.spell(&identity.user_name);
    }
    let page = LabelingSessionPage {
        labeling_sessions: page.entries,
        next_page_token: page.next_page_token,
    };
    Ok(versioned(&page, None))
}

/// Makes a labeling session and its MLflow run; makes the experiment's review app if there is none.
#[utoipa::path(
    post,
    path = "/api/labeling-sessions",
    tag = "reviews",
    request_body = LabelingSessionBody,
    responses((status = 200, description = "The session", body = LabelingSession, headers(("etag" = String, description = "Its version, for `If-Match`"))), ConflictProblems, BodyProblems, UpstreamProblems)
)]
pub async fn create_labeling_session(
    Asking(identity): Asking,
    Served(services): Served,
    Json(body): Json<LabelingSessionBody>,
) -> Result<Response, Problem> {
    let members = body.into_change(&UpdateMask::default().among(&MEMBERS)?)?;
    let asking = identity.user_name;
    let session = services.create_labeling_session(members, asking.clone()).await?;
    Ok(shown(session, &asking))
}

/// A labeling session.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions/{labeling_session_id}",
    tag = "reviews",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    responses((status = 200, description = "The session", body = LabelingSession, headers(("etag" = String, description = "Its version, for `If-Match`"))), ReadProblems, UpstreamProblems)
)]
pub async fn get_labeling_session(
    Asking(identity): Asking,
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
) -> Result<Response, Problem> {
    let session = services.get_labeling_session(&id).await?;
    Ok(shown(session, &identity.user_name))
}

/// Changes a labeling session. With `If-Match` (the `ETag` it came with) or `last_update_time` a change by another is a
/// conflict; without, the change is made to the newest version.
#[utoipa::path(
    patch,
    path = "/api/labeling-sessions/{labeling_session_id}",
    tag = "reviews",
    params(
        ("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"),
        UpdateMask,
        IfMatch
    ),
    request_body = LabelingSessionBody,
    responses(
        (status = 200, description = "The session as it is now", body = LabelingSession, headers(("etag" = String, description = "Its version, for `If-Match`"))),
        UnknownProblems,
        ConflictProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn update_labeling_session(
    Asking(identity): Asking,
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
    Query(mask): Query<UpdateMask>,
    seen: Seen,
    Json(mut body): Json<LabelingSessionBody>,
) -> Result<Response, Problem> {
    let seen = seen.or(body.last_update_time.take());
    let change = body.into_change(&mask.among(&MEMBERS)?)?;
    let asking = identity.user_name;
    let session = services
        .update_labeling_session(id, change, seen, asking.clone())
        .await?;
    Ok(shown(session, &asking))
}

/// Takes a labeling session away with its items. Labels already given stay on their traces, and so does its run.
#[utoipa::path(
    delete,
    path = "/api/labeling-sessions/{labeling_session_id}",
    tag = "reviews",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"), IfMatch),
    responses((status = 200, description = "It is deleted", body = Done), ReadProblems, QueryProblems, ConflictProblems, UpstreamProblems)
)]
pub async fn delete_labeling_session(
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
    seen: Seen,
) -> Result<JsonAnswer<Done>, Problem> {
    let message = format!("the labeling session {id} is deleted");
    services.delete_labeling_session(id, seen.or(None)).await?;
    Ok(JsonAnswer(Done { message }))
}
