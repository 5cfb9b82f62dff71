-- All names begin with ts_ (trace-server): MLflow has tables of the same words, and may share the database.
--
-- Times are milliseconds since 1970. updated_at grows with every change, so that it tells one version from another.

CREATE TABLE ts_review_apps (
    review_app_id TEXT PRIMARY KEY NOT NULL,
    experiment_id TEXT NOT NULL UNIQUE,
    agents TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) STRICT;

CREATE TABLE ts_label_schemas (
    review_app_id TEXT NOT NULL REFERENCES ts_review_apps (review_app_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- The schema as the API writes it.
    definition TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (review_app_id, name)
) STRICT;

CREATE TABLE ts_labeling_sessions (
    labeling_session_id TEXT PRIMARY KEY NOT NULL,
    review_app_id TEXT NOT NULL REFERENCES ts_review_apps (review_app_id) ON DELETE CASCADE,
    mlflow_run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    assigned_users TEXT NOT NULL,
    labeling_schemas TEXT NOT NULL,
    agent TEXT,
    dataset TEXT,
    additional_configs TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) STRICT;

CREATE INDEX ts_labeling_sessions_in_order ON ts_labeling_sessions (review_app_id, created_at, labeling_session_id);

-- The assigned users of a session once more, in the form they are looked up by.
CREATE TABLE ts_session_users (
    labeling_session_id TEXT NOT NULL REFERENCES ts_labeling_sessions (labeling_session_id) ON DELETE CASCADE,
    user_key TEXT NOT NULL,
    PRIMARY KEY (labeling_session_id, user_key)
) STRICT;

CREATE INDEX ts_session_users_by_user ON ts_session_users (user_key);

CREATE TABLE ts_items (
    item_id TEXT PRIMARY KEY NOT NULL,
    labeling_session_id TEXT NOT NULL REFERENCES ts_labeling_sessions (labeling_session_id) ON DELETE CASCADE,
    trace_id TEXT NOT NULL,
    -- The order within the session.
    position INTEGER NOT NULL,
    state TEXT NOT NULL,
    labels TEXT NOT NULL,
    chat_rounds TEXT NOT NULL,
    comment TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    UNIQUE (labeling_session_id, trace_id)
) STRICT;

CREATE INDEX ts_items_in_order ON ts_items (labeling_session_id, position, item_id);
