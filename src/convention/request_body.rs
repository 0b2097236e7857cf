//! The size of a request body that no header announces.

use http::request;

use super::first_request::FirstRequest;

/// The exact size in bytes of a request body, for a request without a `Content-Length`.
///
/// A client usually writes that header below the telemetry layer. Insert this value into the request's
/// extensions to record the size anyway. The reqwest integration inserts it for you.
///
/// A redirect layer outside of the telemetry layer sends a clone of the extensions with the next hop.
/// The size counts there only if the method is the same: a `GET` that follows a `POST` has another
/// body.
///
/// # Example
///
/// ```
/// use http::Request;
/// use http_body::Body;
/// use tower_telemetry::RequestBodySize;
///
/// let mut request = Request::post("https://api.example.com/").body(String::from("hello")).unwrap();
/// if let Some(bytes) = request.body().size_hint().exact() {
///     request.extensions_mut().insert(RequestBodySize::new(bytes));
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RequestBodySize {
    bytes: u64,
    first: FirstRequest,
}

impl RequestBodySize {
    /// Creates a size.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, first: FirstRequest::default() }
    }

    /// Returns the size of the body of this request.
    pub(super) fn of(head: &request::Parts) -> Option<u64> {
        let size = head.extensions.get::<Self>()?;
        (size.first.of(head).0 == head.method).then_some(size.bytes)
    }
}
