//! Traces made by hand, of spans as MLflow stores them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A span; `at` are its beginning and its end in ms.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    value: Value,
}

pub(crate) fn span(id: u64, parent: Option<u64>, kind: &str, name: &str, at: (u64, u64)) -> Made {
    let hex = |id: u64| format!("{id:016x}");
    Made {
        value: json!({
            "name": name, "span_id": hex(id), "parent_span_id": parent.map(hex),
            "start_time_unix_nano": at.0 * 1_000_000, "end_time_unix_nano": at.1 * 1_000_000,
            "status": {"code": "STATUS_CODE_OK", "message": ""}, "events": [],
            "attributes": {"mlflow.spanType": json!(kind).to_string()},
        }),
    }
}

impl Made {
    pub(crate) fn given(self, inputs: &Value) -> Self {
        self.with(SPAN_INPUTS, inputs)
    }

    pub(crate) fn gives(self, outputs: &Value) -> Self {
        self.with(SPAN_OUTPUTS, outputs)
    }

    pub(crate) fn with(mut self, attribute: &str, value: &Value) -> Self {
        self.value["attributes"][attribute] = json!(value.to_string());
        self
    }

    pub(crate) fn fails(mut self, exception: &str, message: &str) -> Self {
        let said = format!("{exception}: {message}");
        self.value["status"] = json!({"code": "STATUS_CODE_ERROR", "message": said});
        self.value["events"] = json!([{"name": "exception", "attributes": {"exception.type": exception, "exception.message": message}}]);
        self
    }
}

pub(crate) fn facts(id: &str, members: &Value) -> TraceFacts {
    let mut facts = json!({
        "trace_id": id, "state": "OK", "request_time": "2026-11-23T18:09:36.829Z", "execution_duration_ms": 100,
    });
    facts
        .as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    serde_json::from_value(facts).unwrap()
}

pub(crate) fn digested(facts: &TraceFacts, spans: &[Made]) -> TraceDigest {
    let mut digest = TraceDigest::new(facts);
    for span in spans {
        let text = span.value.to_string();
        digest.add(SpanView::parse(&text).ok().as_ref());
    }
    digest
}

pub(crate) fn trace(spans: &[Made]) -> TraceDigest {
    digested(&facts("tr-1", &json!({})), spans)
}

pub(crate) fn chat(words: &[(&str, &str)]) -> Value {
    let messages: Vec<_> = words
        .iter()
        .map(|(role, content)| json!({"role": role, "content": content}))
        .collect();
    json!({ "messages": messages })
}

#[test]
fn spans_are_counted_by_type_and_by_tool() {
    let tool = |id, at| span(id, Some(1), "TOOL", "look_up", at).given(&json!({"order": id, "deep": true}));
    let found = trace(&[
        span(1, None, "AGENT", "agent", (0, 100)),
        tool(2, (10, 20)),
        tool(3, (30, 60)).fails("ConnectionError", "no route to 10.0.0.7"),
        span(4, Some(3), "CHAT_MODEL", "chat", (31, 40))
            .with(
                "mlflow.chat.tokenUsage",
                &json!({"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}),
            )
            .with(
                "mlflow.llm.cost",
                &json!({"input_cost": 0.5, "output_cost": 0.25, "total_cost": 0.75}),
            ),
    ]);
    let tools = found.types.get("TOOL").unwrap();
    assert_eq!((tools.count, tools.errors, tools.error_rate()), (2, 1, 0.5));
    let latency = Latency::of(&tools.times).unwrap();
    assert_eq!((latency.p50, latency.max), (20.0, 30.0));
    let look_up = found.calls.tools.get("look_up").unwrap();
    assert_eq!(look_up.parameters.iter().collect::<Vec<_>>(), ["deep", "order"]);
    assert_eq!((found.depth, found.spans, found.spans_unread), (3, 4, 0));
    assert_eq!(found.total_tokens().unwrap().total_tokens, 10);
    assert_eq!(found.total_cost().unwrap().total_cost.to_string(), "0.75");
    assert_eq!(found.calls.calling(), Calling::Sequential);
}

#[test]
fn what_mlflow_counts_of_a_trace_stands_before_its_spans() {
    let metadata = json!({"trace_metadata": {
        "mlflow.trace.tokenUsage": r#"{"input_tokens": 70, "output_tokens": 30, "total_tokens": 100}"#,
        "mlflow.trace.cost": r#"{"total_cost": 2.5}"#, "mlflow.trace.session": "s-1",
    }});
    let usage = json!({"input_tokens": 7, "output_tokens": 3, "total_tokens": 10});
    let model = span(1, None, "CHAT_MODEL", "chat", (0, 1)).with("mlflow.chat.tokenUsage", &usage);
    let found = digested(&facts("tr-1", &metadata), &[model]);
    assert_eq!(found.total_tokens().unwrap().input_tokens, 70);
    assert_eq!(found.total_cost().unwrap().total_cost.to_string(), "2.5");
    assert_eq!(found.conversation.as_deref(), Some("s-1"));
}

#[test]
fn calls_at_the_same_time_are_parallel_and_equal_ones_repeated() {
    let call = |id, at, order: u64| span(id, None, "TOOL", "t", at).given(&json!({"order": order}));
    let calling = |calls: &[Made]| trace(calls).calls.calling();
    assert_eq!(calling(&[]), Calling::None);
    assert_eq!(calling(&[call(1, (0, 5), 1)]), Calling::Single);
    assert_eq!(
        calling(&[call(1, (0, 5), 1), call(2, (5, 6), 1)]),
        Calling::Sequential
    );
    let found = trace(&[
        call(1, (0, 5), 1),
        call(2, (8, 9), 2),
        call(3, (4, 6), 1),
        call(4, (20, 21), 1),
    ]);
    assert_eq!(found.calls.calling(), Calling::Parallel);
    let repeated = RepeatedCall {
        tool: "t".into(),
        times: 3,
    };
    assert_eq!(found.calls.repeated(), Some(&repeated));
}

#[test]
fn equal_failures_of_different_requests_are_one() {
    let fails = |id, message: &str| span(id, None, "TOOL", "t", (0, 1)).fails("KeyError", message);
    let found = trace(&[
        fails(1, "no order 4711 in lager-2 (7f3a9c00-1)"),
        fails(2, "no order 12 in lager-3 (11111111-2)"),
        fails(3, "no customer"),
    ]);
    assert_eq!(found.errors.spans, 3);
    let [first, second] = found.errors.kinds.as_slice() else {
        panic!("{:?}", found.errors);
    };
    assert_eq!(
        (first.group.as_str(), first.count),
        ("KeyError: no order # in # (#)", 2)
    );
    assert_eq!(first.snippet, "KeyError: no order 4711 in lager-2 (7f3a9c00-1)");
    assert_eq!(second.group, "KeyError: no customer");
}

#[test]
fn what_was_said_is_read_in_every_form() {
    let talk = |inputs: &Value, outputs: &Value| {
        trace(&[span(1, None, "AGENT", "a", (0, 1)).given(inputs).gives(outputs)]).talk
    };
    let found = talk(
        &chat(&[
            ("system", "s"),
            ("user", "first"),
            ("assistant", "yes?"),
            ("user", "naïve"),
        ]),
        &json!({"choices": [{"message": {"role": "assistant", "content": "four"}}]}),
    );
    assert_eq!((found.user_messages, found.assistant_messages), (2, 1));
    assert_eq!((found.request_chars, found.response_chars), (Some(5), Some(4)));
    assert_eq!(
        (found.input, found.output),
        (Some(Form::Messages), Some(Form::Messages))
    );
    let handed_on = chat(&[("user", "u"), ("assistant", "answer")]);
    for (outputs, chars, form) in [
        (json!("text"), Some(4), Form::Text),
        (json!({"answer": "abc"}), Some(3), Form::Object),
        (handed_on, Some(6), Form::Messages),
        (json!([1]), None, Form::List),
        (json!(null), None, Form::Empty),
        (json!("  "), Some(2), Form::Empty),
        (json!(true), None, Form::Other),
    ] {
        let found = talk(&json!({"query": "x"}), &outputs);
        assert_eq!(
            (found.response_chars, found.output),
            (chars, Some(form)),
            "{outputs}"
        );
        assert_eq!(found.input_fields.iter().collect::<Vec<_>>(), ["query"]);
    }
}

#[test]
fn empty_retrievals_and_cut_answers_are_seen() {
    let retriever = |outputs: Value| span(1, None, "RETRIEVER", "r", (0, 1)).gives(&outputs);
    let model = |outputs: Value| span(1, None, "CHAT_MODEL", "m", (0, 1)).gives(&outputs);
    let found = trace(&[
        retriever(json!([])),
        retriever(json!({"documents": []})),
        retriever(json!([{"page_content": "x"}])),
        retriever(json!(null)).fails("E", "x"),
        model(json!({"choices": [{"finish_reason": "length"}]})),
        model(json!({"stop_reason": "max_tokens"})),
        model(json!({"choices": [{"finish_reason": "stop"}]})),
    ]);
    assert_eq!(
        (found.retrievals, found.empty_retrievals, found.cut_answers),
        (4, 2, 2)
    );
}

#[test]
fn large_parts_are_counted_and_not_read() {
    let large = json!("x".repeat(MAX_READ));
    let found = trace(&[span(1, None, "AGENT", "a", (0, 1))
        .given(&large)
        .gives(&json!("y"))]);
    assert_eq!((found.spans, found.spans_unread), (1, 1));
    assert_eq!(
        (found.talk.input, found.talk.response_chars),
        (Some(Form::Unread), Some(1))
    );
}

#[test]
fn what_is_too_large_to_be_read_is_not_taken_for_nothing() {
    let large = json!("x".repeat(MAX_READ));
    let root = span(1, None, "AGENT", "a", (0, 1)).gives(&large);
    let found = trace(&[root, span(2, Some(1), "RETRIEVER", "r", (0, 1)).gives(&large)]);
    assert_eq!((found.retrievals, found.empty_retrievals), (1, 0));
    assert_eq!(
        (found.talk.input, found.talk.output),
        (Some(Form::Empty), Some(Form::Unread))
    );
}

#[test]
fn memory_does_not_hang_on_how_many_names_there_are() {
    let mut digest = TraceDigest::new(&facts("tr-1", &json!({})));
    let mut totals = Totals::default();
    for nth in 0..20_000_u64 {
        let made = span(nth + 1, Some(nth), "TOOL", &format!("name {nth}"), (nth, nth + 1));
        let text = made.given(&json!({ format!("p{nth}"): nth })).value.to_string();
        digest.add(SpanView::parse(&text).ok().as_ref());
    }
    totals.add(&digest);
    assert_eq!(digest.names.iter().count(), MAX_NAMES + 1);
    assert!(totals.names.iter().count() <= MAX_NAMES + 1);
    assert_eq!(totals.names.iter().map(|(_, count)| count).sum::<u64>(), 20_000);
    assert!(totals.tools.iter().count() <= 201);
    assert_eq!(totals.tools.get("(others)").unwrap().parameters.len(), 50);
    assert_eq!(totals.types.get("TOOL").unwrap().count, 20_000);
}

/// Any JSON, small.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "user",
            "assistant",
            "ERROR",
            "exception",
            "length",
            "\"TOOL\"",
            "{",
            ""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let names = prop::sample::select(vec![
            "messages",
            "role",
            "content",
            "choices",
            "documents",
            "exception.type",
            "code",
            "x",
        ]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(names.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_span_holds_it_is_counted(
        status in any_json(), events in any_json(), inputs in any_json(), outputs in any_json(), times in any_json(),
        kind in prop::sample::select(vec!["TOOL", "RETRIEVER", "CHAT_MODEL", "AGENT", "X"]),
    ) {
        let text = json!({
            "name": "n", "span_id": "0000000000000001", "status": status, "events": events, "start_time_unix_nano": times,
            "end_time_unix_nano": times,
            "attributes": {"mlflow.spanType": json!(kind).to_string(), SPAN_INPUTS: inputs.to_string(), SPAN_OUTPUTS: outputs},
        })
        .to_string();
        let mut digest = TraceDigest::new(&facts("tr-1", &json!({})));
        digest.add(SpanView::parse(&text).ok().as_ref());
        prop_assert_eq!(digest.spans, 1);
        let mut totals = Totals::default();
        totals.add(&digest);
        prop_assert_eq!(totals.spans, 1);
    }
}
