//! Filters and orders of searches, compiled to SQL. The first line is the filter, each further one a key of the order.

use std::collections::HashSet;
use std::sync::LazyLock;

use mlflow_store::Refusal;
use mlflow_store::doors::{Compiled, compile_runs, compile_traces, read_search, texts};

type Compile = fn(&str, &[String]) -> Result<Vec<Compiled>, Refusal>;

/// The SQL is made of the pieces that the SQL of some plain filters is made of, and each of its placeholders has its value. The
/// values hold the texts of the filter.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (filter, order_by) = parts(text);
    for compile in [compile_traces, compile_runs] as [Compile; 2] {
        let Ok(all) = compile(filter, &order_by) else {
            continue;
        };
        for compiled in &all {
            check_sql(compiled);
        }
        let (read, bound) = (texts(filter), &all.first().map(|first| &first.bound));
        assert!(read.is_ok(), "compiled, but not read");
        for text in read.unwrap_or_default() {
            let is_bound = is_bound(&text, bound.map_or(&[], Vec::as_slice));
            assert!(is_bound || is_of_tokens_or_cost(filter), "{text:?} is not bound");
        }
    }
    let reads = read_search(filter, &order_by).is_ok();
    assert_eq!(reads, compile_traces(filter, &order_by).is_ok());
}

/// The filter, and the keys of the order.
pub(crate) fn parts(text: &str) -> (&str, Vec<String>) {
    let mut lines = text.split('\n');
    let filter = lines.next().unwrap_or_default();
    (filter, lines.map(str::to_owned).collect())
}

fn check_sql(compiled: &Compiled) {
    let mut count = 0;
    for piece in pieces(&compiled.text) {
        if let Some(place) = piece.strip_prefix('$') {
            count += 1;
            assert_eq!(place, count.to_string(), "placeholders: {}", compiled.text);
        } else {
            let piece = without_place(piece);
            assert!(PIECES.contains(piece), "{piece:?} in {}", compiled.text);
        }
    }
    assert_eq!(count, compiled.bound.len(), "values: {}", compiled.text);
}

/// Texts, words with their dots, placeholders; anything else character by character.
fn pieces(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let length = match first {
            '\'' => rest.get(1..)?.find('\'').map_or(rest.len(), |end| end + 2),
            '$' => {
                1 + rest
                    .get(1..)?
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len() - 1)
            }
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        Some(piece)
    })
}

/// `j7.value` as `.value`: a join is named by the place of its key.
fn without_place(piece: &str) -> &str {
    let numbered = piece
        .strip_prefix('j')
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    numbered
        .filter(|rest| rest.len() + 1 < piece.len() && matches!(rest.chars().next(), None | Some('.')))
        .unwrap_or(piece)
}

/// A pattern of an attribute is bound without its anchors.
fn is_bound(text: &str, bound: &[Vec<String>]) -> bool {
    let text = text.strip_prefix('^').unwrap_or(text);
    let text = text.strip_suffix('$').unwrap_or(text);
    bound.iter().flatten().any(|value| value.contains(text))
}

/// These are bound as the numbers that their text holds, if it holds any.
fn is_of_tokens_or_cost(filter: &str) -> bool {
    ["mlflow.trace.tokenUsage", "mlflow.trace.cost"]
        .iter()
        .any(|name| filter.contains(name))
}

static PIECES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let traces = TRACES.map(|text| (compile_traces as Compile, text));
    let runs = RUNS.map(|text| (compile_runs as Compile, text));
    let mut all = HashSet::new();
    for (compile, text) in traces.into_iter().chain(runs) {
        let (filter, order_by) = parts(text);
        let compiled = compile(filter, &order_by);
        assert!(compiled.is_ok(), "{text}: {compiled:?}");
        for compiled in compiled.unwrap_or_default() {
            let found = pieces(&compiled.text).filter(|piece| !piece.starts_with('$'));
            all.extend(found.map(|piece| without_place(piece).to_owned()));
        }
    }
    all
});

/// All that can be asked of traces, in plain words. What is new in the language of filters is added here.
const TRACES: [&str; 27] = [
    "",
    "request_id = 'v' AND status != 'v' AND client_request_id LIKE 'v'\nrequest_id",
    "status ILIKE 'v' AND status RLIKE 'v'\nstatus DESC",
    "status IN ('v') AND status IN ('v', 'w') AND status NOT IN ('v', 'w')\nexperiment_id",
    "timestamp > 5 AND timestamp >= 5.5 AND timestamp < 5 AND timestamp <= 5\ntimestamp DESC",
    "execution_time = 5 AND end_time != 5\nexecution_time DESC\nend_time",
    "tags.k = 'v' AND tags.k IS NULL AND tags.k IS NOT NULL\ntags.k",
    "name = 'v' AND name IS NULL AND name IS NOT NULL AND name LIKE 'v'\nname",
    "metadata.k = 'v' AND metadata.k IS NULL\nmetadata.k",
    "metadata.`mlflow.trace.session` = 'v' AND metadata.`mlflow.trace.session` IS NULL\nmetadata.`mlflow.trace.session`",
    "metadata.`mlflow.trace.tokenUsage` IS NULL",
    "metadata.`mlflow.trace.tokenUsage` IS NOT NULL",
    "metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 1, \"total_tokens\": 2}'",
    "metadata.`mlflow.trace.tokenUsage` != 'v'",
    "metadata.`mlflow.trace.cost` IS NULL",
    "metadata.`mlflow.trace.cost` IS NOT NULL",
    "metadata.`mlflow.trace.cost` = '{\"total_cost\": 1.5}'",
    "run_id = 'v'\nrun_id",
    "run_id != 'v' AND run_id IS NULL",
    "prompt = 'p/1'",
    "issue.id = 'v'",
    "trace.text LIKE 'v'",
    "span.name = 'v' AND span.type = 'v' AND span.status = 'v' AND span.content LIKE 'v' AND timestamp > 5",
    "span.attributes.k LIKE 'v' AND span.attributes.k RLIKE 'v'",
    "feedback.k = 'v' AND feedback.k != 'v' AND feedback.k > 1",
    "feedback.k IS NULL AND feedback.k IS NOT NULL AND feedback.k LIKE 'v'",
    "expectation.k = 'v'",
];

/// All that can be asked of runs.
const RUNS: [&str; 6] = [
    "",
    "run_id = 'v' AND run_name LIKE 'v' AND status != 'v'\nrun_id\nrun_name\nstatus",
    "user_id ILIKE 'v' AND artifact_uri = 'v'\nuser_id\nartifact_uri",
    "start_time > 5 AND end_time <= 5.5\nend_time",
    "metrics.k != 1 AND metrics.k < 1 AND params.k = 'v' AND tags.k IS NULL\nmetrics.k\nparams.k\ntags.k DESC",
    "dataset.name = 'v' AND dataset.digest = 'v' AND dataset.context = 'v'",
];
