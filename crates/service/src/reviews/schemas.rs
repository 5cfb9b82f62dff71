//! Label schemas of the configured experiment's review app.

use domain::{LabelSchema, LabelingSession, ReviewAppId, Timestamp};

use super::pages::all_sessions;

use crate::Services;
use crate::error::ServiceError;

const FIELDS: [&str; 1] = ["labeling_schemas"];

impl Services {
    /// The label schemas, in the order they are shown, and when one of them last changed.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list_label_schemas(&self) -> Result<(Vec<LabelSchema>, Option<Timestamp>), ServiceError> {
        let app = self.review_app().await?;
        Ok(app.map_or_else(Default::default, |app| {
            (app.labeling_schemas, app.last_update_time)
        }))
    }

    /// Adds a label schema; makes the review app if there is none.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when there is one of this name.
    pub async fn create_label_schema(
        &self,
        schema: LabelSchema,
        by: String,
    ) -> Result<LabelSchema, ServiceError> {
        schema.check()?;
        let app = self.own_review_app(&by).await?;
        let new = schema.clone();
        self.change_app(app.review_app_id, FIELDS.to_vec(), None, by, move |app| {
            if app.schema(&new.name).is_some() {
                return Err(taken(&new.name));
            }
            Ok(app.add_schema(new.clone())?)
        })
        .await?;
        Ok(schema)
    }

    /// Replaces the label schema of this name. It may get another name unless a session refers to it.
    ///
    /// # Errors
    /// [`ServiceError::SchemaNotFound`]; [`ServiceError::Conflict`] when the new name is another's, or when a session
    /// refers to the old one: its reviewers would not be asked any more, and their labels have the old name.
    pub async fn update_label_schema(
        &self,
        name: String,
        schema: LabelSchema,
        seen: Option<Timestamp>,
        by: String,
    ) -> Result<LabelSchema, ServiceError> {
        let id = self.review_app_id().await?;
        let id = id.ok_or_else(|| ServiceError::SchemaNotFound(name.clone()))?;
        if schema.name == name {
            schema.check_members()?;
        } else {
            schema.check()?;
            self.check_unused(&id, &name).await?;
        }
        let new = schema.clone();
        self.change_app(id, FIELDS.to_vec(), seen, by, move |app| {
            let place = app.labeling_schemas.iter().position(|schema| schema.name == name);
            let place = place.ok_or_else(|| ServiceError::SchemaNotFound(name.clone()))?;
            if new.name != name && app.schema(&new.name).is_some() {
                return Err(taken(&new.name));
            }
            app.labeling_schemas[place] = new.clone();
            Ok(())
        })
        .await?;
        Ok(schema)
    }

    async fn check_unused(&self, app: &ReviewAppId, name: &str) -> Result<(), ServiceError> {
        let sessions = all_sessions(&*self.reviews, app).await?;
        let refers =
            |session: &LabelingSession| session.labeling_schemas.iter().any(|schema| schema.name == name);
        match sessions.iter().find(|session| refers(session)) {
            Some(session) => Err(ServiceError::Conflict(format!(
                "the labeling session {:?} refers to the label schema {name:?}, which keeps its name therefore",
                session.name
            ))),
            None => Ok(()),
        }
    }

    /// Takes a label schema away. Sessions that name it go on without it; labels given by it stay.
    ///
    /// # Errors
    /// [`ServiceError::SchemaNotFound`].
    pub async fn delete_label_schema(
        &self,
        name: String,
        seen: Option<Timestamp>,
        by: String,
    ) -> Result<(), ServiceError> {
        let id = self.review_app_id().await?;
        let id = id.ok_or_else(|| ServiceError::SchemaNotFound(name.clone()))?;
        self.change_app(id, FIELDS.to_vec(), seen, by, move |app| {
            let count = app.labeling_schemas.len();
            app.labeling_schemas.retain(|schema| schema.name != name);
            if app.labeling_schemas.len() == count {
                return Err(ServiceError::SchemaNotFound(name.clone()));
            }
            Ok(())
        })
        .await
        .map(|_| ())
    }
}

fn taken(name: &str) -> ServiceError {
    ServiceError::Conflict(format!("there is a label schema named {name:?} already"))
}
