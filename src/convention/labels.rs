//! Labels of an exchange, as its handler reads and adds them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use opentelemetry::{Context, KeyValue, StringValue, Value};
use smallvec::SmallVec;

use super::{
    attribute_set, names,
    route::{Route, RouteSlot},
    rules::Rules,
};

/// The labels of an exchange, which its handler reads and adds to.
///
/// Turn them on with
/// [`Convention::with_handler_labels`](crate::Convention::with_handler_labels). They are available to
/// all code that runs under the exchange's `opentelemetry::Context`.
///
/// To set an attribute on the span only, use `Context::current().span().set_attribute(..)`, which
/// needs no option.
///
/// # Example
///
/// A handler adds a label to the metrics of its request, and counts with the labels of the request:
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_telemetry::opentelemetry::{KeyValue, global};
/// use tower_telemetry::{Convention, Labels, TelemetryLayer};
///
/// async fn order() {
///     if let Some(labels) = Labels::current() {
///         labels.add(KeyValue::new("tenant.tier", "gold"));
///     }
///     // http.request.method, http.route, tenant.tier and shop.order.outcome.
///     let labels = Labels::current_with([KeyValue::new("shop.order.outcome", "placed")]);
///     global::meter("shop").u64_counter("shop.orders").build().add(1, &labels);
/// #   let labels: Vec<_> = labels.iter().map(|label| format!("{}={}", label.key, label.value)).collect();
/// #   let expected = "http.request.method=POST http.route=/orders tenant.tier=gold shop.order.outcome=placed";
/// #   assert_eq!(labels.join(" "), expected);
/// }
///
/// let convention = Convention::server().with_handler_labels();
/// let app: Router =
///     Router::new().route("/orders", post(order)).layer(TelemetryLayer::new(convention));
/// # let request = http::Request::post("/orders").body(axum::body::Body::empty()).unwrap();
/// # let answer = futures_executor::block_on(tower::ServiceExt::oneshot(app, request)).unwrap();
/// # assert_eq!(answer.status(), 200);
/// ```
///
/// # What is read
///
/// | label | server | client |
/// |---|---|---|
/// | `http.request.method` | known methods or `_OTHER` | the same |
/// | `http.route` | if known, see [`Route`](crate::Route) | – |
/// | `url.template` | – | if given, see [`UrlTemplate`](crate::UrlTemplate) |
/// | `rpc.system.name`, `rpc.method` | of a gRPC call, instead of the ones above | the same |
/// | labels of [`with_request_labels`](crate::Convention::with_request_labels) | yes | yes |
/// | labels that were added | yes | yes |
///
/// The values are those of the exchange's own metrics. The others of these metrics are missing: some,
/// like the status, are not known yet, and `url.scheme`, `network.protocol.version` and
/// `server.address` say little about business.
///
/// The route of a layer outside of the router is known once the router has announced it, so it is
/// known in handlers.
///
/// # What is recorded
///
/// Labels that are added before the exchange ends are recorded on its metrics and its span. A label
/// that is added twice has its last value.
///
/// # Cardinality
///
/// Each value of a label creates a series. Add values from a closed set. The labels that are read are
/// bounded, whatever callers send. A gRPC method that has not answered yet is one of at most 100 that
/// are recorded all the same, so read the labels in handlers, not in front of the router.
#[derive(Debug, Clone, Default)]
pub struct Labels(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    added: Mutex<Vec<KeyValue>>,
    request: RequestLabels,
}

/// The labels of a request that are known when its exchange begins, and where to find the others.
#[derive(Debug, Default)]
pub(super) struct RequestLabels {
    pub(super) known: SmallVec<[KeyValue; 2]>,
    /// The labels of hooks, which replace others.
    pub(super) hooked: Vec<KeyValue>,
    pub(super) route: OnceLock<StringValue>,
    pub(super) slot: Option<RouteSlot>,
    /// The path of a call to a server, whose methods become known as they answer.
    pub(super) called: Option<(Arc<Rules>, String)>,
}

impl Labels {
    pub(super) fn new(request: RequestLabels) -> Self {
        Self(Arc::new(Shared { added: Mutex::default(), request }))
    }

    /// Returns the labels of the exchange that the current context belongs to.
    pub fn current() -> Option<Self> {
        Context::map_current(Self::of)
    }

    /// Returns the labels of the exchange that `context` belongs to.
    pub fn of(context: &Context) -> Option<Self> {
        context.get::<Self>().cloned()
    }

    /// Returns the labels of the current exchange and these, for a measurement of your own. A label
    /// replaces one of the same key.
    ///
    /// Outside of an exchange, and without
    /// [`with_handler_labels`](crate::Convention::with_handler_labels), it returns only these.
    pub fn current_with(labels: impl IntoIterator<Item = KeyValue>) -> Vec<KeyValue> {
        let mut all = Self::current().map_or_else(Vec::new, |current| current.to_vec());
        labels.into_iter().for_each(|label| attribute_set::set(&mut all, label));
        all
    }

    /// Adds a label, replacing one of the same key.
    pub fn add(&self, label: KeyValue) {
        attribute_set::set(&mut *self.added(), label);
    }

    /// Returns the value of a label, if it is known by now.
    pub fn get(&self, key: &str) -> Option<Value> {
        let label = self.to_vec().into_iter().find(|label| label.key.as_str() == key);
        label.map(|label| label.value)
    }

    /// Returns all labels that are known by now.
    pub fn to_vec(&self) -> Vec<KeyValue> {
        let mut labels = self.0.request.to_vec();
        self.append_to(&mut labels);
        labels
    }

    pub(crate) fn append_to(&self, labels: &mut Vec<KeyValue>) {
        for label in self.added().iter() {
            attribute_set::set(labels, label.clone());
        }
    }

    /// Sets the route that an inner layer of the same exchange knows.
    pub(super) fn set_route(&self, route: StringValue) {
        // The first route is that of the outermost layer.
        let _ = self.0.request.route.set(route);
    }

    fn added(&self) -> MutexGuard<'_, Vec<KeyValue>> {
        self.0.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestLabels {
    fn to_vec(&self) -> Vec<KeyValue> {
        let mut labels = Vec::with_capacity(8);
        labels.extend(self.known.iter().cloned());
        if let Some((rules, path)) = &self.called {
            let method = rules.caches.rpc_methods.failed(path);
            let method = method.map_or_else(|| names::OTHER.into(), StringValue::from);
            labels.push(KeyValue::new(names::RPC_METHOD, method));
        }
        let announced = || self.slot.as_ref()?.get().map(Route::value);
        if let Some(route) = self.route.get().cloned().or_else(announced) {
            labels.push(KeyValue::new(names::HTTP_ROUTE, route));
        }
        for label in &self.hooked {
            attribute_set::set(&mut labels, label.clone());
        }
        labels
    }
}
