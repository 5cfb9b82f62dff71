//! Query strings: what breaks a rule is 422 and names the field.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The query string. Keys it does not know are ignored.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let field = error.path().to_string();
        Problem::invalid_field(
            if field == "." { "query" } else { &field },
            error.into_inner().to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Bounded, Flag};
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Wanted {
        limit: Option<Bounded<1, 10>>,
        root_only: Option<Flag>,
    }

    #[test]
    fn values_are_read_and_unknown_keys_ignored() {
        let wanted: Wanted = parse("limit=7&root_only=True&other=x").unwrap();
        assert_eq!(
            (wanted.limit, wanted.root_only),
            (Some(Bounded(7)), Some(Flag(true)))
        );
        let nothing: Wanted = parse("").unwrap();
        assert_eq!((nothing.limit, nothing.root_only), (None, None));
    }

    #[test]
    fn a_broken_rule_names_the_field() {
        for (query, detail) in [
            ("limit=0", "limit must be a whole number from 1 to 10"),
            ("limit=", "limit must be a whole number from 1 to 10"),
            ("root_only=maybe", "root_only must be true or false"),
        ] {
            let problem = parse::<Wanted>(query).unwrap_err();
            assert_eq!(
                serde_json::to_value(problem.body("", "")).unwrap()["detail"],
                detail
            );
        }
        let twice = parse::<Wanted>("limit=1&limit=2").unwrap_err();
        assert!(
            serde_json::to_value(twice.body("", "")).unwrap()["detail"]
                .as_str()
                .unwrap()
                .contains("limit")
        );
    }
}
