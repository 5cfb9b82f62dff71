//! The span of a call: made only where what the call is for is traced, so that nothing is a trace of its own.

use http::HeaderMap;
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::HeaderInjector;

use crate::OK;

/// The span of a call, or what the call is made in where nothing is traced.
pub(crate) struct CallSpan {
    context: Context,
    is_ours: bool,
}

impl CallSpan {
    pub(crate) fn begin(operation: &'static str, peer: &[KeyValue]) -> Self {
        let parent = Context::current();
        if !is_traced(&parent) {
            return Self {
                context: parent,
                is_ours: false,
            };
        }
        let tracer = global::tracer("trace-server");
        let span = tracer
            .span_builder(operation)
            .with_kind(SpanKind::Client)
            .with_attributes(peer.iter().cloned())
            .start_with_context(&tracer, &parent);
        Self {
            context: parent.with_span(span),
            is_ours: true,
        }
    }

    /// What is called within is the span's.
    pub(crate) fn around<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        call.with_context(self.context.clone())
    }

    pub(crate) fn end(&self, outcome: &'static str) {
        if !self.is_ours {
            return;
        }
        let span = self.context.span();
        if outcome != OK {
            span.set_attribute(KeyValue::new("error.type", outcome));
            span.set_status(Status::error(outcome));
        }
        span.end();
    }
}

/// Says more of the call that is under way, by the names of OpenTelemetry's conventions, where it is traced.
pub fn note(attributes: impl IntoIterator<Item = KeyValue>) {
    let context = Context::current();
    if is_traced(&context) {
        context.span().set_attributes(attributes);
    }
}

pub(crate) fn note_retry(after: &'static str) {
    let context = Context::current();
    if is_traced(&context) {
        let attributes = vec![KeyValue::new("error.type", after)];
        context.span().add_event("retry", attributes);
    }
}

/// Tells whoever is called, in `traceparent` and `tracestate` (W3C Trace Context), whose span the call is.
pub fn inject(headers: &mut HeaderMap) {
    let context = Context::current();
    if is_traced(&context) {
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut HeaderInjector(headers));
        });
    }
}

fn is_traced(context: &Context) -> bool {
    context.has_active_span() && context.span().span_context().is_valid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Calls, Failure};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    #[derive(Debug)]
    struct Late;

    impl Failure for Late {
        fn kind(&self) -> &'static str {
            "timeout"
        }
    }

    /// One test: the provider is the process's.
    #[tokio::test]
    async fn a_call_is_a_span_of_what_it_is_made_for_and_of_nothing_else() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
        global::set_tracer_provider(provider.build());
        global::set_text_map_propagator(TraceContextPropagator::new());
        let calls = Calls::to([("server.address", "mlflow.example".to_owned())]);
        let call = async || {
            let failing = async {
                calls.count_retry("traces.get", &Late);
                let mut headers = HeaderMap::new();
                inject(&mut headers);
                Err::<HeaderMap, _>((Late, headers))
            };
            let unpacked = async { failing.await.map_err(Carrying) };
            calls.of("traces.get", unpacked).await.unwrap_err().0.1
        };
        assert_eq!(call().await, HeaderMap::new());
        assert_eq!(exporter.get_finished_spans().unwrap(), []);

        let tracer = global::tracer("test");
        let context = Context::new().with_span(tracer.start("request"));
        let headers = call().with_context(context.clone()).await;
        let spans = exporter.get_finished_spans().unwrap();
        let [span] = &spans[..] else {
            panic!("{spans:?}");
        };
        let request = context.span().span_context().clone();
        assert_eq!(span.name, "traces.get");
        assert_eq!(span.parent_span_id, request.span_id());
        assert_eq!(span.status, Status::error("timeout"));
        assert_eq!(span.events.events[0].name, "retry");
        let told = |name: &str| {
            let attribute = span.attributes.iter().find(|told| told.key.as_str() == name);
            attribute.map(|told| told.value.to_string())
        };
        assert_eq!(told("server.address").as_deref(), Some("mlflow.example"));
        assert_eq!(told("error.type").as_deref(), Some("timeout"));
        let (trace, id) = (request.trace_id(), span.span_context.span_id());
        assert_eq!(headers["traceparent"], format!("00-{trace}-{id}-01"));

        // One that nobody waits for any more.
        let pending = calls.of("traces.search", std::future::pending::<Result<(), Late>>());
        let pending = pending.with_context(context);
        let none = std::time::Duration::ZERO;
        assert!(tokio::time::timeout(none, pending).await.is_err());
        let spans = exporter.get_finished_spans().unwrap();
        assert_eq!(spans[1].status, Status::error("given_up"));
    }

    #[derive(Debug)]
    struct Carrying((Late, HeaderMap));

    impl Failure for Carrying {
        fn kind(&self) -> &'static str {
            self.0.0.kind()
        }
    }
}
