//! What a database of some version of MLflow has, so that statements name only what is there.

/// Tables and columns that not every version of MLflow made.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is there or not, on its own: they came with different migrations"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaShape {
    /// `trace_info` holds the trace's name, session, tokens and costs (from revision 75868b020152); before it they are
    /// rows of `trace_tags` and `trace_request_metadata`.
    pub(crate) has_promoted_columns: bool,
    /// `trace_info.client_request_id` and the previews (from cbc13b556ace).
    pub(crate) has_v3_columns: bool,
    /// The table `assessments` (from 770bee3ae1dd).
    pub(crate) has_assessments: bool,
    /// `assessments.aggregate_value` and `is_numeric_value` (from 75868b020152).
    pub(crate) has_numeric_assessments: bool,
    /// The table `spans` (from a1b2c3d4e5f6).
    pub(crate) has_spans: bool,
    /// The table `entity_associations` (from de4033877273).
    pub(crate) has_associations: bool,
}

impl SchemaShape {
    /// That of MLflow 3.17.2.
    #[cfg(any(test, feature = "doors"))]
    pub(crate) const NEWEST: Self = Self {
        has_promoted_columns: true,
        has_v3_columns: true,
        has_assessments: true,
        has_numeric_assessments: true,
        has_spans: true,
        has_associations: true,
    };

    /// That of the first version that had traces.
    #[cfg(any(test, feature = "doors"))]
    pub(crate) const OLDEST: Self = Self {
        has_promoted_columns: false,
        has_v3_columns: false,
        has_assessments: false,
        has_numeric_assessments: false,
        has_spans: false,
        has_associations: false,
    };
}
