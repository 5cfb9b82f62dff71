//! Review apps.

use axum::response::Response;
use domain::{ExperimentId, LabelSchema, ReviewApp, ReviewAppChange, ReviewAppId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::versioned;
use crate::extract::{Asking, IfMatch, Json, Listing, PathId, Query, Seen, Served, UpdateMask};
use crate::problem::Problem;
use crate::routes::problems::{
    BodyProblems, ConflictProblems, QueryProblems, ReadProblems, UnknownProblems, UpstreamProblems,
};

/// Review apps, one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewAppPage {
    /// The review apps.
    review_apps: Vec<ReviewApp>,
    /// Always null: an experiment has one review app or none.
    #[schema(example = json!(null))]
    next_page_token: Option<String>,
}

/// What a review app is made of.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ReviewAppBody {
    /// The experiment whose traces are reviewed; required when one is made, and not changed later.
    #[schema(value_type = Option<String>, example = "1")]
    experiment_id: Option<ExperimentId>,
    /// Agents that reviewers may chat with.
    #[schema(value_type = Option<Vec<Object>>, example = json!([{"agent_name": "support"}]))]
    agents: Option<Vec<Value>>,
    /// What reviewers can be asked.
    labeling_schemas: Option<Vec<LabelSchema>>,
}

/// The review apps of an experiment (`filter=experiment_id=ID`), else of the configured one: one or none.
#[utoipa::path(
    get,
    path = "/api/review-apps",
    tag = "reviews",
    params(Listing),
    responses((status = 200, description = "The review apps", body = ReviewAppPage), ReadProblems, QueryProblems, UpstreamProblems)
)]
pub async fn list_review_apps(
    Asking(_): Asking,
    Served(services): Served,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let conditions = listing.conditions(&["experiment_id"])?;
    let found = match conditions.into_iter().next() {
        Some((_, id)) => {
            let id = id
                .parse()
                .map_err(|broken: domain::InvalidId| Problem::invalid_field("filter", broken.to_string()))?;
            services.find_review_app(&id).await?
        }
        None => services.review_app().await?,
    };
    let page = ReviewAppPage {
        review_apps: found.into_iter().collect(),
        next_page_token: None,
    };
    Ok(versioned(&page, None))
}

/// A review app.
#[utoipa::path(
    get,
    path = "/api/review-apps/{review_app_id}",
    tag = "reviews",
    params(("review_app_id" = String, Path, description = "The review app's id", example = "4b2f0d6c8e1a4f7d9c3b5a7e6f8d0c1b")),
    responses((status = 200, description = "The review app", body = ReviewApp, headers(("etag" = String, description = "Its version, for `If-Match`"))), ReadProblems, UpstreamProblems)
)]
pub async fn get_review_app(
    Asking(_): Asking,
    PathId(id): PathId<ReviewAppId>,
    Served(services): Served,
) -> Result<Response, Problem> {
    let app = services.get_review_app(&id).await?;
    Ok(versioned(&app, app.last_update_time.as_ref()))
}

/// Makes the review app of an experiment.
#[utoipa::path(
    post,
    path = "/api/review-apps",
    tag = "reviews",
    request_body = ReviewAppBody,
    responses(
        (status = 200, description = "The review app", body = ReviewApp, headers(("etag" = String, description = "Its version, for `If-Match`"))),
        UnknownProblems,
        ConflictProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn create_review_app(
    Asking(identity): Asking,
    Served(services): Served,
    Json(body): Json<ReviewAppBody>,
) -> Result<Response, Problem> {
    let experiment = body
        .experiment_id
        .ok_or_else(|| Problem::invalid_field("experiment_id", "is required"))?;
    let members = ReviewAppChange {
        agents: body.agents,
        labeling_schemas: body.labeling_schemas,
    };
    let app = services
        .create_review_app(experiment, members, identity.user_name)
        .await?;
    Ok(versioned(&app, app.last_update_time.as_ref()))
}

/// Changes a review app. With `If-Match` (the `ETag` it came with) a change by another is a conflict.
#[utoipa::path(
    patch,
    path = "/api/review-apps/{review_app_id}",
    tag = "reviews",
    params(
        ("review_app_id" = String, Path, description = "The review app's id", example = "4b2f0d6c8e1a4f7d9c3b5a7e6f8d0c1b"),
        UpdateMask,
        IfMatch
    ),
    request_body = ReviewAppBody,
    responses(
        (status = 200, description = "The review app as it is now", body = ReviewApp, headers(("etag" = String, description = "Its version, for `If-Match`"))),
        UnknownProblems,
        ConflictProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn update_review_app(
    Asking(identity): Asking,
    PathId(id): PathId<ReviewAppId>,
    Served(services): Served,
    Query(mask): Query<UpdateMask>,
    seen: Seen,
    Json(body): Json<ReviewAppBody>,
) -> Result<Response, Problem> {
    let mask = mask.among(&["agents", "labeling_schemas"])?;
    let change = ReviewAppChange {
        agents: mask.emptied("agents", body.agents),
        labeling_schemas: mask.emptied("labeling_schemas", body.labeling_schemas),
    };
    let app = services
        .update_review_app(id, change, seen.or(None), identity.user_name)
        .await?;
    Ok(versioned(&app, app.last_update_time.as_ref()))
}
