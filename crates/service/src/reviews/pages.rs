//! Lists read to their end, page by page.

use domain::{Item, LabelingSession, LabelingSessionId, ReviewAppId};
use store::{ItemFilter, PageRequest, SessionFilter};

use super::ReviewBackend;
use crate::error::ServiceError;

/// The largest page that a workspace gives.
const LARGEST_PAGE: u32 = 1000;

/// A list of more pages is not believed: its tokens may go round in a circle.
const MAX_PAGES: usize = 200;

/// Where one is in a list.
#[derive(Debug, Default)]
struct Pager {
    token: Option<String>,
    pages: usize,
}

impl Pager {
    fn request(&self) -> PageRequest<'_> {
        PageRequest {
            size: LARGEST_PAGE,
            token: self.token.as_deref(),
        }
    }

    /// Whether there is a page after this one.
    fn goes_on(&mut self, token: Option<String>) -> Result<bool, ServiceError> {
        self.pages += 1;
        self.token = token;
        if self.token.is_some() && self.pages >= MAX_PAGES {
            tracing::error!(pages = self.pages, "a list does not end");
            return Err(ServiceError::Interrupted);
        }
        Ok(self.token.is_some())
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

/// All items of a session that are wanted.
pub(super) async fn all_items(
    reviews: &dyn ReviewBackend,
    app: &ReviewAppId,
    session: &LabelingSessionId,
    is_wanted: impl Fn(&Item) -> bool + Send + Sync,
) -> Result<Vec<Item>, ServiceError> {
    let (mut all, mut pager, filter) = (Vec::new(), Pager::default(), ItemFilter::default());
    loop {
        let page = reviews.list_items(app, session, filter, pager.request()).await?;
        all.extend(page.entries.into_iter().filter(&is_wanted));
        if !pager.goes_on(page.next_page_token)? {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_end_is_given_up() {
        let mut pager = Pager::default();
        let ends = (0..MAX_PAGES).find_map(|nth| pager.goes_on(Some((nth % 2).to_string())).err());
        assert!(ends.is_some());
        assert!(!Pager::default().goes_on(None).unwrap());
    }
}
