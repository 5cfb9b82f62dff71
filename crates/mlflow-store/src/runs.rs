//! Runs: one, and search. Tags, params, metrics and inputs come beside each, in one statement.

use domain::{Run, RunData, RunId, RunInfo, RunMetric, RunPage, RunParam, RunTag, SearchRuns};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::MlflowStore;
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::filter::{Refusal, RunFilter, RunOrder};
use crate::json_column::list;
use crate::page_token::{read_page_token, write_page_token};
use crate::python_json;
use crate::row::Row;
use crate::sql::Statement;

/// What of `runs r` is read.
const OWN: &str =
    "r.run_uuid, r.name, r.experiment_id, r.user_id, r.status, r.start_time, r.end_time, r.lifecycle_stage,
    r.artifact_uri";

impl MlflowStore {
    /// One run, deleted or not.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`].
    pub async fn get_run(&self, id: &RunId) -> Result<Run, DatabaseError> {
        let (statement, id) = (one(self.dialect(), id), id.clone());
        self.fetch(&statement, move |rows| only(&rows, &id)).await
    }

    /// One page of the runs of some experiments.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when filter, order, page token or view cannot be read.
    pub async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, DatabaseError> {
        let filter = RunFilter::parse(search.filter.as_deref().unwrap_or_default())?;
        let order = RunOrder::parse(&search.order_by)?;
        let offset = read_page_token(search.page_token.as_deref())?;
        let experiments: Vec<i64> = search
            .experiment_ids
            .iter()
            .filter_map(|id| id.as_str().parse().ok())
            .collect();
        let stages = stages(search.run_view_type.as_deref())?;
        let wanted = i64::from(search.max_results);
        let mut statement = Statement::new(self.dialect(), "");
        push_with_children(&mut statement);
        statement.push("(SELECT ").push(OWN).push(" FROM runs r");
        order.push_joins(&mut statement);
        statement.push(" WHERE ");
        statement.is_one_of("r.experiment_id", &experiments);
        statement.push(" AND ");
        statement.is_one_of("r.lifecycle_stage", &stages);
        filter.push_conditions(&mut statement);
        statement.push(" ORDER BY ");
        order.push(&mut statement);
        statement
            .push(" LIMIT ")
            .bind(wanted + 1)
            .push(" OFFSET ")
            .bind(offset)
            .push(") page");
        let size = search.max_results as usize;
        let page = move |rows: Vec<Row>| {
            let has_more = rows.len() > size;
            Ok(RunPage {
                runs: rows.iter().take(size).map(read).collect::<Result<_, _>>()?,
                next_page_token: has_more.then(|| write_page_token(offset + wanted)),
            })
        };
        self.fetch(&statement, page).await
    }
}

/// Reads one run; the rows are for [`only`].
pub(crate) fn one(dialect: Dialect, id: &RunId) -> Statement {
    let mut statement = Statement::new(dialect, "");
    push_with_children(&mut statement);
    statement
        .push("(SELECT ")
        .push(OWN)
        .push(" FROM runs r WHERE r.run_uuid = ")
        .bind(id.as_str())
        .push(") page");
    statement
}

pub(crate) fn only(rows: &[Row], id: &RunId) -> Result<Run, DatabaseError> {
    rows.first().map_or_else(|| Err(unknown_run(id)), read)
}

pub(crate) fn unknown_run(id: &RunId) -> DatabaseError {
    DatabaseError::NotFound(format!("there is no run {id}"))
}

fn stages(view: Option<&str>) -> Result<Vec<String>, Refusal> {
    let stages: &[&str] = match view.unwrap_or("ACTIVE_ONLY") {
        "ACTIVE_ONLY" => &["active"],
        "DELETED_ONLY" => &["deleted"],
        "ALL" => &["active", "deleted"],
        _ => {
            return Err(Refusal::new(
                "run_view_type must be ACTIVE_ONLY, DELETED_ONLY or ALL",
            ));
        }
    };
    Ok(stages.iter().map(|&stage| stage.to_owned()).collect())
}

/// Pushes what is read of `page`, rows of [`OWN`], with a list for each kind of what belongs to a run.
fn push_with_children(statement: &mut Statement) {
    let by_key = " ORDER BY c.key";
    statement.push("SELECT ");
    push_child(statement, |list| {
        list.begin_list().push("c.key, c.value").end_list(by_key);
    });
    statement.push(" FROM tags c WHERE c.run_uuid = page.run_uuid), ");
    push_child(statement, |list| {
        list.begin_list().push("c.key, c.value").end_list(by_key);
    });
    statement.push(" FROM params c WHERE c.run_uuid = page.run_uuid), ");
    push_child(statement, |list| {
        // As text: in JSON, SQLite writes a double with fewer digits than it has, and neither has words for what is no
        // number.
        list.begin_list()
            .push("c.key, CASE WHEN c.is_nan THEN NULL ELSE ");
        list.pick("printf('%!.17g', c.value)", "c.value::text");
        list.push(" END, c.timestamp, c.step").end_list(by_key);
    });
    statement.push(" FROM latest_metrics c WHERE c.run_uuid = page.run_uuid), ");
    push_child(statement, |list| {
        list.begin_list().push(
            "d.dataset_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema,
             d.dataset_profile, t.name, t.value",
        );
        list.end_list("");
    });
    statement.push(
        " FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid
          WHERE i.destination_type = 'RUN' AND i.destination_id = page.run_uuid), ",
    );
    push_child(statement, |list| {
        list.begin_list()
            .push("i.source_type, i.destination_id, i.step")
            .end_list("");
    });
    statement.push(
        " FROM inputs i WHERE i.source_id = page.run_uuid AND (i.source_type = 'RUN_INPUT' AND
          i.destination_type = 'MODEL_INPUT' OR i.source_type = 'RUN_OUTPUT' AND i.destination_type = 'MODEL_OUTPUT')), ",
    );
    statement.push("page.* FROM ");
}

/// Begins a scalar query of a list.
fn push_child(statement: &mut Statement, list: impl FnOnce(&mut Statement)) {
    statement.push("(SELECT ");
    list(statement);
    statement.pick("", "::text");
}

fn read(row: &Row) -> Result<Run, DatabaseError> {
    let tags: Vec<(String, Option<String>)> = list(row, 0, "runs")?;
    let params: Vec<(String, Option<String>)> = list(row, 1, "runs")?;
    let metrics: Vec<(String, Option<String>, Option<i64>, i64)> = list(row, 2, "runs")?;
    let datasets: Vec<DatasetRow> = list(row, 3, "runs")?;
    let models: Vec<(String, String, Option<i64>)> = list(row, 4, "runs")?;
    let info = info(row, &tags)?;
    let of = |kind: &'static str| models.iter().filter(move |(source, ..)| source == kind);
    let mut inputs = serde_json::Map::new();
    insert(&mut inputs, "dataset_inputs", dataset_inputs(datasets));
    insert(
        &mut inputs,
        "model_inputs",
        of("RUN_INPUT")
            .map(|(_, id, _)| json!({"model_id": id}))
            .collect(),
    );
    let mut outputs = serde_json::Map::new();
    let model = |(_, id, step): &(String, String, Option<i64>)| json!({"model_id": id, "step": step.unwrap_or_default()});
    insert(
        &mut outputs,
        "model_outputs",
        of("RUN_OUTPUT").map(model).collect(),
    );
    Ok(Run {
        info,
        data: RunData {
            metrics: metrics.into_iter().map(metric).collect(),
            params: params
                .into_iter()
                .map(|(key, value)| RunParam {
                    key,
                    value: value.unwrap_or_default(),
                })
                .collect(),
            tags: tags
                .into_iter()
                .map(|(key, value)| RunTag {
                    key,
                    value: value.unwrap_or_default(),
                })
                .collect(),
        },
        inputs: inputs.into(),
        outputs: outputs.into(),
    })
}

fn info(row: &Row, tags: &[(String, Option<String>)]) -> Result<RunInfo, DatabaseError> {
    let run_id = row.needed_text(5)?;
    let tag = |key: &str| {
        tags.iter()
            .find(|(name, _)| name == key)
            .and_then(|(_, value)| value.clone())
    };
    Ok(RunInfo {
        // Runs of MLflow before 1.30 have their name in a tag alone.
        run_name: row.text(6)?.or_else(|| tag("mlflow.runName")).unwrap_or_default(),
        run_uuid: run_id.clone(),
        run_id,
        experiment_id: row.needed_int(7)?.to_string(),
        user_id: row.text(8)?.unwrap_or_default(),
        status: row.text(9)?.unwrap_or_default(),
        start_time: row.int(10)?,
        end_time: row.int(11)?,
        lifecycle_stage: row.text(12)?.unwrap_or_default(),
        artifact_uri: row.text(13)?.unwrap_or_default(),
    })
}

/// A dataset of a run, once for each of its tags.
#[derive(Deserialize)]
struct DatasetRow {
    dataset_uuid: String,
    name: String,
    digest: String,
    source_type: String,
    source: String,
    schema: Option<String>,
    profile: Option<String>,
    tag_key: Option<String>,
    tag_value: Option<String>,
}

/// As MLflow's API tells them: each dataset once, with its tags.
fn dataset_inputs(rows: Vec<DatasetRow>) -> Vec<serde_json::Value> {
    let mut inputs: Vec<(String, serde_json::Value, Vec<serde_json::Value>)> = Vec::new();
    for row in rows {
        let tag = row
            .tag_key
            .map(|key| json!({"key": key, "value": row.tag_value.unwrap_or_default()}));
        if let Some((.., tags)) = inputs.iter_mut().find(|(id, ..)| *id == row.dataset_uuid) {
            tags.extend(tag);
            continue;
        }
        let mut dataset = json!({
            "name": row.name, "digest": row.digest, "source_type": row.source_type, "source": row.source,
        });
        for (key, value) in [("schema", row.schema), ("profile", row.profile)] {
            if let Some(value) = value {
                dataset[key] = value.into();
            }
        }
        inputs.push((row.dataset_uuid, dataset, tag.into_iter().collect()));
    }
    let input = |(_, dataset, tags): (String, serde_json::Value, Vec<serde_json::Value>)| {
        let mut input = json!({"dataset": dataset});
        if !tags.is_empty() {
            input["tags"] = tags.into();
        }
        input
    };
    inputs.into_iter().map(input).collect()
}

fn insert(object: &mut serde_json::Map<String, serde_json::Value>, key: &str, list: Vec<serde_json::Value>) {
    if !list.is_empty() {
        object.insert(key.to_owned(), list.into());
    }
}

/// MLflow's API spells what is no number as text.
fn metric((key, value, timestamp, step): (String, Option<String>, Option<i64>, i64)) -> RunMetric {
    let text = match value.and_then(|text| text.parse::<f64>().ok()) {
        Some(value) if value.is_finite() => python_json::float(value),
        Some(value) => format!("\"{}\"", python_json::float(value)),
        None => "\"NaN\"".to_owned(),
    };
    RunMetric {
        key,
        value: RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        timestamp,
        step,
    }
}
