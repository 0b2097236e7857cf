//! Public types have the expected auto traits and can be named in a struct.

use http::{Request, Response};
use tower::{Layer, Service, util::BoxCloneSyncService};
use tower_telemetry::{
    Client, Convention, Labels, MetricsLayer, MetricsObserver, PropagationLayer,
    PropagationObserver, Route, Server, SpanLayer, SpanObserver, TelemetryLayer, TelemetryObserver,
    TelemetryService, TrustedProxies,
    observe::{Observe, ObserveLayer, ResponseBody, ResponseFuture},
};

use crate::support::Script;

fn is_thread_safe<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
fn is_send<T: Send + 'static>() {}
fn is_unpin<T: Unpin>() {}

type Inner = BoxCloneSyncService<Request<String>, Response<Script>, std::io::Error>;

/// Types that a user may write down.
#[expect(dead_code, reason = "the test is that the types can be named")]
struct Fields<S: Service<Request<String>>> {
    layers: (PropagationLayer, SpanLayer, MetricsLayer, TelemetryLayer),
    propagation: Observe<S, PropagationObserver>,
    span: Observe<S, SpanObserver>,
    metrics: Observe<S, MetricsObserver>,
    telemetry: TelemetryService<S>,
    future: ResponseFuture<S::Future, TelemetryObserver>,
    body: ResponseBody<Script, TelemetryObserver>,
    other: (Convention<Server>, Convention<Client>, Labels, Route, TrustedProxies),
}

#[test]
fn public_types_have_their_auto_traits() {
    is_thread_safe::<PropagationLayer>();
    is_thread_safe::<SpanLayer>();
    is_thread_safe::<MetricsLayer>();
    is_thread_safe::<TelemetryLayer>();
    is_thread_safe::<ObserveLayer<TelemetryObserver>>();
    is_thread_safe::<Observe<Inner, TelemetryObserver>>();
    is_thread_safe::<Convention<Server>>();
    is_thread_safe::<Convention<Client>>();
    is_thread_safe::<Labels>();
    is_thread_safe::<Route>();
    is_thread_safe::<TrustedProxies>();
    is_send::<Fields<Inner>>();
    is_send::<ResponseFuture<<Inner as Service<Request<String>>>::Future, TelemetryObserver>>();
    is_send::<ResponseBody<Script, TelemetryObserver>>();
    is_unpin::<ResponseBody<Script, TelemetryObserver>>();
}

/// The inner service needs neither `Send` nor `Clone`. Its error needs no `Display`, and the
/// request no body.
#[test]
fn the_inner_service_needs_no_extra_bounds() {
    struct Local(std::rc::Rc<()>);
    struct Request_;
    #[derive(Debug)]
    struct NoError;

    impl Service<Request<Request_>> for Local {
        type Response = Response<String>;
        type Error = NoError;
        type Future = std::future::Ready<Result<Self::Response, NoError>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), NoError>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Request_>) -> Self::Future {
            let _ = &self.0;
            std::future::ready(Ok(Response::new(String::new())))
        }
    }

    let mut service = TelemetryLayer::server().layer(Local(std::rc::Rc::new(())));
    let call = service.call(Request::new(Request_));
    futures_util::FutureExt::now_or_never(call).unwrap().unwrap();
}
