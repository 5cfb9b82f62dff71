//! Writes records into MLflow's tables.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::json::in_ascii;
use crate::record::{Assessment, Experiment, Run, Span, Trace};

type Done = Result<(), sqlx::Error>;

const INSERT_EXPERIMENT: &str = "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, \
     creation_time, last_update_time, workspace) VALUES (?, ?, ?, 'active', ?, ?, 'default')";

const INSERT_EXPERIMENT_TAG: &str =
    "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)";

const INSERT_RUN: &str = "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, \
     status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) \
     VALUES (?, ?, 'UNKNOWN', '', '', ?, 'FINISHED', ?, ?, '', 'active', ?, ?)";

const INSERT_PARAM: &str = "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)";

const INSERT_RUN_TAG: &str = "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)";

const INSERT_METRIC: &str =
    "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)";

const INSERT_LATEST_METRIC: &str =
    "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)";

const INSERT_LINK: &str = "INSERT INTO entity_associations (association_id, source_type, source_id, \
     destination_type, destination_id, created_time) VALUES (?, 'trace', ?, 'run', ?, ?)";

const INSERT_TRACE: &str = "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, \
     status, request_preview, response_preview, db_payload_generation, trace_name, session_id, input_tokens, \
     output_tokens, total_tokens, input_cost, output_cost, total_cost) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_TRACE_TAG: &str = "INSERT INTO trace_tags (request_id, key, value) VALUES (?, ?, ?)";

const INSERT_TRACE_METADATA: &str =
    "INSERT INTO trace_request_metadata (request_id, key, value) VALUES (?, ?, ?)";

const INSERT_SPAN: &str = "INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status, \
     start_time_unix_nano, end_time_unix_nano, content, input_cost, output_cost, total_cost, model_name, \
     model_provider) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_ASSESSMENT: &str = "INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value, \
     error, created_timestamp, last_updated_timestamp, source_type, source_id, run_id, span_id, rationale, \
     overrides, valid, assessment_metadata, experiment_id, trace_timestamp_ms, aggregate_value, is_numeric_value) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(crate) async fn insert_experiment(connection: &mut SqliteConnection, experiment: &Experiment) -> Done {
    query(INSERT_EXPERIMENT)
        .bind(experiment.id)
        .bind(experiment.name)
        .bind(experiment.artifact_location())
        .bind(experiment.created_ms)
        .bind(experiment.created_ms)
        .execute(&mut *connection)
        .await?;
    let tags = [
        ("mlflow.experimentKind", "genai_development"),
        ("mlflow.note.content", experiment.note),
    ];
    for (key, value) in tags {
        let tag = query(INSERT_EXPERIMENT_TAG)
            .bind(experiment.id)
            .bind(key)
            .bind(value);
        tag.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A run that ended, and its links to traces that are there.
pub(crate) async fn insert_run(connection: &mut SqliteConnection, run: &Run) -> Done {
    query(INSERT_RUN)
        .bind(&run.id)
        .bind(run.name)
        .bind(run.user)
        .bind(run.started_ms)
        .bind(run.ended_ms)
        .bind(&run.artifact_uri)
        .bind(run.experiment_id)
        .execute(&mut *connection)
        .await?;
    let params = run.params.iter().map(|param| (INSERT_PARAM, param));
    let tags = run.tags.iter().map(|tag| (INSERT_RUN_TAG, tag));
    for (insert, (key, value)) in params.chain(tags) {
        let row = query(insert).bind(&run.id).bind(key).bind(value);
        row.execute(&mut *connection).await?;
    }
    for (key, value) in &run.metrics {
        for insert in [INSERT_METRIC, INSERT_LATEST_METRIC] {
            let row = query(insert).bind(&run.id).bind(key).bind(value);
            row.bind(run.ended_ms).execute(&mut *connection).await?;
        }
    }
    for link in &run.links {
        let row = query(INSERT_LINK).bind(&link.id).bind(&link.trace_id);
        let row = row.bind(&run.id).bind(run.ended_ms);
        row.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A trace with its spans and assessments.
pub(crate) async fn insert_trace(
    connection: &mut SqliteConnection,
    experiment: &Experiment,
    trace: &Trace,
) -> Done {
    let id = trace.id();
    let contents: Vec<String> = trace.spans.iter().map(|span| span.content(trace)).collect();
    insert_trace_info(connection, experiment, trace).await?;
    for (key, value) in trace.stored_tags(experiment) {
        let row = query(INSERT_TRACE_TAG).bind(&id).bind(key).bind(value);
        row.execute(&mut *connection).await?;
    }
    for (key, value) in trace.metadata(&contents) {
        let row = query(INSERT_TRACE_METADATA).bind(&id).bind(key).bind(value);
        row.execute(&mut *connection).await?;
    }
    for (span, content) in trace.spans.iter().zip(contents) {
        insert_span(connection, experiment.id, &id, span, content).await?;
    }
    for assessment in &trace.assessments {
        insert_assessment(connection, experiment.id, trace, assessment).await?;
    }
    Ok(())
}

async fn insert_trace_info(
    connection: &mut SqliteConnection,
    experiment: &Experiment,
    trace: &Trace,
) -> Done {
    let usage = trace.usage();
    let generation = trace.spans.len() + usize::from(trace.ended_ns.is_some());
    query(INSERT_TRACE)
        .bind(trace.id())
        .bind(experiment.id)
        .bind(trace.started_ms())
        .bind(trace.ended_ns.map(|end| (end - trace.started_ns) / 1_000_000))
        .bind(trace.state.as_str())
        .bind(trace.request_preview())
        .bind(trace.response_preview())
        // Counts the writes: one for each span as it ends, one for the trace.
        .bind(i64::try_from(generation).unwrap_or_default())
        .bind(trace.name)
        .bind(&trace.session)
        .bind(usage.map(|usage| usage.input_tokens))
        .bind(usage.map(|usage| usage.output_tokens))
        .bind(usage.map(|usage| usage.total_tokens()))
        .bind(usage.map(|usage| usage.input_cost))
        .bind(usage.map(|usage| usage.output_cost))
        .bind(usage.map(|usage| usage.total_cost()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert_span(
    connection: &mut SqliteConnection,
    experiment_id: i64,
    trace_id: &str,
    span: &Span,
    content: String,
) -> Done {
    query(INSERT_SPAN)
        .bind(trace_id)
        .bind(experiment_id)
        .bind(hex_id(span.id))
        .bind(span.parent.map(hex_id))
        .bind(span.name)
        .bind(span.kind)
        .bind(span.status())
        .bind(span.started_ns)
        .bind(span.ended_ns)
        .bind(content)
        .bind(span.usage.map(|usage| usage.input_cost))
        .bind(span.usage.map(|usage| usage.output_cost))
        .bind(span.usage.map(|usage| usage.total_cost()))
        .bind(span.model)
        .bind(span.provider())
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert_assessment(
    connection: &mut SqliteConnection,
    experiment_id: i64,
    trace: &Trace,
    assessment: &Assessment,
) -> Done {
    let (aggregate, is_numeric) = assessment.aggregate();
    query(INSERT_ASSESSMENT)
        .bind(&assessment.id)
        .bind(trace.id())
        .bind(assessment.name)
        .bind(assessment.kind.as_str())
        .bind(in_ascii(&assessment.value))
        .bind(&assessment.error)
        .bind(assessment.created_ms)
        .bind(assessment.created_ms)
        .bind(assessment.source_type)
        .bind(assessment.source_id)
        .bind(&assessment.run_id)
        .bind(assessment.span_id.map(hex_id))
        .bind(assessment.rationale)
        .bind(&assessment.overrides)
        .bind(assessment.is_valid)
        .bind(&assessment.metadata)
        .bind(experiment_id)
        .bind(trace.started_ms())
        .bind(aggregate)
        .bind(is_numeric)
        .execute(connection)
        .await?;
    Ok(())
}

fn hex_id(id: u64) -> String {
    format!("{id:016x}")
}
