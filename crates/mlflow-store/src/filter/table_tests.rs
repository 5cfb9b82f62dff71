//! Filters that MLflow 3.17.2 accepts or refuses, and so do we. Each was tried on MLflow; where we differ is said.

use super::compile_traces::Scope;
use super::{RunFilter, TraceFilter};
use crate::dialect::Dialect;
use crate::shape::SchemaShape;
use crate::sql::Statement;

const ACCEPTED_TRACES: &[&str] = &[
    "",
    "status = 'OK'",
    "status != 'OK'",
    "status IN ('OK', 'ERROR')",
    "status NOT IN (\"OK\")",
    "status LIKE 'E%'",
    "status ILIKE 'e%'",
    "status RLIKE '^(OK|IN)'",
    "trace.status = \"OK\"",
    "attributes.`status` = 'ERROR'",
    "attribute.status = 'ERROR'",
    "\"status\" = 'OK'",
    "timestamp > 10005000",
    "timestamp>-5",
    "timestamp_ms <= 10020000",
    "timestamp_ms > 10000000.5",
    "timestamp >= 5 AND timestamp < 9",
    "trace.timestamp != 5",
    "execution_time > 3",
    "execution_time_ms < 1e1",
    "execution_time = -.5",
    "execution_time >= 1.",
    "end_time > 10005003",
    "attributes.end_time_ms = 10001001",
    "request_id = 'tr-0003'",
    "request_id IN ('tr-0003', 'tr-0004',)",
    "request_id IN ('tr-' '0003')",
    r"request_id IN ('tr\x2d0003')",
    "request_id LIKE 'tr-000%'",
    "client_request_id = 'c1'",
    "client_request_id NOT IN ('c1')",
    "name = 'agent'",
    "name != 'it''s'",
    r"name = 'it\'s'",
    "name ILIKE 'GRÖSSE'",
    "name RLIKE '^[aA]g'",
    "name IS NULL",
    "name IS NOT NULL",
    "tags.`mlflow.traceName` = 'agent'",
    "tags.name = 'agent'",
    "feedback.name = 'agent'",
    "tags.k = 'a'",
    "tag.k != ''",
    "tags.k LIKE 'b_c'",
    "tags.k is null",
    "tags.`my key` = 'v'",
    "tags.\"my key\" IS NOT NULL",
    "tags.'my key' = 'v'",
    "`tags`.k = 'A'",
    "tags.a.b = 'A'",
    "tags.größe = 'groß'",
    "tags.type = 'x' and tags.status = 'y'",
    "metadata.`user id` = 'u1'",
    "request_metadata.`user id` != 'u1'",
    "metadata.`user id` IS NULL",
    "metadata.`mlflow.trace.session` = 's3'",
    "metadata.mlflow.trace.session IS NULL",
    "metadata.`mlflow.trace.tokenUsage` IS NOT NULL",
    "metadata.`mlflow.trace.tokenUsage` != '{\"input_tokens\": 5}'",
    "metadata.`mlflow.trace.cost` = '{\"total_cost\": 1e-05}'",
    "run_id = 'r'",
    "attributes.run_id = 'r'",
    "metadata.`mlflow.sourceRun` = 'r'",
    "run_id != 'r'",
    "run_id IS NULL",
    "run_id = 'r' AND tags.run_id = 'r'",
    "prompt = 'p/1'",
    "tags.prompt = 'p/0'",
    "issue.id = 'iss-1'",
    "span.name = 'tool_call'",
    "span.type IN ('TOOL', 'LLM')",
    "span.status NOT IN ('OK')",
    "span.name RLIKE 'o+l'",
    "trace.text LIKE '%gpt%'",
    "`text` ILIKE '%GPT%'",
    "tags.text LIKE '%gpt%'",
    "span.content LIKE '%llm%'",
    "span.attributes.llm.model LIKE '%gpt%'",
    "span.attributes.`llm.model` ILIKE '%CLAUDE%'",
    "span.attributes.n RLIKE '^1$'",
    "span.attributes.n != '1'",
    "span.`attributes.n` LIKE '%2%'",
    "feedback.q = 'true'",
    "feedback.q != 'yes'",
    "feedback.q > 0",
    "feedback.q <= -1.5",
    "feedback.q RLIKE '^\"'",
    "feedback.q IS NULL",
    "feedback.`r s` = 'größe'",
    "feedback.\"r s\" IS NOT NULL",
    "feedback.a.b = '{\"a\": 1}'",
    "expectation.q = \"it's\"",
    "expectation.q >= 1e3",
    "AND status = 'OK' AND AND name = 'a' AND",
    "status='OK'AND execution_time>1 And name='x'",
    // MLflow refuses these, for how sqlparse takes the text apart.
    "text LIKE '%gpt%'",
    "timestamp > 1.5",
    "tags.case = 'x'",
    "tags.1 = 'x'",
    "tags.x IS  NOT  NULL",
    "span.name like 'x'",
    "  ",
];

const REFUSED_TRACES: &[(&str, &str)] = &[
    ("name IN ('a')", "name cannot be compared with IN"),
    ("run_id IN ('a')", "run_id cannot be compared with IN"),
    ("status = ('OK')", "a list goes with IN"),
    ("status > 'a'", "status cannot be compared with >"),
    ("status IS NULL", "it takes =, !=, IN, NOT IN"),
    ("status = 5", "text between quotes"),
    ("state = 'OK'", "no attribute `state`; there are request_id"),
    ("trace_id = 'x'", "request_id"),
    ("session_id = 'x'", "no attribute"),
    ("Status = 'OK'", "no attribute `Status`"),
    ("run.status = 'OK'", "no `run`"),
    ("assessment.q = 'a'", "feedback, expectation"),
    ("`tags.x` = 'a'", "what can stand before the dot"),
    ("tags.k > 'a'", "a tag cannot be compared with >"),
    ("tags.k = 5", "a tag is compared with a text"),
    ("tags.k IN ('a')", "a tag cannot"),
    ("metadata.x IN ('a')", "metadata cannot"),
    ("metadata.x = 5", "metadata is compared with a text"),
    (
        "metadata.`mlflow.trace.cost` LIKE 'a'",
        "it takes =, !=, IS NULL and IS NOT NULL",
    ),
    ("run_id = 'a' AND run_id = 'b'", "only once"),
    ("prompt = 'a'", "name/version"),
    ("prompt != 'a/1'", "it takes ="),
    ("prompt IS NULL", "it takes ="),
    ("trace.text = 'a'", "it takes LIKE and ILIKE"),
    ("trace.text RLIKE 'a'", "it takes LIKE and ILIKE"),
    ("feedback.text = 'a'", "it takes LIKE and ILIKE"),
    ("span.name > 'a'", "a span's value cannot"),
    ("span.name IS NULL", "a span's value cannot"),
    ("span.name = 5", "text between quotes"),
    ("span.foo = 'a'", "attributes.<name>"),
    ("span.attributes.x IN ('a')", "cannot be compared with IN"),
    ("span.attributes. = 'a'", "attributes.<name>"),
    ("feedback.q = true", "between quotes"),
    ("feedback.q = 5", "needs quotes"),
    ("feedback.q > '5'", "without quotes"),
    ("feedback.q IN ('a')", "feedback cannot"),
    ("feedback. = 'a'", "names no key"),
    ("issue.id != 'a'", "it takes ="),
    ("issue.x = 'a'", "issue.id alone"),
    ("execution_time LIKE '1%'", "without quotes"),
    ("execution_time IN ('1')", "without quotes"),
    ("execution_time > 10ms", "found: 10ms"),
    ("execution_time > +5", "expected a value"),
    (
        "timestamp_ms > 99999999999999999999",
        "beyond what timestamp_ms can be",
    ),
    ("timestamp > 1 LIMIT 5", "expected a comparator after `LIMIT`"),
    ("status = 'OK' OR name = 'a'", "OR and parentheses"),
    ("(status = 'OK')", "OR and parentheses"),
    ("status = 'OK', name = 'b'", "expected a key"),
    ("status <> 'OK'", "expected a comparator"),
    ("status IN ()", "at least one value"),
    ("status IN (1)", "between parentheses"),
    ("status = 'unclosed", "never closed"),
    ("name = 'a' /* x */", "expected a key"),
    // MLflow finds no trace by these, or fails.
    ("timestamp_ms = '5'", "compared with a number, without quotes"),
    ("tags. = 'x'", "names no key"),
];

const ACCEPTED_RUNS: &[&str] = &[
    "status = 'RUNNING'",
    "run.status ILIKE 'f%'",
    "attr.user_id = 'u1'",
    "run_id IN ('a', 'b')",
    "attributes.run_id NOT IN ('a')",
    "run_name != 'run1'",
    "`run name` LIKE 'run%'",
    "attributes.`Run Name` ILIKE 'RUN2'",
    "start_time > 1001.5",
    "created <= 1003 AND Created > 5",
    "end_time != 2003",
    "artifact_uri LIKE '%art%'",
    "metrics.m != 0",
    "metric.`a b` <= 1e0",
    "metrics.n < 99999999999999999999999",
    "params.p = 'x'",
    "parameters.p LIKE 'y_'",
    "param.p is not null",
    "tags.`mlflow.runName` IS NULL",
    "dataset.name = 'd1'",
    "datasets.digest LIKE 'dig%'",
    "dataset.context NOT IN ('train')",
];

const REFUSED_RUNS: &[(&str, &str)] = &[
    ("metrics.m = 'x'", "compared with a number"),
    ("metrics.m LIKE 1", "a metric cannot be compared with LIKE"),
    ("metrics.m IS NULL", "compared with a number"),
    ("metrics.m = nan", "expected a value"),
    ("params.p = 1", "text between quotes"),
    ("params.p IN ('x')", "a param cannot"),
    ("params.p > 'x'", "a param cannot"),
    ("tags.k RLIKE 'x'", "a tag cannot"),
    ("status IN ('a')", "status cannot"),
    ("status IS NULL", "status cannot"),
    ("start_time = '5'", "without quotes"),
    ("start_time IS NULL", "without quotes"),
    ("experiment_id = '1'", "no attribute"),
    ("name = 'x'", "there are run_id, run_name"),
    ("timestamp > 5", "no attribute"),
    ("dataset.foo = 'x'", "name, digest and context"),
    ("dataset.name > 'x'", "a dataset cannot"),
    ("dataset.name IS NULL", "a dataset cannot"),
    ("foo.x = 'y'", "metrics, params, tags or dataset"),
];

#[test]
fn filters_of_traces_are_accepted_and_compile() {
    for filter in ACCEPTED_TRACES {
        let parsed = TraceFilter::parse(filter).unwrap_or_else(|refusal| panic!("{filter}: {refusal}"));
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let mut statement = Statement::new(dialect, "");
            parsed
                .push_conditions(&mut statement, Scope::walk(SchemaShape::NEWEST, &[1, 2]))
                .unwrap_or_else(|refusal| panic!("{filter}: {refusal}"));
            assert_well_formed(&statement);
        }
    }
}

#[test]
fn filters_of_runs_are_accepted_and_compile() {
    for filter in ACCEPTED_RUNS {
        let parsed = RunFilter::parse(filter).unwrap_or_else(|refusal| panic!("{filter}: {refusal}"));
        let mut statement = Statement::new(Dialect::Sqlite, "");
        parsed.push_conditions(&mut statement);
        assert_well_formed(&statement);
    }
}

#[test]
fn filters_are_refused_for_what_is_wrong_with_them() {
    for (filter, part) in REFUSED_TRACES {
        let message = TraceFilter::parse(filter).expect_err(filter).to_string();
        assert!(message.contains(part), "{filter}: {message}");
    }
    for (filter, part) in REFUSED_RUNS {
        let message = RunFilter::parse(filter).expect_err(filter).to_string();
        assert!(message.contains(part), "{filter}: {message}");
    }
}

/// Parentheses close, and there is a placeholder for each value.
fn assert_well_formed(statement: &Statement) {
    let text = statement.text();
    assert_eq!(text.matches('(').count(), text.matches(')').count(), "{text}");
    let places = text.matches('$').count();
    assert_eq!(places, statement.values().len(), "{text}");
}
