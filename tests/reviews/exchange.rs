//! The HTTP exchange of the labeling flow as the frontend makes it, to be read and compared.

use std::fmt::Write as _;

use http::Method;
use serde_json::{Map, Value, json};

use crate::place::{DEV, Kept, Place};
use crate::schemas::of_every_kind;

/// Writes down what is said, ids and times by names that stay the same.
struct Record<'a> {
    place: &'a Place,
    text: String,
    names: Vec<(String, String)>,
}

impl Record<'_> {
    async fn say(&mut self, user: &str, method: Method, path: &str, body: Value) -> Value {
        let mut request = self.place.server.as_user(user).request(method.clone(), path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, answer) = harness::answer(request).await;
        let (path, body, told) = (self.named(path), self.tidied(&body), self.tidied(&answer));
        writeln!(self.text, "{user}: {method} {path}").unwrap();
        if !body.is_null() {
            writeln!(self.text, "{}", serde_json::to_string_pretty(&body).unwrap()).unwrap();
        }
        writeln!(self.text, "→ {}", status.as_u16()).unwrap();
        writeln!(self.text, "{}\n", serde_json::to_string_pretty(&told).unwrap()).unwrap();
        answer
    }

    /// Calls an id by a name from here on.
    fn name(&mut self, id: &Value, name: &str) -> String {
        let id = id.as_str().unwrap().to_owned();
        self.names.push((id.clone(), format!("<{name}>")));
        id
    }

    fn named(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }

    fn tidied(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if is_time(text) => json!("<time>"),
            Value::String(text) => self.named(text).into(),
            Value::Array(list) => list.iter().map(|value| self.tidied(value)).collect(),
            Value::Object(members) => {
                let tidied = members
                    .iter()
                    .map(|(key, value)| (key.clone(), self.tidied_member(key, value)));
                Value::Object(tidied.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// What changes from run to run, or is long and of no interest here, is left out.
    fn tidied_member(&self, key: &str, value: &Value) -> Value {
        match key {
            "trace_metadata" | "tags" if value.is_object() => json!("<as MLflow has them>"),
            "spans" => value
                .as_array()
                .map_or(0, Vec::len)
                .checked_sub(1)
                .map_or(json!([]), |_| json!("<spans>")),
            "start_time" | "end_time" | "create_time_ms" | "last_update_time_ms" if value.is_number() => {
                json!("<ms>")
            }
            "execution_duration" | "execution_duration_ms" | "artifact_uri" | "request_id"
                if !value.is_null() =>
            {
                json!("<…>")
            }
            _ => self.tidied(value),
        }
    }
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 24 && bytes[10] == b'T' && bytes[23] == b'Z' && bytes[..4].iter().all(u8::is_ascii_digit)
}

#[tokio::test]
async fn the_labeling_flow_is_as_recorded() {
    const ANN: &str = "ann@example.com";
    let place = Place::new(Kept::Sqlite).await;
    let made = place.upstream.run_script(
        "converse.py",
        &["--experiment", &place.experiment, "--count", "2"],
    );
    let traces: Vec<_> = made.lines().map(|id| json!(id)).collect();
    let mut record = Record {
        place: &place,
        text: String::new(),
        names: Vec::new(),
    };
    record.name(&traces[0], "trace 1");
    record.name(&traces[1], "trace 2");

    // A developer's first look makes the review app.
    let manifest = place.server.as_user(DEV).get_json("/api/manifest").await;
    record.name(&manifest["config"]["review_app_id"], "review app");

    // A developer sets the session up.
    let get = Method::GET;
    record.say(DEV, get.clone(), "/api/manifest", Value::Null).await;
    record
        .say(DEV, get.clone(), "/api/auth/check-dev-access", Value::Null)
        .await;
    record
        .say(DEV, Method::POST, "/api/label-schemas", of_every_kind().remove(0))
        .await;
    record
        .say(DEV, Method::POST, "/api/label-schemas", of_every_kind().remove(4))
        .await;
    record
        .say(DEV, get.clone(), "/api/label-schemas", Value::Null)
        .await;
    let body = json!({"name": "Week 47", "assigned_users": [ANN, DEV],
        "labeling_schemas": [{"name": "correctness"}, {"name": "facts"}]});
    let session = place
        .server
        .as_user(DEV)
        .post_json("/api/labeling-sessions", &body)
        .await;
    let id = record.name(&session["labeling_session_id"], "session");
    let run = record.name(&session["mlflow_run_id"], "run");
    record
        .say(DEV, get.clone(), "/api/labeling-sessions", Value::Null)
        .await;
    let session = format!("/api/labeling-sessions/{id}");
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    record
        .say(DEV, Method::POST, &format!("{session}/link-traces"), links)
        .await;
    let items = place.items(&id).await;
    for (nth, item) in items.iter().enumerate() {
        record.name(&item["item_id"], &format!("item {}", nth + 1));
    }

    // A reviewer labels.
    record.say(ANN, get.clone(), "/api/manifest", Value::Null).await;
    record.say(ANN, get.clone(), &session, Value::Null).await;
    record
        .say(ANN, get.clone(), &format!("{session}/items"), Value::Null)
        .await;
    record
        .say(ANN, get.clone(), &format!("/api/mlflow/runs/{run}"), Value::Null)
        .await;
    let page = json!({"run_id": run, "max_results": 500});
    record
        .say(ANN, Method::POST, "/api/mlflow/search-traces", page.clone())
        .await;
    let path = format!("/api/mlflow/traces/{}", traces[0].as_str().unwrap());
    let label = json!({"assessment": {"name": "correctness", "value": "no", "rationale": "too short"}});
    let given = place
        .server
        .as_user(ANN)
        .post_json(&format!("{path}/feedback"), &label)
        .await;
    let feedback = record.name(&given["assessment_id"], "feedback");
    let change = json!({"assessment_id": feedback, "assessment": {"name": "", "value": "yes", "rationale": "on second thought"}});
    record
        .say(ANN, Method::PATCH, &format!("{path}/feedback"), change)
        .await;
    let label = json!({"assessment": {"name": "facts", "value": ["order 4711", "Freitag"]}});
    let given = place
        .server
        .as_user(ANN)
        .post_json(&format!("{path}/expectation"), &label)
        .await;
    record.name(&given["assessment_id"], "expectation");
    let item = format!("{session}/items/{}", items[0]["item_id"].as_str().unwrap());
    record
        .say(
            ANN,
            Method::PATCH,
            &format!("{item}?update_mask=state"),
            json!({"state": "COMPLETED"}),
        )
        .await;
    record
        .say(
            ANN,
            Method::PATCH,
            &format!("{item}?update_mask=color"),
            json!({"color": "red"}),
        )
        .await;
    record
        .say(ANN, Method::POST, "/api/mlflow/search-traces", page)
        .await;
    record.say(ANN, Method::DELETE, &session, Value::Null).await;
    record.say(DEV, Method::DELETE, &session, Value::Null).await;
    record.say(DEV, get, &session, Value::Null).await;
    let text = record
        .text
        .replace(&format!("\"{}\"", place.experiment), "\"<experiment>\"");
    insta::assert_snapshot!("labeling_flow", text);
}
