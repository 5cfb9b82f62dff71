//! Lists: which entries, and which page of them.

use serde::Deserialize;
use service::PageRequest;
use utoipa::IntoParams;

use super::Bounded;
use crate::problem::Problem;

/// Entries on one page unless the request says how many.
const DEFAULT_PAGE_SIZE: u32 = 500;

/// Which entries of a list, and which page of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// A condition `member=value`; several are separated by commas and hold together.
    #[param(example = "state=PENDING")]
    filter: Option<String>,
    /// Entries on one page, 1 to 1000; 500 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, example = 500)]
    page_size: Option<Bounded<1, 1000>>,
    /// `next_page_token` of the page before.
    #[param(example = "3136392e306631653264")]
    page_token: Option<String>,
}

impl Listing {
    /// Which page.
    pub fn page(&self) -> PageRequest<'_> {
        PageRequest {
            size: self.page_size.map_or(DEFAULT_PAGE_SIZE, |Bounded(size)| size),
            token: self.page_token.as_deref().filter(|token| !token.is_empty()),
        }
    }

    /// The conditions, in order. Values may stand in quotes.
    ///
    /// # Errors
    /// 422 when one is about a member that cannot be filtered by, or is no condition.
    pub fn conditions(&self, members: &[&'static str]) -> Result<Vec<(&'static str, String)>, Problem> {
        let text = self.filter.as_deref().unwrap_or_default();
        let mut read: Vec<(&'static str, String)> = Vec::new();
        let mut quote = None;
        let outside_of_quotes = |c: char| {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            c == ',' && quote.is_none()
        };
        let conditions = text.split(outside_of_quotes).map(str::trim);
        for condition in conditions.filter(|text| !text.is_empty()) {
            let (member, value) = condition.split_once('=').unwrap_or_default();
            let member = members.iter().find(|known| **known == member.trim());
            let value = value.trim().trim_matches(['\'', '"']);
            let is_value = !value.is_empty() && !value.chars().any(char::is_control);
            match member {
                Some(member) if is_value && !read.iter().any(|(before, _)| before == member) => {
                    read.push((*member, value.to_owned()));
                }
                _ => {
                    let rule = format!(
                        "must be conditions member=value separated by commas, each of {} once",
                        members.join(", ")
                    );
                    return Err(Problem::invalid_field("filter", rule));
                }
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(filter: &str) -> Option<Vec<(&'static str, String)>> {
        let listing = Listing {
            filter: Some(filter.to_owned()),
            ..Listing::default()
        };
        listing.conditions(&["state", "name"]).ok()
    }

    #[test]
    fn conditions_are_read() {
        let expected = vec![("state", "PENDING".to_owned()), ("name", "a = b".to_owned())];
        assert_eq!(conditions(" state = PENDING, name='a = b',").unwrap(), expected);
        assert_eq!(conditions("").unwrap(), []);
        let quoted = conditions("name='Week 47, \"part\" 2',state=X").unwrap();
        assert_eq!((quoted[0].1.as_str(), quoted.len()), ("Week 47, \"part\" 2", 2));
        for wrong in [
            "state",
            "state=",
            "other=1",
            "name=''",
            "name=a\0",
            "name=a,name=b",
        ] {
            assert_eq!(conditions(wrong), None, "{wrong}");
        }
    }
}
