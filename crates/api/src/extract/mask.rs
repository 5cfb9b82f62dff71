//! Which members of a body are meant: those that `update_mask` names, else those that are there.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// The members to change.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UpdateMask {
    /// The members to change, separated by commas; those of the body unless given. A member that is named and not in
    /// the body is taken away where it may be missing.
    #[param(example = "state,comment")]
    update_mask: Option<String>,
}

/// A mask held against the members that can be changed.
#[derive(Debug)]
pub struct Mask(Option<Vec<String>>);

impl UpdateMask {
    /// Holds the mask against the members that can be changed.
    ///
    /// # Errors
    /// 422 when it names anything else, or nothing.
    pub fn among(&self, members: &[&str]) -> Result<Mask, Problem> {
        let Some(mask) = &self.update_mask else {
            return Ok(Mask(None));
        };
        let named: Vec<_> = mask.split(',').map(|name| name.trim().to_owned()).collect();
        if named.iter().all(|name| members.contains(&name.as_str())) {
            return Ok(Mask(Some(named)));
        }
        let rule = format!("must name members separated by commas, of {}", members.join(", "));
        Err(Problem::invalid_field("update_mask", rule))
    }
}

impl Mask {
    fn names(&self, member: &str) -> bool {
        let names = |mask: &Vec<String>| mask.iter().any(|named| named == member);
        self.0.as_ref().is_none_or(names)
    }

    /// The value of a member that is always there.
    ///
    /// # Errors
    /// 422 when the mask names it and the body does not have it.
    pub fn required<T>(&self, member: &str, value: Option<T>) -> Result<Option<T>, Problem> {
        match value {
            None if self.0.is_some() && self.names(member) => Err(Problem::invalid_field(
                member,
                "is required, because update_mask names it",
            )),
            value => Ok(value.filter(|_| self.names(member))),
        }
    }

    /// The value of a list or a map: null, or a mask that names it alone, empties it.
    pub fn emptied<T: Default>(&self, member: &str, value: Option<T>) -> Option<T> {
        self.clearable(member, value).map(Option::unwrap_or_default)
    }

    /// The value of a member that may be missing: `Some(None)` takes it away.
    pub fn clearable<T>(&self, member: &str, value: Option<T>) -> Option<Option<T>> {
        match (&self.0, value) {
            (None, None) => None,
            (_, value) => self.names(member).then_some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: Option<&str>) -> Result<Mask, Problem> {
        let update_mask = text.map(str::to_owned);
        UpdateMask { update_mask }.among(&["a", "b"])
    }

    #[test]
    fn without_a_mask_what_is_there_is_meant() {
        let mask = mask(None).unwrap();
        assert_eq!(mask.required("a", Some(1)).unwrap(), Some(1));
        assert_eq!(mask.required::<u8>("a", None).unwrap(), None);
        assert_eq!(mask.clearable("a", Some(1)), Some(Some(1)));
        assert_eq!(mask.clearable::<u8>("a", None), None);
    }

    #[test]
    fn with_a_mask_exactly_what_it_names_is_meant() {
        let mask = mask(Some("a, b")).unwrap();
        assert_eq!(mask.required("a", Some(1)).unwrap(), Some(1));
        assert!(mask.required::<u8>("a", None).is_err());
        assert_eq!(mask.clearable::<u8>("b", None), Some(None));
        assert_eq!(mask.emptied::<Vec<u8>>("b", None), Some(vec![]));
        let mask = self::mask(Some("b")).unwrap();
        assert_eq!(mask.required("a", Some(1)).unwrap(), None);
        assert_eq!(mask.clearable("a", Some(1)), None);
    }

    #[test]
    fn a_mask_of_something_else_is_refused() {
        for wrong in ["c", "", "a,,b", "a;b"] {
            assert!(mask(Some(wrong)).is_err(), "{wrong:?}");
        }
    }
}
