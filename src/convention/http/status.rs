//! Status codes: their class, and which are errors.

use http::StatusCode;
use opentelemetry::StringValue;

use crate::{
    convention::{rules::Rules, side::Side},
    end::End,
};

/// Returns the class of a status code. Codes beyond 599 exist on the wire and have no class.
pub(super) fn status_class(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => return None,
    })
}

/// Returns the `error.type` of an exchange that failed.
///
/// The end outweighs the status: a response that was not delivered failed, whatever its status.
pub(crate) fn error_type(
    rules: &Rules,
    status: Option<StatusCode>,
    end: &End<'_>,
) -> Option<StringValue> {
    match (end, rules.side()) {
        (End::Failed(failure), _) => Some(rules.options.errors.error_type(*failure)),
        (End::Panicked, _) => Some("panic".into()),
        (End::Dropped, Side::Server) => Some("cancelled".into()),
        // Dropping a response early is not an error of the client. An error status still is one.
        (End::Dropped, Side::Client) | (End::Complete { .. }, _) => status
            .filter(|status| is_error(rules.side(), *status))
            .map(|status| rules.caches.strings.intern(status.as_str()).into()),
    }
}

fn is_error(side: Side, status: StatusCode) -> bool {
    match side {
        Side::Server => status.as_u16() >= 500,
        Side::Client => status.as_u16() >= 400,
    }
}
