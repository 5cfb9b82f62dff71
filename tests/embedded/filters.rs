//! Traces found by every kind of filter, in every order, page by page: as MLflow finds them on the same store.

use harness::{FilterSeed, TraceServer, Upstream};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Kind;

on_each_store! {
    every_filter_finds_what_mlflow_finds;
    every_order_is_mlflows_own;
    filters_and_orders_go_together;
    what_is_peculiar_to_a_store_is_peculiar_here_as_well;
    small_pages_put_together_are_the_whole_whoever_gave_the_token;
    several_experiments_are_searched_as_one;
    a_search_by_run_is_mlflows_own;
    what_mlflow_refuses_is_refused_with_a_reason;
    what_mlflow_stumbles_over_is_refused_with_a_reason;
}

/// What MLflow answers with 200, and the same on every store.
const FILTERS: &[&str] = &[
    // The state.
    "status = 'OK'",
    "status = \"ERROR\"",
    "status != 'OK'",
    "status = 'ok'",
    "status IN ('ERROR', 'IN_PROGRESS')",
    "status NOT IN ('OK')",
    "status not in ('OK')",
    "status In('ERROR','STATE_UNSPECIFIED')",
    "status IN ('ERROR',)",
    "status IN (\"ERROR\", 'it,s')",
    "status LIKE 'O%'",
    "status LIKE 'o%'",
    "status ILIKE 'o%'",
    "status RLIKE '^E'",
    "attributes.status = 'ERROR'",
    "attribute.status = 'IN_PROGRESS'",
    "trace.status = 'STATE_UNSPECIFIED'",
    // Times.
    "timestamp_ms > {ms20}",
    "timestamp > {ms20}",
    "timestamp_ms >= {ms10} AND timestamp_ms <= {ms11}",
    "timestamp = {ms10}",
    "timestamp_ms != {ms10}",
    "trace.timestamp_ms < {ms5}",
    "attributes.timestamp <= {ms5}",
    "timestamp_ms > {ms20}.5",
    "timestamp_ms > 1.7e12",
    "timestamp_ms > -1",
    "execution_time_ms > 100",
    "execution_time < 100",
    "execution_time_ms>100",
    "execution_time_ms >= .5",
    "execution_time_ms > 38.",
    "execution_time_ms = 0",
    "execution_time != 38",
    "trace.execution_time_ms >= 38.0",
    "execution_time_ms > 1 AND execution_time_ms < 200 AND status = 'OK'",
    "end_time_ms > {ms20}",
    "end_time <= {ms20}",
    "trace.end_time_ms < {ms1}",
    // Ids.
    "request_id = '{t5}'",
    "request_id != '{t5}'",
    "request_id IN ('{t1}', '{t2}', 'tr-unknown')",
    "request_id NOT IN ('{t1}', '{t2}')",
    "request_id LIKE 'tr-_%'",
    "client_request_id = 'req-1'",
    "client_request_id = 'request/ü'",
    "client_request_id != 'req-1'",
    "client_request_id IN ('req-1', 'req-4')",
    "client_request_id NOT IN ('req-1')",
    "client_request_id LIKE 'req-%'",
    "client_request_id ILIKE 'REQ-1%'",
    "client_request_id RLIKE '^req-[12]$'",
    // Names.
    "name = 'support_agent'",
    "name != 'support_agent'",
    "name = 'größe-prüfer'",
    "name = \"O'Brien bot\"",
    "name = 'O''Brien bot'",
    "name LIKE 'support%'",
    "name LIKE 'SUPPORT%'",
    "name ILIKE 'SUPPORT%'",
    "name LIKE '%-prüfer'",
    "name LIKE '100%'",
    "name RLIKE '^[sb]'",
    "name IS NULL",
    "name IS NOT NULL",
    "attributes.name = 'billing agent'",
    "`name` = 'billing agent'",
    "tags.`mlflow.traceName` = 'billing agent'",
    "tags.mlflow.traceName LIKE 'billing%'",
    // Runs: those that logged a trace, and those it was linked to.
    "run_id = '{run_a}'",
    "attributes.run_id = '{run_b}'",
    "metadata.`mlflow.sourceRun` = '{run_a}'",
    "run_id != '{run_a}'",
    "run_id != '{run_b}'",
    "run_id LIKE '%'",
    "run_id IS NULL",
    "run_id IS NOT NULL",
    "run_id = 'unknown'",
    "run_id = '{run_a}' AND tags.team = 'größe'",
    "run_id = '{run_a}' AND status = 'OK' AND metadata.mine = '0'",
    // Tags.
    "tags.team = 'care'",
    "tag.team = 'care'",
    "`tags`.team = 'care'",
    "tags.'team' = 'care'",
    "tags.TEAM = 'care'",
    "tags.team != 'care'",
    "tags.team = 'größe'",
    "tags.team LIKE 'c%'",
    "tags.team ILIKE 'C%'",
    "tags.team LIKE ''",
    "tags.team RLIKE 'gr..e'",
    "tags.team RLIKE '^care$|^billing$'",
    "tags.team RLIKE '(?i)CARE'",
    "tags.team RLIKE ''",
    "tags.`my key` = 'v 2'",
    "tags.\"my key\" = 'v1'",
    "tags.`my key` != 'v1'",
    "tags.`my key` LIKE 'v_'",
    "tags.`my key` ILIKE 'v1'",
    "tags.dotted.name = 'x.y'",
    "tags.`dotted.name` LIKE 'x_y'",
    "tags.pct LIKE '100%'",
    "tags.under LIKE 'a_b'",
    "tags.under ILIKE 'A_B'",
    "tags.under RLIKE '^a.b$'",
    "tags.quote = \"it's\"",
    "tags.quote = 'it''s'",
    "tags.quote = 'say \"hi\"'",
    "tags.quote LIKE '%\"%'",
    "tags.`back\\slash` = 'C:\\x'",
    "tags.empty = ''",
    "tags.empty IS NULL",
    "tags.empty IS NOT NULL",
    "tags.team is not null",
    "tags.team Is NuLl",
    "tags.emoji = '🙂'",
    "tags.n = '7'",
    "tags.missing IS NULL",
    "tags.missing != 'x'",
    "tags.größe IS NULL",
    "tags.select = 'x'",
    "tags.team = 'care' AND tags.team = 'billing'",
    "tags.team = 'care' AND tags.`my key` = 'v1' AND metadata.mine = '0'",
    "tags.team = 'a AND b'",
    "tags.team = 'a;b'",
    // Metadata, and those of it that are columns of their own.
    "metadata.mine = '1'",
    "request_metadata.mine != '1'",
    "metadata.mine LIKE '_'",
    "metadata.mine IS NULL",
    "metadata.`mlflow.trace.user` = 'müller@example.com'",
    "metadata.`mlflow.trace.user` RLIKE '^\\+49'",
    "metadata.`mlflow.trace.user` ILIKE '%EXAMPLE.COM'",
    "metadata.`mlflow.trace.session` = 'session-1'",
    "metadata.`mlflow.trace.session` != 'session-1'",
    "metadata.`mlflow.trace.session` IS NULL",
    "metadata.`mlflow.trace.session` IS NOT NULL",
    "metadata.`mlflow.trace.session` LIKE 'session-%'",
    "metadata.`mlflow.trace.session` RLIKE '[12]$'",
    "metadata.`mlflow.trace.tokenUsage` IS NOT NULL",
    "metadata.`mlflow.trace.tokenUsage` IS NULL",
    "metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 104, \"output_tokens\": 7, \"total_tokens\": 111}'",
    "metadata.`mlflow.trace.tokenUsage` != '{\"input_tokens\": 104, \"output_tokens\": 7, \"total_tokens\": 111}'",
    "metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\":104,\"output_tokens\":7,\"total_tokens\":111}'",
    "metadata.`mlflow.trace.tokenUsage` != 'x'",
    "metadata.`mlflow.trace.cost` IS NOT NULL",
    "metadata.`mlflow.trace.cost` IS NULL",
    "metadata.`mlflow.trace.cost` = '{\"input_cost\": 0.5, \"output_cost\": 0.75, \"total_cost\": 1.25}'",
    "metadata.`mlflow.trace.cost` != '{\"input_cost\": 0.5, \"output_cost\": 0.75, \"total_cost\": 1.25}'",
    "metadata.`mlflow.trace.sizeStats` IS NULL",
    "metadata.`mlflow.trace_schema.version` = '3'",
    // Feedback and expectations.
    "feedback.quality = 'good'",
    "feedback.quality != 'good'",
    "feedback.quality = 'größer'",
    "feedback.quality LIKE '%g%'",
    "feedback.quality LIKE 'good'",
    "feedback.quality LIKE '%größer%'",
    "feedback.quality ILIKE '\"GOOD\"'",
    "feedback.quality RLIKE '^\"g'",
    "feedback.quality IS NULL",
    "feedback.quality IS NOT NULL",
    "feedback.stars > 2",
    "feedback.stars >= 3.5",
    "feedback.stars < 3",
    "feedback.stars <= 0",
    "feedback.stars > -1",
    "feedback.stars >= .5",
    "feedback.stars = '3.5'",
    "feedback.stars = '3'",
    "feedback.stars = '6.0'",
    "feedback.stars != '3.5'",
    "feedback.is_ok = 'true'",
    "feedback.is_ok = 'True'",
    "feedback.is_ok != 'true'",
    "feedback.is_ok > 0",
    "feedback.`my label` IS NOT NULL",
    "feedback.`my label` LIKE '%ja%'",
    "feedback.facts = '[\"a\", 2.0]'",
    "feedback.facts = '[\"a\", 2]'",
    "feedback.changed = 'before'",
    "feedback.changed = 'after'",
    "feedback.mood = 'calm'",
    "feedback.mood != 'loud'",
    "feedback.mood IS NOT NULL",
    "feedback.mood IS NULL",
    "feedback.answer IS NOT NULL",
    "feedback.quality IS NOT NULL AND feedback.stars > 0",
    "feedback.quality = 'good' AND feedback.quality = 'bad'",
    "expectation.answer = 'Freitag'",
    "expectation.answer = 'möglich'",
    "expectation.answer IS NULL",
    "expectation.count > 10",
    "expectation.count = '11.0'",
    "expectation.count <= 6",
    "issue.id = '{issue}'",
    "issue.`id` = '{issue}'",
    "issue.id = 'iss-none'",
    // Spans: what is asked of a span must be true of one and the same.
    "span.name = 'look_up_order'",
    "span.name != 'look_up_order'",
    "span.name LIKE 'look%'",
    "span.name IN ('chat_model', 'look_up_order')",
    "span.name NOT IN ('support_agent', 'chat_model')",
    "span.name RLIKE '^chat'",
    "span.type = 'TOOL'",
    "span.type != 'AGENT'",
    "span.type IN ('TOOL')",
    "span.type ILIKE 'tool'",
    "span.status = 'ERROR'",
    "span.status = 'OK'",
    "span.status != 'OK'",
    "span.name = 'look_up_order' AND span.status = 'ERROR'",
    "span.type = 'CHAT_MODEL' AND span.status = 'ERROR'",
    "span.type = 'AGENT' AND span.name = 'look_up_order'",
    "span.name IN ('chat_model') AND span.type NOT IN ('TOOL')",
    "span.attributes.`tool.kind` LIKE '%db%'",
    "span.attributes.tool.kind LIKE 'db'",
    "span.attributes.tool.kind = 'db'",
    "span.attributes.tool.kind ILIKE '%DB%'",
    "span.attributes.tool.kind RLIKE '^db$'",
    "span.attributes.tool.kind LIKE '%http%' AND span.type = 'TOOL'",
    "span.attributes.llm.model LIKE '%größer%'",
    "span.attributes.llm.model RLIKE 'gpt.*mini'",
    "span.attributes.llm.model RLIKE '^gpt-4o-mini$'",
    "span.attributes.llm.model RLIKE '^claude'",
    "span.attributes.llm.model != 'gpt-4o-mini'",
    "span.attributes.retries LIKE ': \"3\"%'",
    "span.attributes.retries RLIKE '3'",
    "span.attributes.mlflow.spanType LIKE '%TOOL%'",
    "timestamp_ms > {ms20} AND span.type = 'TOOL'",
    // Texts.
    "trace.text LIKE '%Freitag%'",
    "trace.text ILIKE '%freitag%'",
    "trace.text ILIKE '%BESTELLUNG 1%'",
    "trace.text LIKE '%🚚%'",
    "attributes.text LIKE '%number 3%'",
    "span.content LIKE '%is on%'",
    // Prompts.
    "prompt = '{prompt}'",
    "attributes.prompt = '{prompt}'",
    "prompt = 'nothing/1'",
    // Words that mean the same wherever they stand.
    "tags.name = 'support_agent'",
    "metadata.name = 'support_agent'",
    "feedback.name = 'support_agent'",
    "tags.NAME = 'support_agent'",
    "tags.run_id = '{run_a}'",
    "feedback.run_id = '{run_a}'",
    "tags.text LIKE '%Freitag%'",
    "tags.prompt = '{prompt}'",
    // Several conditions, written in any way.
    "",
    "status = 'OK' AND tags.team = 'care' AND execution_time_ms > 100",
    "status = 'OK' aNd tags.team = 'care' And feedback.quality = 'good'",
    "status='OK'AND tags.team='care'",
    "  status   =   'OK'   ",
    "status = 'OK'\nAND\n\tname = 'support_agent'",
    "span.name = 'support_agent' AND tags.team = 'care' AND feedback.stars > 2",
    "run_id = '{run_a}' AND span.type = 'TOOL' AND feedback.quality IS NOT NULL",
    "prompt = '{prompt}' AND span.type = 'TOOL'",
    "status IN ('OK', 'ERROR') AND status != 'OK' AND timestamp_ms < {ms30}",
    "client_request_id NOT IN ('req-1') AND status IN ('OK') AND feedback.is_ok = 'true'",
];

const ORDERS: &[&[&str]] = &[
    &["timestamp_ms ASC"],
    &["timestamp_ms"],
    &["timestamp DESC"],
    &["`timestamp_ms` asc"],
    &["execution_time_ms ASC"],
    &["execution_time desc"],
    &["execution_time_ms DESC", "timestamp_ms ASC"],
    &["status ASC"],
    &["status DESC", "request_id DESC"],
    &["attributes.status DESC", "trace.timestamp_ms ASC"],
    &["request_id ASC"],
    &["request_id DESC"],
    &["name ASC"],
    &["name DESC", "execution_time_ms"],
    &["attribute.name"],
    &["experiment_id DESC", "status"],
    &["tags.team ASC"],
    &["tag.team DESC", "tags.`my key` ASC"],
    &["tags.`mlflow.traceName` DESC"],
    &["tags.n ASC"],
    &["tags.empty"],
    &["tags.`my key` DESC", "tags.under", "tags.team"],
    &["tags.missing DESC"],
    &["metadata.mine DESC"],
    &["metadata.`mlflow.trace.user`"],
    &["metadata.`mlflow.trace.session` ASC"],
    &["metadata.`mlflow.trace.session` DESC", "timestamp_ms"],
    &["run_id DESC"],
    &["run_id ASC", "name DESC"],
    &["metadata.`mlflow.sourceRun`"],
    &["tags.`mlflow.linkedPrompts`"],
];

const FILTERS_IN_ORDER: &[(&str, &[&str])] = &[
    ("status = 'OK'", &["execution_time_ms DESC"]),
    ("tags.team = 'care'", &["tags.team", "tags.n"]),
    ("tags.team != 'care'", &["tags.team DESC", "name"]),
    ("span.type = 'TOOL'", &["name", "timestamp_ms"]),
    ("run_id = '{run_a}'", &["run_id", "request_id DESC"]),
    (
        "feedback.quality IS NOT NULL",
        &["metadata.`mlflow.trace.session`"],
    ),
    ("metadata.mine = '1'", &["metadata.mine", "status"]),
    ("feedback.mood = 'calm'", &["execution_time_ms"]),
    ("prompt = '{prompt}'", &["timestamp_ms"]),
    ("issue.id = '{issue}'", &["name DESC"]),
    ("trace.text LIKE '%Freitag%'", &["tags.`my key`"]),
];

/// What the two kinds of store answer in different ways: each is to be met as it is.
const PECULIAR: &[&str] = &[
    // Only PostgreSQL folds letters beyond ASCII.
    "name ILIKE 'GRÖßE%'",
    "metadata.`mlflow.trace.user` ILIKE '%MÜLLER%'",
    "span.attributes.llm.model ILIKE '%GRÖßER%'",
    // Only PostgreSQL takes a backslash for an escape, and none at the end.
    "name LIKE '100\\%%'",
    "name LIKE '%\\_%'",
    "tags.under LIKE 'a\\_b'",
    "tags.`back\\slash` LIKE 'C:\\%'",
    "tags.`back\\slash` LIKE '%\\\\%'",
];

/// What MLflow answers with 400 on every store.
const REFUSED: &[&str] = &[
    "bogus = 1",
    "state = 'OK'",
    "trace_id = 'x'",
    "execution_duration > 3",
    "session_id = 'x'",
    "user = 'x'",
    "STATUS = 'OK'",
    "Timestamp_ms > 1",
    "TAGS.team = 'care'",
    "FEEDBACK.quality = 'good'",
    "trace.Text LIKE '%x%'",
    "status.x = 'OK'",
    "foo.bar = 'x'",
    "params.x = '1'",
    "metrics.x > 1",
    "assessment.quality = 'good'",
    "attributes.tags.team = 'x'",
    "status",
    "= 'OK'",
    "status =",
    "'OK' = status",
    "1 = 1",
    "status = OK",
    "status = `OK`",
    "status = 1",
    "status = ''OK''",
    "status = 'OK",
    "status = 'O'K'",
    "status == 'OK'",
    "status <> 'OK'",
    "status > 'OK'",
    "status IS 'OK'",
    "status IS NULL",
    "status NOT LIKE 'O%'",
    "status BETWEEN 'A' AND 'Z'",
    "status IN 'OK'",
    "status IN ()",
    "status IN (1, 2)",
    "status IN ('OK'",
    "status IN ('OK',, 'ERROR')",
    "status IN ['OK']",
    "status = 'OK' OR status = 'ERROR'",
    "status = 'OK', status = 'ERROR'",
    "status = 'OK'; status = 'ERROR'",
    "status = 'OK';",
    "(status = 'OK')",
    "NOT status = 'OK'",
    "status = 'OK' && name = 'x'",
    "status = 'OK' AND OR",
    "status = 'OK' -- comment",
    "status = 'OK' /* comment */",
    "status = 'OK' LIMIT 1",
    "status = 'OK' ORDER BY name",
    "status = 'OK' UNION SELECT 1",
    "SELECT * FROM trace_info",
    "name IN ('x')",
    "run_id IN ('x')",
    "name > 'a'",
    "name = 1",
    "request_id IS NOT NULL",
    "request_id > 'a'",
    "client_request_id IS NULL",
    "timestamp_ms LIKE '17%'",
    "timestamp_ms IN (1, 2)",
    "timestamp_ms IS NULL",
    "timestamp_ms > now()",
    "timestamp_ms > 1 + 1",
    "timestamp_ms > 0x10",
    "timestamp_ms > +1",
    "end_time_ms = NULL",
    "tags = 'x'",
    "tags.team = care",
    "tags.team = 3",
    "tags.team = NULL",
    "tags.team = true",
    "tags.team > 'a'",
    "tags.team IN ('care')",
    "tags.team IS",
    "tags.team ISNULL",
    "tags.my key = 'v1'",
    "tags.`my key = 'v1'",
    "tags.a-b = 'x'",
    "`tags.team` = 'care'",
    "tags . team = 'care'",
    "metadata.mine = 1",
    "metadata.mine > '1'",
    "metadata.mine IN ('1')",
    "metadata.`mlflow.trace.cost` LIKE '%1%'",
    "metadata.`mlflow.trace.tokenUsage` RLIKE '1'",
    "feedback = 'x'",
    "feedback. = 'x'",
    "feedback.quality = good",
    "feedback.quality IN ('good')",
    "feedback.stars > '2'",
    "feedback.stars = 3.5",
    "expectation.count = 3",
    "span.bogus = 'x'",
    "span.duration > 3",
    "span.name = tool",
    "span.name = 1",
    "span.name > 'a'",
    "span.name IS NULL",
    "span.status IN ()",
    "span.content = 'x'",
    "span.content RLIKE 'x'",
    "span.attributes = 'x'",
    "span.attributes. = 'x'",
    "span.attributes.x > '1'",
    "span.attributes.x IS NULL",
    "span.attributes.x IN ('1')",
    "trace.text = 'x'",
    "trace.text RLIKE 'x'",
    "trace.text IS NULL",
    "trace.text LIKE 3",
    "prompt != 'a/1'",
    "prompt = 'a'",
    "prompt = 'a/b/c'",
    "prompt LIKE 'a/%'",
    "prompt IN ('a/1')",
    "issue.id != 'x'",
    "issue.id LIKE 'x'",
    "issue.id = 1",
    "'",
    "`",
    ".",
    ";",
];

const REFUSED_ORDERS: &[&[&str]] = &[
    &["bogus"],
    &["trace_id"],
    &["client_request_id"],
    &["prompt"],
    &["text"],
    &["TIMESTAMP_MS"],
    &["attributes.bogus"],
    &["tags"],
    &["tags.`team"],
    &["tags.a b"],
    &["timestamp_ms UP"],
    &["tags.team ASC DESC"],
    &["timestamp_ms DESC NULLS LAST"],
    &["timestamp_ms, status"],
    &["timestamp_ms;"],
    &["(timestamp_ms)"],
    &["'timestamp_ms'"],
    &["ASC"],
    &[""],
    &[" "],
    &["feedback.quality"],
    &["span.name"],
    &["issue.id"],
    &["metadata.`mlflow.trace.tokenUsage`"],
    &["metadata.`mlflow.trace.cost` DESC"],
    &["timestamp_ms", "bogus"],
];

/// The last are `{}`, `{`, `{"offset": null}`, `{"Offset": 3}`, and one that lacks its padding.
const REFUSED_TOKENS: &[&str] = &[
    "bogus",
    "!!!!",
    "====",
    "e30=",
    "ew==",
    "eyJvZmZzZXQiOiBudWxsfQ==",
    "eyJPZmZzZXQiOiAzfQ==",
    "eyJvZmZzZXQiOiAzfQ",
];

/// What MLflow answers with 500, or with 200 though it is nonsense, on one kind of store at least.
const STUMBLED_OVER: &[&str] = &[
    // 500: a list of words, and a number that the database does not hold; on PostgreSQL a character that it does not.
    "status IN (OK)",
    "timestamp_ms > 99999999999999999999",
    "tags.team = 'x\u{0}'",
    // 200 on SQLite, 400 on PostgreSQL.
    "timestamp_ms > 'abc'",
    "execution_time_ms > 'x'",
    "tags.team RLIKE '['",
    "tags.team RLIKE '*'",
    "name RLIKE '(a'",
    "span.attributes.x RLIKE '['",
];

/// 500: what is named twice.
const STUMBLED_OVER_ORDERS: &[&[&str]] = &[
    &["timestamp_ms", "timestamp"],
    &["timestamp_ms ASC", "timestamp_ms DESC"],
    &["tags.team", "tag.team DESC"],
    &["name", "tags.`mlflow.traceName`"],
    &["run_id", "metadata.`mlflow.sourceRun`"],
    &["request_id ASC", "name ASC", "request_id"],
];

/// 500: `[]`, `null`, `3`, `"offset"`, and what is not ASCII; on one kind of store each: −1 and what is too large.
const STUMBLED_OVER_TOKENS: &[&str] = &[
    "W10=",
    "bnVsbA==",
    "Mw==",
    "Im9mZnNldCI=",
    "ä",
    "eyJvZmZzZXQiOiAtMX0=",
    "eyJvZmZzZXQiOiA5OTk5OTk5OTk5OTk5OTk5OTk5OX0=",
];

/// One MLflow, and a server on its store.
struct Both {
    upstream: Upstream,
    server: TraceServer,
}

/// A search as both are asked for it.
#[derive(Default)]
struct Search<'a> {
    filter: Option<&'a str>,
    order_by: &'a [&'a str],
    token: Option<&'a str>,
    /// 500 unless given.
    max_results: Option<u32>,
}

struct Page {
    ids: Vec<String>,
    token: Option<String>,
}

impl Both {
    async fn on(kind: Kind) -> Self {
        let upstream = kind.upstream();
        let server = crate::embedded(&upstream, &[]).await;
        Self { upstream, server }
    }

    fn seed(&self) -> &FilterSeed {
        &self.upstream.seed.filters
    }

    fn body(&self, search: &Search<'_>) -> Value {
        let mut body = json!({"max_results": search.max_results.unwrap_or(500)});
        if let Some(filter) = search.filter {
            body["filter"] = self.seed().fill(filter).into();
        }
        if !search.order_by.is_empty() {
            body["order_by"] = json!(search.order_by);
        }
        if let Some(token) = search.token {
            body["page_token"] = token.into();
        }
        body
    }

    async fn try_theirs(&self, search: &Search<'_>) -> (StatusCode, Value) {
        let mut body = self.body(search);
        body["locations"] = locations(&[&self.seed().experiment_id]);
        crate::try_mlflow(&self.upstream, SEARCH, &body).await
    }

    async fn try_ours(&self, search: &Search<'_>) -> (StatusCode, Value) {
        let mut body = self.body(search);
        body["experiment_ids"] = json!([self.seed().experiment_id]);
        let asker = self.server.as_local_user();
        asker.try_post("/api/mlflow/search-traces", &body).await
    }

    async fn theirs(&self, search: &Search<'_>) -> Page {
        let (status, page) = self.try_theirs(search).await;
        assert_eq!(status, StatusCode::OK, "{}: {page}", self.body(search));
        Page {
            ids: crate::texts(&page["traces"], "/trace_id"),
            token: token(&page),
        }
    }

    async fn ours(&self, search: &Search<'_>) -> Page {
        let (status, page) = self.try_ours(search).await;
        assert_eq!(status, StatusCode::OK, "{}: {page}", self.body(search));
        Page {
            ids: crate::texts(&page["traces"], "/info/trace_id"),
            token: token(&page),
        }
    }

    /// How many both find: the same in the same order.
    async fn same(&self, search: &Search<'_>) -> usize {
        let (theirs, ours) = (self.theirs(search).await, self.ours(search).await);
        assert_eq!(
            self.numbers(&ours.ids),
            self.numbers(&theirs.ids),
            "{}",
            self.body(search)
        );
        ours.ids.len()
    }

    /// Which of the seeded traces these are: easier to read than ids.
    fn numbers(&self, ids: &[String]) -> Vec<usize> {
        let all = &self.seed().trace_ids;
        ids.iter()
            .map(|id| all.iter().position(|one| one == id).unwrap_or(usize::MAX))
            .collect()
    }
}

const SEARCH: &str = "/api/3.0/mlflow/traces/search";

fn locations(experiments: &[&str]) -> Value {
    let location =
        |id: &&str| json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": id}});
    experiments.iter().map(location).collect()
}

fn token(page: &Value) -> Option<String> {
    page["next_page_token"]
        .as_str()
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
}

async fn every_filter_finds_what_mlflow_finds(kind: Kind) {
    let both = Both::on(kind).await;
    let all = both.seed().trace_ids.len();
    let mut telling = 0;
    for &filter in FILTERS {
        let search = Search {
            filter: Some(filter),
            ..Search::default()
        };
        let found = both.same(&search).await;
        telling += usize::from(found > 0 && found < all);
    }
    // A filter that finds nothing, or all, hardly shows that it was understood.
    assert!(
        telling * 10 > FILTERS.len() * 8,
        "{telling} of {} filters find some and not all",
        FILTERS.len()
    );
}

async fn every_order_is_mlflows_own(kind: Kind) {
    let both = Both::on(kind).await;
    for &order_by in ORDERS {
        let search = Search {
            order_by,
            ..Search::default()
        };
        assert_eq!(both.same(&search).await, both.seed().trace_ids.len());
    }
}

async fn filters_and_orders_go_together(kind: Kind) {
    let both = Both::on(kind).await;
    for &(filter, order_by) in FILTERS_IN_ORDER {
        let search = Search {
            filter: Some(filter),
            order_by,
            ..Search::default()
        };
        assert!(both.same(&search).await > 1, "{filter} finds several");
    }
}

async fn what_is_peculiar_to_a_store_is_peculiar_here_as_well(kind: Kind) {
    let both = Both::on(kind).await;
    for &filter in PECULIAR {
        let search = Search {
            filter: Some(filter),
            ..Search::default()
        };
        let (status, _) = both.try_theirs(&search).await;
        if status.is_success() {
            both.same(&search).await;
        } else {
            let (status, problem) = both.try_ours(&search).await;
            crate::check_is_refused(filter, status, &problem);
        }
    }
}

async fn small_pages_put_together_are_the_whole_whoever_gave_the_token(kind: Kind) {
    let both = Both::on(kind).await;
    for (size, &(filter, order_by)) in (2..=7).zip(&[
        ("status = 'ERROR'", &[][..]),
        ("", &["tags.team DESC"]),
        ("tags.team = 'care'", &["execution_time_ms"]),
        ("span.type != 'AGENT'", &["name"]),
        ("feedback.quality IS NULL", &[]),
        ("", &["metadata.`mlflow.trace.session`", "request_id"]),
    ]) {
        let search = Search {
            filter: Some(filter),
            order_by,
            ..Search::default()
        };
        let whole = both.ours(&search).await.ids;
        assert!(whole.len() > size as usize, "{filter} needs several pages");
        // Ours alone, then each page by the other one of the two, beginning with either.
        for is_theirs in [
            |_: usize| false,
            |page: usize| page.is_multiple_of(2),
            |page: usize| !page.is_multiple_of(2),
        ] {
            let (mut found, mut token) = (Vec::new(), None::<String>);
            for page in 0.. {
                let search = Search {
                    token: token.as_deref(),
                    max_results: Some(size),
                    ..search
                };
                let answer = if is_theirs(page) {
                    both.theirs(&search).await
                } else {
                    both.ours(&search).await
                };
                assert!(answer.ids.len() <= size as usize);
                found.extend(answer.ids);
                token = answer.token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(
                both.numbers(&found),
                both.numbers(&whole),
                "pages of {size}: {filter}"
            );
        }
    }
}

async fn several_experiments_are_searched_as_one(kind: Kind) {
    let both = Both::on(kind).await;
    let seed = &both.upstream.seed;
    let (filters, main, empty) = (
        &seed.filters.experiment_id,
        &seed.experiment_id,
        &seed.empty_experiment_id,
    );
    let count = seed.trace_ids.len() + seed.filters.trace_ids.len();
    for (experiments, filter, order_by, expected) in [
        (
            vec![main, filters],
            "",
            &["experiment_id DESC", "name"][..],
            Some(count),
        ),
        (vec![filters, empty, main], "", &[], Some(count)),
        (vec![empty], "", &[], Some(0)),
        (
            vec![filters, main],
            "tags.team = 'größe'",
            &["timestamp_ms"],
            None,
        ),
        // A label of a session counts in the experiments that are searched.
        (vec![main], "feedback.mood IS NULL", &[], None),
        (vec![main, filters], "feedback.mood = 'calm'", &[], None),
    ] {
        let ids: Vec<_> = experiments.iter().map(|id| id.as_str()).collect();
        let mut body = json!({"max_results": 500, "filter": filter, "order_by": order_by});
        body["locations"] = locations(&ids);
        let theirs = crate::mlflow(&both.upstream, SEARCH, &body).await;
        let body = json!({"max_results": 500, "filter": filter, "order_by": order_by, "experiment_ids": ids});
        let ours = both.server.post_json("/api/mlflow/search-traces", &body).await;
        let found = crate::texts(&ours["traces"], "/info/trace_id");
        assert_eq!(found, crate::texts(&theirs["traces"], "/trace_id"), "{body}");
        match expected {
            Some(expected) => assert_eq!(found.len(), expected, "{body}"),
            None => assert!(!found.is_empty(), "{body}"),
        }
    }
}

async fn a_search_by_run_is_mlflows_own(kind: Kind) {
    let both = Both::on(kind).await;
    for run in ["run_a", "run_b"] {
        let filter = format!("run_id = '{{{run}}}'");
        let search = Search {
            filter: Some(&filter),
            ..Search::default()
        };
        let theirs = both.theirs(&search).await.ids;
        assert!(theirs.len() > 3);
        // The run's experiment is not the one that is configured.
        let body = json!({"run_id": both.seed().words[run], "max_results": 500, "include_spans": false});
        let ours = both.server.post_json("/api/mlflow/search-traces", &body).await;
        let ours = crate::texts(&ours["traces"], "/info/trace_id");
        assert_eq!(both.numbers(&ours), both.numbers(&theirs), "{run}");
    }
}

/// Everything of these three kinds, as searches.
fn searches<'a>(
    filters: &'a [&'a str],
    orders: &'a [&'a [&'a str]],
    tokens: &'a [&'a str],
) -> impl Iterator<Item = Search<'a>> {
    let filters = filters.iter().map(|&filter| Search {
        filter: Some(filter),
        ..Search::default()
    });
    let orders = orders.iter().map(|&order_by| Search {
        order_by,
        ..Search::default()
    });
    let tokens = tokens.iter().map(|&token| Search {
        token: Some(token),
        ..Search::default()
    });
    filters.chain(orders).chain(tokens)
}

async fn what_mlflow_refuses_is_refused_with_a_reason(kind: Kind) {
    let both = Both::on(kind).await;
    let mut accepted = Vec::new();
    for search in searches(REFUSED, REFUSED_ORDERS, REFUSED_TOKENS) {
        let case = both.body(&search).to_string();
        let (status, answer) = both.try_theirs(&search).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "MLflow, {case}: {answer}");
        let (status, problem) = both.try_ours(&search).await;
        if status.is_success() {
            accepted.push(case);
            continue;
        }
        crate::check_is_refused(&case, status, &problem);
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
}

async fn what_mlflow_stumbles_over_is_refused_with_a_reason(kind: Kind) {
    let both = Both::on(kind).await;
    for search in searches(STUMBLED_OVER, STUMBLED_OVER_ORDERS, STUMBLED_OVER_TOKENS) {
        let case = both.body(&search).to_string();
        let (status, problem) = both.try_ours(&search).await;
        assert!(status.is_client_error(), "{case}: {status}: {problem}");
        crate::check_is_problem(&case, status, &problem);
    }
}
