"""A customer-support agent as it is traced: the conversations that the sample traces are made of.

Deterministic, and offline: models and tools answer from the tables below. Works with MLflow's SDK of 2.22 and 3.x.
"""

import random

import mlflow
from mlflow.entities import SpanEvent, SpanType

QUESTIONS = [
    ("Where is my order 4711?", "Your order 4711 left the warehouse yesterday and arrives on Friday."),
    ("Wie kann ich meine Rechnung ändern?", "Öffnen Sie „Bestellungen“, wählen Sie die Rechnung und dann „Ändern“."),
    ("返品したいのですが、送料はかかりますか？", "到着から30日以内であれば、返品の送料はかかりません。"),
    ("هل يمكنني تغيير عنوان التسليم؟", "نعم، يمكنك تغييره حتى يتم شحن الطلب."),
    ("My coupon 🎟️ does not work 😤 — why?", "The coupon is valid from an order value of 50 €. Yours was 48.90 €. 👩🏽‍💻"),
    ("Can I pay by invoice?", "Yes. Choose “Invoice” at checkout; you pay within 14 days."),
    ("Cafe\u0301 machine: is the naïve setup safe?", "Yes – the café machine switches itself off after 30 minutes."),
    ("Please cancel my subscription.", "Your subscription ends on 31 December. You keep access until then."),
]

DOCUMENTS = [
    ("shipping.md", "Orders leave the warehouse within one working day. Standard delivery takes two to four days."),
    ("returns.md", "Goods can be returned within 30 days of delivery. We bear the cost of the return."),
    ("billing.md", "Invoices can be changed for 60 days. Payment by invoice is due after 14 days."),
    ("zubehör/größen.md", "Größentabelle: S (36–38), M (40–42), L (44–46). Maße in cm, ± 2 %."),
]


def answer(
    index: int, rng: random.Random, turns: int = 1, fails: bool = False, metadata: dict[str, str] | None = None
) -> str:
    """Traces one request to the agent, the last of so many turns; the id of its trace.

    A failing one loses its tool to an exception. Only the SDK of 3.x can set metadata.
    """
    question, reply = QUESTIONS[index % len(QUESTIONS)]
    history = [message for earlier in range(index - turns + 1, index) for message in _turn(earlier)]
    messages = [{"role": "system", "content": "You are a helpful support agent."}, *history]
    messages.append({"role": "user", "content": question})
    with mlflow.start_span(name="support_agent", span_type=SpanType.AGENT) as agent:
        if metadata:
            mlflow.update_current_trace(metadata=metadata)
        agent.set_inputs({"messages": messages})
        agent.set_attributes({"agent.version": "1.4.0", "agent.temperature": 0.2, "agent.is_canary": index % 5 == 0})
        _embed(question, rng)
        documents = _retrieve(question, rng)
        with_tool = index % 3 == 0
        if with_tool:
            _call_model(messages, None, rng)
            _look_up_order(4711 + index, fails)
        content = _call_model([*messages, {"role": "tool", "content": documents[0]["page_content"]}], reply, rng)
        with mlflow.start_span(name="parse_answer", span_type=SpanType.PARSER) as parser:
            parser.set_inputs({"text": content})
            parser.set_outputs({"answer": content, "sources": [d["metadata"]["source"] for d in documents]})
        agent.set_outputs({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]})
        return agent.trace_id if hasattr(agent, "trace_id") else agent.request_id


def _turn(index: int) -> list[dict[str, str]]:
    question, reply = QUESTIONS[index % len(QUESTIONS)]
    return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]


def _embed(question: str, rng: random.Random) -> None:
    with mlflow.start_span(name="embed_query", span_type=SpanType.EMBEDDING) as span:
        span.set_inputs({"input": question, "model": "text-embedding-3-small"})
        span.set_outputs([round(rng.uniform(-1, 1), 6) for _ in range(16)])


def _retrieve(question: str, rng: random.Random) -> list[dict]:
    with mlflow.start_span(name="retrieve_docs", span_type=SpanType.RETRIEVER) as span:
        span.set_inputs({"query": question, "k": 3})
        chosen = rng.sample(DOCUMENTS, 3)
        documents = [
            {"page_content": text, "metadata": {"source": source, "score": round(rng.random(), 4)}, "id": f"doc-{i}"}
            for i, (source, text) in enumerate(chosen)
        ]
        span.set_outputs(documents)
        span.add_event(SpanEvent("index.searched", attributes={"index": "kb-2026-11", "candidates": 128, "ms": 3.5}))
        return documents


def _look_up_order(number: int, fails: bool) -> None:
    with mlflow.start_span(name="look_up_order", span_type=SpanType.TOOL) as span:
        span.set_inputs({"order_number": number})
        if fails:
            raise ConnectionError(f"order service: no route to host for order {number} – “ostwerk” is down")
        span.set_outputs({"order_number": number, "status": "shipped", "weight_kg": 1.25, "gift": False, "note": None})


def _call_model(messages: list[dict], content: str | None, rng: random.Random) -> str:
    with mlflow.start_span(name="chat_model", span_type=SpanType.CHAT_MODEL) as span:
        span.set_inputs({"model": "gpt-4o-mini", "messages": messages, "temperature": 0.2, "max_tokens": 512})
        call = {"id": "call_1", "type": "function", "function": {"name": "look_up_order", "arguments": "{\"n\": 4711}"}}
        message = {"role": "assistant", "content": content}
        if content is None:
            message["tool_calls"] = [call]
        prompt, completion = rng.randint(200, 900), rng.randint(10, 120)
        span.set_outputs({"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": message}]})
        usage = {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
        return content or ""
