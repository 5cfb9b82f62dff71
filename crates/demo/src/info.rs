//! What MLflow keeps of a trace beside its spans: previews, metadata and tags, as its SDK fills them.

use crate::json::{Json, in_ascii, object};
use crate::record::{Experiment, Trace, TraceState};

/// In characters; what is longer ends with three dots.
const PREVIEW_CHARS: usize = 1_000;
const METADATA_CHARS: usize = 250;

/// What a trace takes beside its spans and texts: the names and marks of its fields.
const FRAME_BYTES: usize = 1_000;

impl Trace {
    pub(crate) fn request_preview(&self) -> String {
        preview(&self.inputs, "user")
    }

    pub(crate) fn response_preview(&self) -> Option<String> {
        self.outputs.as_ref().map(|outputs| preview(outputs, "assistant"))
    }

    /// Session, tokens and costs are missing here: they have columns.
    pub(crate) fn metadata(&self, contents: &[String]) -> Vec<(&'static str, String)> {
        let mut all = vec![
            // Written by the server as it takes the trace.
            ("mlflow.trace.infoFinalized", "true".to_owned()),
            ("mlflow.trace_schema.version", "3".to_owned()),
        ];
        all.extend(self.user.map(|user| ("mlflow.trace.user", user.to_owned())));
        if self.state != TraceState::InProgress {
            let outputs = self.outputs.as_ref().map(Json::to_string);
            all.extend(sizes(&self.inputs, contents));
            all.extend([
                ("mlflow.source.git.branch", "main".to_owned()),
                (
                    "mlflow.source.git.commit",
                    "5b0f3c19d84e7a26f1c05d9e83b7460a2c91ef74".to_owned(),
                ),
                (
                    "mlflow.source.git.repoURL",
                    "https://git.example.com/ostwind/support-agent.git".to_owned(),
                ),
                ("mlflow.source.name", "support_agent/serve.py".to_owned()),
                ("mlflow.source.type", "LOCAL".to_owned()),
                (
                    "mlflow.traceInputs",
                    shortened(&self.inputs.to_string(), METADATA_CHARS),
                ),
                (
                    "mlflow.traceOutputs",
                    shortened(&outputs.unwrap_or_default(), METADATA_CHARS),
                ),
                ("mlflow.user", "support-agent".to_owned()),
            ]);
        }
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    pub(crate) fn stored_tags(&self, experiment: &Experiment) -> Vec<(&'static str, String)> {
        let location = experiment.artifact_location();
        let mut all = vec![
            (
                "mlflow.artifactLocation",
                format!("{location}/traces/{}/artifacts", self.id()),
            ),
            ("mlflow.trace.spansLocation", "TRACKING_STORE".to_owned()),
        ];
        all.extend(self.tags.iter().map(|(key, value)| (*key, (*value).to_owned())));
        all
    }
}

/// The last message of a role, or all of it as JSON.
fn preview(value: &Json, role: &str) -> String {
    let of_choice = |choices: &Json| choices.items().first()?.get("message").cloned();
    let messages = match (value.get("messages"), value.get("choices").and_then(of_choice)) {
        (Some(messages), _) => messages.items().to_vec(),
        (None, message) => message.into_iter().collect(),
    };
    let is_of_role = |message: &&Json| message.get("role").and_then(Json::as_text) == Some(role);
    let message = messages.iter().rfind(is_of_role).or(messages.last());
    let text = message.and_then(|message| message.get("content")?.as_text());
    match text {
        Some(text) => shortened(text, PREVIEW_CHARS),
        None => shortened(&value.to_string(), PREVIEW_CHARS),
    }
}

fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars - 3).collect();
    format!("{kept}...")
}

/// The SDK measures spans in ASCII.
fn sizes(inputs: &Json, contents: &[String]) -> [(&'static str, String); 2] {
    let mut spans: Vec<usize> = contents.iter().map(|content| in_ascii(content).len()).collect();
    spans.sort_unstable();
    let separators = spans.len().saturating_sub(1) * 2;
    let frame = FRAME_BYTES + inputs.to_string().len().min(METADATA_CHARS);
    let total = spans.iter().sum::<usize>() + separators + frame;
    let count = |value: usize| Json::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let at = |quarter: usize| count(quantile(&spans, quarter));
    let stats = object! {
        "total_size_bytes": count(total),
        "num_spans": count(spans.len()),
        "max": at(4),
        "p25": at(1),
        "p50": at(2),
        "p75": at(3),
    };
    [
        ("mlflow.trace.sizeStats", stats.to_string()),
        ("mlflow.trace.sizeBytes", total.to_string()),
    ]
}

/// So many quarters of the way through the sorted sizes, between two of them if need be.
fn quantile(sorted: &[usize], quarter: usize) -> usize {
    let last = sorted.len().saturating_sub(1) * quarter;
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied().unwrap_or_default();
    let (lower, upper) = (at(last / 4), at(last / 4 + 1));
    lower + (upper - lower) * (last % 4) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_the_last_message_of_its_role() {
        let asked = |role: &str, content: &str| object! { "role": role, "content": content };
        let inputs =
            object! { "messages": vec![asked("user", "a"), asked("user", "ä"), asked("system", "c")] };
        assert_eq!(preview(&inputs, "user"), "ä");
        let outputs =
            object! { "choices": vec![object! { "message": asked("assistant", &"ü".repeat(1_001)) }] };
        assert_eq!(preview(&outputs, "assistant"), format!("{}...", "ü".repeat(997)));
        assert_eq!(preview(&object! { "week": 47_i64 }, "user"), r#"{"week": 47}"#);
    }

    #[test]
    fn quantiles_lie_between_sizes() {
        assert_eq!(
            [1, 2, 3, 4].map(|quarter| quantile(&[10, 20, 30], quarter)),
            [15, 20, 25, 30]
        );
        assert_eq!(quantile(&[], 2), 0);
        assert_eq!(quantile(&[7], 3), 7);
    }
}
