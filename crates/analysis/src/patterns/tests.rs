use serde_json::{Value, json};

use super::*;
use crate::digest::tests::{Made, chat, digested, facts, span, trace};

fn patterns(traces: &[Vec<Made>]) -> Value {
    let mut totals = Totals::default();
    for spans in traces {
        totals.add(&trace(spans));
    }
    serde_json::to_value(Patterns::of(&totals, 0)).unwrap()
}

fn root(kind: &str, inputs: &Value) -> Made {
    span(1, None, kind, "root", (0, 10))
        .given(inputs)
        .gives(&json!("done"))
}

fn asked() -> Value {
    chat(&[("user", "hi")])
}

fn asked_again() -> Value {
    chat(&[("user", "hi"), ("assistant", "yes?"), ("user", "why?")])
}

fn tool(id: u64, at: (u64, u64)) -> Made {
    span(id, Some(1), "TOOL", "look_up", at).given(&json!({"order": id}))
}

#[test]
fn each_type_of_conversation_is_told_by_its_rule() {
    let chats = |count| vec![vec![root("AGENT", &asked())]; count];
    let with = |mut traces: Vec<Vec<Made>>, other: Vec<Made>| {
        traces.push(other);
        traces
    };
    let again = vec![root("AGENT", &asked_again())];
    let again_with_tool = vec![root("AGENT", &asked_again()), tool(2, (1, 2))];
    let with_tool = vec![root("AGENT", &asked()), tool(2, (1, 2))];
    let plain = vec![root("CHAIN", &json!({"rows": [1]}))];
    for (traces, expected) in [
        (chats(1), "single_turn_chat"),
        (with(chats(4), again.clone()), "multi_turn_chat"),
        // One in six is not often.
        (with(chats(5), again), "single_turn_chat"),
        (with(chats(4), with_tool.clone()), "single_turn_with_tools"),
        (with(chats(4), again_with_tool), "multi_turn_chat_with_tools"),
        (
            vec![plain.clone(), plain.clone(), with_tool],
            "structured_processing",
        ),
        (vec![plain], "structured_processing"),
        (Vec::new(), "structured_processing"),
    ] {
        assert_eq!(
            patterns(&traces)["analysis_summary"]["conversation_type"],
            expected
        );
    }
}

#[test]
fn traces_of_one_conversation_are_its_turns() {
    let in_conversation = |name: &str| json!({"trace_metadata": {"mlflow.trace.session": name}});
    let kind = |names: &[&str]| {
        let mut totals = Totals::default();
        for name in names {
            totals.add(&digested(
                &facts("tr-1", &in_conversation(name)),
                &[root("AGENT", &asked())],
            ));
        }
        serde_json::to_value(Patterns::of(&totals, 0)).unwrap()["analysis_summary"]["conversation_type"]
            .clone()
    };
    assert_eq!(kind(&["a", "b", "a"]), "multi_turn_chat");
    assert_eq!(kind(&["a", "b", "c"]), "single_turn_chat");
}

#[test]
fn each_kind_of_agent_is_told_by_its_rule() {
    let agent = || root("AGENT", &asked());
    let second = || span(5, Some(1), "AGENT", "second", (1, 2));
    let retriever = || span(6, Some(1), "RETRIEVER", "search", (1, 2));
    for (spans, expected) in [
        (
            vec![agent(), retriever(), tool(2, (1, 2)), second()],
            "rag_with_function_calling",
        ),
        (vec![agent(), retriever(), second()], "rag_pattern"),
        (vec![agent(), tool(2, (1, 2)), second()], "multi_agent_with_tools"),
        (vec![agent(), tool(2, (1, 2))], "function_calling_agent"),
        (
            vec![root("CHAIN", &asked()), span(5, Some(1), "AGENT", "a", (1, 2))],
            "chain_processing",
        ),
        (vec![agent()], "simple_agent"),
        (vec![root("CHAT_MODEL", &asked())], "direct_generation"),
    ] {
        assert_eq!(patterns(&[spans])["analysis_summary"]["agent_pattern"], expected);
    }
}

#[test]
fn tools_are_called_the_way_that_most_traces_call_them() {
    let single = || vec![tool(2, (0, 1))];
    let sequential = || vec![tool(2, (0, 1)), tool(3, (1, 2))];
    let parallel = || vec![tool(2, (0, 2)), tool(3, (1, 3))];
    let none = || vec![root("AGENT", &asked())];
    for (traces, expected) in [
        (vec![none()], "none"),
        (vec![single(), none(), none()], "single"),
        (
            vec![sequential(), sequential(), sequential(), single()],
            "sequential",
        ),
        (vec![parallel()], "parallel"),
        (vec![sequential(), parallel()], "mixed"),
    ] {
        assert_eq!(patterns(&traces)["tool_usage"]["calling_pattern"], expected);
    }
}

#[test]
fn every_member_that_the_client_reads_is_there() {
    let usage = json!({"input_tokens": 7, "output_tokens": 3, "total_tokens": 10});
    let spans = [
        root("AGENT", &asked_again()),
        span(2, Some(1), "CHAT_MODEL", "chat", (1, 3)).with("mlflow.chat.tokenUsage", &usage),
        tool(3, (4, 8)).fails("KeyError", "no order 7"),
    ];
    let mut totals = Totals::default();
    totals.add(&digested(&facts("tr-1", &json!({"state": "ERROR"})), &spans));
    insta::assert_json_snapshot!(Patterns::of(&totals, 2));
}

#[test]
fn the_order_of_traces_does_not_count() {
    let traces = [
        vec![root("AGENT", &asked()), tool(2, (0, 1))],
        vec![root("CHAIN", &json!({"rows": 1}))],
        vec![root("AGENT", &asked_again()), tool(4, (0, 5)), tool(5, (1, 2))],
    ];
    let mut turned = traces.to_vec();
    turned.reverse();
    assert_eq!(patterns(&traces), patterns(&turned));
}
