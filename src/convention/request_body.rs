//! The size of a request body that no header announces.

/// The exact size in bytes of a request body, for a request without a `Content-Length`.
///
/// A client usually writes that header below the telemetry layer. Insert this value into the request's
/// extensions to record the size anyway. The reqwest integration inserts it for you.
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
///     request.extensions_mut().insert(RequestBodySize(bytes));
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestBodySize(pub u64);
