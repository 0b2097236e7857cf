//! The engine: *when* things happen. It follows an exchange from the request to the end of the
//! response body and tells an [`Observer`]; it knows no signal.
//!
//! The layers of this crate are observers under this engine, and so can be one of your own: an
//! access log, say, that is written when the last byte has left, also when the client went away.
//!
//! # Example
//!
//! ```
//! use http::{Request, Response, request, response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_telemetry::{Convention, observe::{Exchange, ObserveLayer, Observer}};
//!
//! #[derive(Clone)]
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
//!     fn on_end(&self, exchange: &Exchange, line: String) {
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
//! let service = ObserveLayer::new(Convention::server(), AccessLog).layer(service);
//! let response = service.oneshot(Request::new(())).await.unwrap();
//! drop(response); // prints: GET / 200 OK 12.3µs cancelled
//! # }
//! ```

mod attempts;
mod body;
mod exchange;
mod future;
mod guard;
mod once;
mod service;

use http::{request, response};

pub(crate) use self::{attempts::Attempts, once::Signal};
pub use self::{
    body::ResponseBody,
    exchange::Exchange,
    future::ResponseFuture,
    service::{Observe, ObserveLayer},
};

/// Hears of the three moments of each exchange.
///
/// It sees heads, never `Request<B>`: nothing above the engine is generic over a body.
///
/// # When it is called
///
/// [`on_request`](Self::on_request) once, before the inner service is called;
/// [`on_response`](Self::on_response) at most once, when the response head is there;
/// [`on_end`](Self::on_end) exactly once, whatever happens, where `on_request` gave a state. Where it
/// gave none, neither is called, and nothing is read of the response and the end: the convention's
/// hooks for these don't run.
pub trait Observer {
    /// What the observer keeps of an exchange from its request to its end.
    type State;

    /// A request is about to enter the service. Both `head` and the context that the service will
    /// run under may be changed.
    ///
    /// `None` where there is nothing to follow; a context that was set holds all the same.
    fn on_request(&self, exchange: &mut Exchange, head: &mut request::Parts)
    -> Option<Self::State>;

    /// The service has answered; the body is still to come. `head` may be changed.
    fn on_response(&self, exchange: &Exchange, state: &mut Self::State, head: &mut response::Parts);

    /// The exchange is over.
    ///
    /// This may run inside `Drop`, also while a panic unwinds: it must not panic, and must not
    /// attach a context, which panics while a thread is torn down.
    fn on_end(&self, exchange: &Exchange, state: Self::State);

    /// Whether it will ask most exchanges [when they began](Exchange::started_at).
    ///
    /// The system's clock then is read at once; else it is read when somebody asks, and the time since
    /// the beginning, by the monotonic one, is taken off. An observer around another passes this on.
    fn asks_for_time(&self) -> bool {
        false
    }
}
