//! Reading rows: a value that is not what we wrote says in which table.

use domain::{InvalidId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Decode, Row, Type};

use crate::error::StoreError;

/// A row of a table.
pub(crate) struct Reader<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a AnyRow,
}

impl Reader<'_> {
    fn corrupt(&self, column: &str, reason: &str) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            reason: format!("{column} {reason}"),
        }
    }

    pub(crate) fn get<'r, T: Decode<'r, Any> + Type<Any>>(&'r self, column: &str) -> Result<T, StoreError> {
        self.row
            .try_get(column)
            .map_err(|_| self.corrupt(column, "has another type"))
    }

    pub(crate) fn id<T: std::str::FromStr<Err = InvalidId>>(&self, column: &str) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|_| self.corrupt(column, "is no id"))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|_| self.corrupt(column, "is not the JSON that was written"))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        match self.get::<Option<String>>(column)? {
            None => Ok(None),
            Some(_) => self.json(column).map(Some),
        }
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_unix_ms(self.get(column)?))
    }

    /// Who made the row and who changed it last, when.
    pub(crate) fn trail(&self) -> Result<Trail, StoreError> {
        Ok(Trail {
            created_at: self.time("created_at")?,
            created_by: self.get("created_by")?,
            updated_at: self.time("updated_at")?,
            updated_by: self.get("updated_by")?,
        })
    }
}

/// Who made a thing and who changed it last, when.
pub(crate) struct Trail {
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) updated_at: Timestamp,
    pub(crate) updated_by: String,
}

/// JSON text of a value that cannot fail to be written: no map in it has keys other than text.
pub(crate) fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
