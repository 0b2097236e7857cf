//! The span is in the current context whenever code of the service runs.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task,
};

use bytes::Bytes;
use http::{Request, Response, request, response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tower::{Layer, Service};
use tower_telemetry::{
    Convention, End,
    observe::{Exchange, ObserveLayer, Observer},
};

use crate::support::{AnyConvention, Telemetry, get};

/// Records the current span in `call`, in polls of the future, and in polls of the body.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<SpanId>>>);

impl Notes {
    fn note(&self) {
        let span = Context::map_current(|context| context.span().span_context().span_id());
        self.0.lock().unwrap().push(span);
    }
}

impl Service<Request<String>> for Notes {
    type Response = Response<Self>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        self.note();
        let notes = self.clone();
        Box::pin(async move {
            notes.note();
            tokio::task::yield_now().await;
            notes.note();
            Ok(Response::new(notes))
        })
    }
}

impl Body for Notes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.note();
        task::Poll::Ready(None)
    }
}

/// The exchange ends at the head, but the stream still belongs to the request.
#[tokio::test]
async fn the_span_is_current_in_the_body_after_the_end() {
    let telemetry = Telemetry::new();
    let notes = Notes::default();
    let convention = Convention::server().with_end_at_head(|_| true);
    let mut service = telemetry.stack(convention).layer(notes.clone());
    let response = service.call(get("/")).await.unwrap();
    let span = telemetry.span_of(SpanKind::Server).span_context.span_id();
    response.into_body().collect().await.unwrap();
    assert_eq!(*notes.0.lock().unwrap(), [span; 4]);
}

#[tokio::test]
async fn the_span_is_current_in_the_call_the_future_and_the_body() {
    for convention in [AnyConvention::from(Convention::server()), Convention::client().into()] {
        let kind = match convention.side() {
            tower_telemetry::Side::Server => SpanKind::Server,
            _ => SpanKind::Client,
        };
        let telemetry = Telemetry::new();
        let notes = Notes::default();
        let mut service = telemetry.stack(convention).layer(notes.clone());
        let response = service.call(get("http://a/")).await.unwrap();
        response.into_body().collect().await.unwrap();
        let span = telemetry.span_of(kind).span_context.span_id();
        assert_eq!(*notes.0.lock().unwrap(), [span; 4]);
        assert!(!Context::current().has_active_span(), "the span must not leak into the caller");
    }
}

/// Sets a context, and ignores the rest of the exchange.
struct SetsContext(SpanId);

impl Observer for SetsContext {
    type State = ();

    fn on_request(&self, exchange: &mut Exchange, _: &mut request::Parts) -> Option<()> {
        let (trace, flags) = (TraceId::from(1), TraceFlags::SAMPLED);
        let span = SpanContext::new(trace, self.0, flags, true, TraceState::NONE);
        exchange.set_context(exchange.context().with_remote_span_context(span));
        None
    }

    fn on_response(&self, _: &Exchange, (): &mut (), _: &mut response::Parts) {
        unreachable!("`on_request` returned no state");
    }

    fn on_end(&self, _: &Exchange, _: &End<'_>, (): ()) {
        unreachable!("`on_request` returned no state");
    }
}

#[tokio::test]
async fn the_context_of_an_observer_without_state_is_current() {
    let (notes, span) = (Notes::default(), SpanId::from(7));
    let layer = ObserveLayer::from_observer(Convention::server(), SetsContext(span));
    let response = layer.layer(notes.clone()).call(get("/")).await.unwrap();
    response.into_body().collect().await.unwrap();
    // A call whose future is never polled.
    drop(layer.layer(notes.clone()).call(get("/")));
    assert_eq!(*notes.0.lock().unwrap(), [span; 5]);
}
