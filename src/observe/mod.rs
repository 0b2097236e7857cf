//! The engine: it follows an exchange from the request to the end of the response body, and calls an
//! [`Observer`].
//!
//! The layers of this crate are observers under this engine, and an observer of your own can stand
//! beside them:
//!
//! ```
//! use http::{Request, Response, request, response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_telemetry::{End, TelemetryLayer, observe::{Exchange, Observer}};
//!
//! struct AccessLog;
//!
//! impl Observer for AccessLog {
//!     type State = String;
//!
//!     fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts) -> Option<String> {
//!         exchange.read_facts(head);
//!         Some(format!("{} {}", head.method, head.uri.path()))
//!     }
//!
//!     fn on_response(&self, _: &Exchange, line: &mut String, head: &mut response::Parts) {
//!         line.push_str(&format!(" {}", head.status));
//!     }
//!
//!     fn on_end(&self, exchange: &Exchange, _: &End<'_>, line: String) {
//!         let error = exchange.facts().and_then(|facts| facts.error_type()).unwrap_or("-");
//!         println!("{line} {:?} {error}", exchange.elapsed());
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = service_fn(|_: Request<()>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
//! });
//! let service = TelemetryLayer::server().with_observer(AccessLog).layer(service);
//! let response = service.oneshot(Request::new(())).await.unwrap();
//! drop(response); // prints: GET / 200 OK 12.3µs cancelled
//! # }
//! ```

mod attempt_count;
mod body;
mod claims;
mod exchange;
mod future;
mod guard;
mod layer;
mod map_body;
mod pair;
mod service;

use http::{request, response};

pub(crate) use self::{attempt_count::AttemptCount, claims::Claim};
pub use self::{
    body::ResponseBody,
    exchange::Exchange,
    future::ResponseFuture,
    layer::ObserveLayer,
    map_body::{MapBody, MapBodyFuture, MapBodyLayer},
    service::Observe,
};
use crate::end::End;

/// Receives the three moments of each exchange.
///
/// Observers compose: `(A, B)` is an observer that behaves as if A's layer stood outside of B's.
/// [`ObserveLayer::with_observer`] builds such a pair.
///
/// An observer sees heads, never a `Request<B>`, so it is not generic over bodies.
///
/// # When it is called
///
/// - [`on_request`](Self::on_request) once, before the inner service is called.
/// - [`on_response`](Self::on_response) at most once, when the response head arrives.
/// - [`on_end`](Self::on_end) exactly once, however the exchange ends.
///
/// The last two are called only if `on_request` returned a state. If no observer of an exchange
/// returned one, the response and the end are not read, and the hooks for them don't run.
pub trait Observer {
    /// The data that the observer keeps from the request to the end.
    type State;

    /// Called when a request enters. May change `head` and the context that the service runs under.
    ///
    /// Returns `None` to ignore the rest of the exchange. A context that was set stays.
    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts)
    -> Option<Self::State>;

    /// Called when the response head arrives. May change `head`. Does nothing by default.
    fn on_response(
        &self,
        exchange: &Exchange,
        state: &mut Self::State,
        head: &mut response::Parts,
    ) {
        let _ = (exchange, state, head);
    }

    /// Called when the exchange is over. `end` tells how it ended.
    ///
    /// # Panics
    ///
    /// This may run inside `Drop`, even while a panic unwinds. A panic of this method is caught there
    /// and goes no further. The method must not attach a context, because attaching panics while a
    /// thread shuts down.
    fn on_end(&self, exchange: &Exchange, end: &End<'_>, state: Self::State);

    /// A hint: return true if this observer usually calls [`Exchange::started_at`].
    ///
    /// The wall clock is then read at the start. Otherwise it is read when `started_at` is called, and
    /// the time since the start is subtracted.
    fn reads_wall_clock(&self) -> bool {
        false
    }
}

/// Gives access to the observer `O` inside a composed observer.
///
/// [`ObserveLayer`] offers the options of each observer that it contains. A pair `(A, B)` contains what
/// `A` contains.
pub trait Contains<O> {
    /// Returns the observer to be configured.
    fn observer_mut(&mut self) -> &mut O;
}
