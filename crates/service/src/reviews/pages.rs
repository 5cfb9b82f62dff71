//! Lists read to their end, page by page.

use std::collections::HashSet;

use domain::{Item, LabelingSession, LabelingSessionId, ReviewAppId};
use store::{ItemFilter, PageRequest, SessionFilter};

use super::ReviewBackend;
use crate::error::ServiceError;

/// The largest page that a workspace gives.
const LARGEST_PAGE: u32 = 1000;

/// Where one is in a list.
#[derive(Debug, Default)]
struct Pager {
    token: Option<String>,
    seen: HashSet<String>,
}

impl Pager {
    fn request(&self) -> PageRequest<'_> {
        PageRequest {
            size: LARGEST_PAGE,
            token: self.token.as_deref(),
        }
    }

    /// Whether there is a page after this one. Tokens that go round in a circle would lead on for ever.
    fn goes_on(&mut self, token: Option<String>) -> Result<bool, ServiceError> {
        self.token = token;
        let Some(token) = &self.token else {
            return Ok(false);
        };
        if !self.seen.insert(token.clone()) {
            tracing::error!(
                pages = self.seen.len(),
                "the pages of a list go round in a circle"
            );
            return Err(ServiceError::Interrupted);
        }
        Ok(true)
    }
}

/// All sessions of a review app.
pub(super) async fn all_sessions(
    reviews: &dyn ReviewBackend,
    app: &ReviewAppId,
) -> Result<Vec<LabelingSession>, ServiceError> {
    let (mut all, mut pager, filter) = (Vec::new(), Pager::default(), SessionFilter::default());
    loop {
        let page = reviews.list_sessions(app, &filter, pager.request()).await?;
        all.extend(page.entries);
        if !pager.goes_on(page.next_page_token)? {
            return Ok(all);
        }
    }
}

/// What is wanted of the items of a session; the rest of them is not held.
pub(crate) async fn all_items<T: Send>(
    reviews: &dyn ReviewBackend,
    app: &ReviewAppId,
    session: &LabelingSessionId,
    wanted: impl Fn(Item) -> Option<T> + Send + Sync,
) -> Result<Vec<T>, ServiceError> {
    let (mut all, mut pager, filter) = (Vec::new(), Pager::default(), ItemFilter::default());
    loop {
        let page = reviews.list_items(app, session, filter, pager.request()).await?;
        all.extend(page.entries.into_iter().filter_map(&wanted));
        if !pager.goes_on(page.next_page_token)? {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_go_round_in_a_circle_are_given_up() {
        let mut pager = Pager::default();
        let mut go = |token: Option<&str>| pager.goes_on(token.map(str::to_owned));
        assert!(go(Some("a")).unwrap() && go(Some("b")).unwrap() && !go(None).unwrap());
        assert!(go(Some("a")).is_err());
    }
}
