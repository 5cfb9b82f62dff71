//! How the agent works: what spans a turn leaves.

use crate::json::{Json, object};
use crate::record::TraceState;
use crate::story::shop::{DOCUMENTS, Document, EMBEDDER, LARGE, Model, SMALL, SYSTEM_PROMPT, tools};
use crate::story::telling::{Exception, Telling};
use crate::story::turn::{Call, Outcome, Turn};

pub(crate) const NAME: &str = "support_agent";

/// What became of a turn.
pub(crate) struct Told {
    pub(crate) inputs: Json,
    pub(crate) outputs: Option<Json>,
    pub(crate) state: TraceState,
}

/// Tells a turn, after those before it in its conversation.
pub(crate) fn tell(earlier: &[Turn], turn: &Turn, telling: &mut Telling) -> Told {
    let mut said = Vec::new();
    for turn in earlier {
        said.push(message("user", turn.question));
        said.push(message("assistant", turn.answer));
    }
    said.push(message("user", turn.question));
    let inputs = object! { "messages": said.clone() };
    let mut messages = vec![message("system", SYSTEM_PROMPT)];
    messages.append(&mut said);

    telling.open(NAME, "AGENT", inputs.clone());
    telling.note("agent.version", Json::from("2.3.1"));
    telling.note("agent.temperature", Json::Float(0.2));
    let ended = |state, outputs| Told {
        inputs,
        outputs,
        state,
    };
    if !turn.documents.is_empty() {
        find_context(turn, telling);
        messages.push(message("system", &context(turn.documents)));
    }
    if let Some(call) = &turn.call {
        let called = choose_tool(&messages, call, telling);
        messages.push(called);
        match call_tool(call, telling) {
            Ok(Some(result)) => messages.push(result),
            Ok(None) => return ended(TraceState::InProgress, None),
            Err(exception) => {
                telling.fail(exception);
                return ended(TraceState::Error, None);
            }
        }
    }
    let answer = message("assistant", turn.answer);
    chat("write_answer", &LARGE, &messages, &answer, (900, 3_200), telling);
    parse(turn, telling);
    let outputs =
        object! { "choices": vec![object! { "index": 0_i64, "message": answer, "finish_reason": "stop" }] };
    telling.close(outputs.clone());
    ended(TraceState::Ok, Some(outputs))
}

fn message(role: &str, content: &str) -> Json {
    object! { "role": role, "content": content }
}

fn context(documents: &[Document]) -> String {
    let texts: Vec<_> = documents
        .iter()
        .map(|document| format!("[{}] {}", document.source, document.text))
        .collect();
    format!("Documents:\n{}", texts.join("\n"))
}

/// Embeds the question, searches, and puts what is found in order.
fn find_context(turn: &Turn, telling: &mut Telling) {
    telling.open("find_context", "CHAIN", object! { "question": turn.question });
    let embed = object! { "model": EMBEDDER.name, "input": turn.question };
    telling.open("embed_query", "EMBEDDING", embed);
    telling.pass(60, 180);
    let embedding = telling.random.embedding();
    telling.close_model(&EMBEDDER, embedding);

    let others = DOCUMENTS
        .iter()
        .filter(|other| turn.documents.iter().all(|found| found.text != other.text));
    let candidates: Vec<_> = turn.documents.iter().chain(others).take(4).copied().collect();
    let mut score = 0.9 - f64::from(telling.random.between(0, 60)) / 1e3;
    let mut scored = Vec::new();
    for document in &candidates {
        score -= f64::from(telling.random.between(20, 110)) / 1e3;
        scored.push(retrieved(document, "score", score));
    }
    let search = object! { "query": turn.question, "k": 4_i64 };
    telling.open("search_knowledge_base", "RETRIEVER", search);
    telling.pass(30, 140);
    let searched = object! { "index": "knowledge-base", "candidates": 128_i64 };
    telling.event("index.searched", searched);
    // The search alone knows no better order than the reverse.
    telling.close(Json::List(scored.iter().rev().cloned().collect()));

    rerank(turn, &scored, telling);
    let sources = Json::list(turn.documents.iter().map(|document| document.source));
    telling.close(object! { "sources": sources });
}

fn rerank(turn: &Turn, found: &[Json], telling: &mut Telling) {
    let inputs = object! {
        "query": turn.question,
        "documents": Json::List(found.iter().rev().cloned().collect()),
        "top_n": 3_i64,
    };
    telling.open("rerank_documents", "RERANKER", inputs);
    telling.pass(80, 260);
    let mut relevance = 0.99;
    let mut kept = Vec::new();
    for document in turn.documents {
        relevance -= f64::from(telling.random.between(10, 90)) / 1e3;
        kept.push(retrieved(document, "relevance_score", relevance));
    }
    telling.close(Json::List(kept));
}

fn retrieved(document: &Document, score_name: &'static str, score: f64) -> Json {
    let metadata = Json::Object(vec![
        ("source", Json::from(document.source)),
        ("section", Json::from(document.section)),
        (score_name, Json::Float((score * 1e4).round() / 1e4)),
    ]);
    object! { "page_content": document.text, "metadata": metadata }
}

/// Lets the small model choose a tool; its message.
fn choose_tool(messages: &[Json], call: &Call, telling: &mut Telling) -> Json {
    let function = object! { "name": call.tool, "arguments": call.arguments };
    let called = object! { "id": call_id(call), "type": "function", "function": function };
    let message = object! { "role": "assistant", "content": None::<&str>, "tool_calls": vec![called] };
    chat("choose_tool", &SMALL, messages, &message, (350, 1_100), telling);
    message
}

fn call_id(call: &Call) -> String {
    format!("call_{}", call.tool)
}

/// What the tool returned as a message; `None` if it has not yet.
fn call_tool(call: &Call, telling: &mut Telling) -> Result<Option<Json>, &'static Exception> {
    telling.open(call.tool, "TOOL", Json::Raw(call.arguments));
    telling.pass(40, 600);
    let content = match call.outcome {
        Outcome::Runs => return Ok(None),
        Outcome::Returns(result) => {
            telling.close(Json::Raw(result));
            result.to_owned()
        }
        Outcome::Fails(exception) => {
            telling.fail(exception);
            format!("{}: {}", exception.kind, exception.message)
        }
        Outcome::Breaks(exception) => {
            telling.fail(exception);
            return Err(exception);
        }
    };
    Ok(Some(
        object! { "role": "tool", "tool_call_id": call_id(call), "content": content },
    ))
}

/// One call of a chat model.
pub(crate) fn chat(
    name: &'static str,
    model: &Model,
    messages: &[Json],
    answer: &Json,
    (from_ms, to_ms): (u32, u32),
    telling: &mut Telling,
) {
    let calls_tools = answer.get("tool_calls").is_some();
    let mut inputs = vec![
        ("model", Json::from(model.name)),
        ("messages", Json::List(messages.to_vec())),
        ("temperature", Json::Float(0.2)),
    ];
    inputs.extend(calls_tools.then(|| ("tools", tools())));
    telling.open(name, "CHAT_MODEL", Json::Object(inputs));
    telling.note("mlflow.message.format", Json::from("openai"));
    if calls_tools {
        telling.note("mlflow.chat.tools", tools());
    }
    telling.pass(from_ms, to_ms);
    let reason = if calls_tools { "tool_calls" } else { "stop" };
    let id = telling.random.hex();
    let outputs = object! {
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "model": model.name,
        "choices": vec![object! { "index": 0_i64, "message": answer.clone(), "finish_reason": reason }],
    };
    telling.close_model(model, outputs);
}

fn parse(turn: &Turn, telling: &mut Telling) {
    telling.open("parse_answer", "PARSER", object! { "text": turn.answer });
    let sources = Json::list(turn.documents.iter().map(|document| document.source));
    telling.close(object! { "answer": turn.answer, "sources": sources });
}
