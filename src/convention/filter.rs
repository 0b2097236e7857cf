//! Ready-made filters for [`with_filter`](crate::observe::ObserveLayer::with_filter).
//!
//! # Example
//!
//! ```
//! use tower_telemetry::{TelemetryLayer, filter};
//!
//! let layer = TelemetryLayer::server().with_filter(filter::except_paths(["/healthz", "/metrics"]));
//! ```

use http::request;

/// Excludes requests to these paths.
///
/// A path matches exactly, or as a prefix if it ends in `*`: `/assets/*` excludes everything below
/// `/assets/`.
pub fn except_paths<I>(paths: I) -> impl Fn(&request::Parts) -> bool + Clone + Send + Sync + 'static
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let paths: Vec<String> = paths.into_iter().map(Into::into).collect();
    move |head| {
        let path = head.uri.path();
        !paths.iter().any(|excluded| match excluded.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == excluded,
        })
    }
}

/// Excludes gRPC health checks (`grpc.health.v1.Health`).
pub fn except_grpc_health(head: &request::Parts) -> bool {
    !head.uri.path().starts_with("/grpc.health.")
}

/// Excludes gRPC server reflection (`grpc.reflection.v1.ServerReflection` and its predecessor).
pub fn except_grpc_reflection(head: &request::Parts) -> bool {
    !head.uri.path().starts_with("/grpc.reflection.")
}

/// Excludes gRPC health checks and server reflection.
pub fn except_grpc_probes(head: &request::Parts) -> bool {
    except_grpc_health(head) && except_grpc_reflection(head)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn excludes_paths() {
        let records = except_paths(["/healthz", "/assets/*"]);
        for (path, is_recorded) in [
            ("/healthz", false),
            ("/healthz?verbose", false),
            ("/healthz/", true),
            ("/healthzz", true),
            ("/assets/", false),
            ("/assets/app.js", false),
            ("/assets", true),
            ("/", true),
        ] {
            let (head, ()) = Request::get(path).body(()).unwrap().into_parts();
            assert_eq!(records(&head), is_recorded, "{path}");
        }
    }
}
