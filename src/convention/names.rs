//! Every name on the wire, as of semantic conventions v1.45.0.
//!
//! The published crate of constants follows an older release. A test below compares the constants
//! that it has.

/// The schema of the instrumentation scope.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

pub(crate) const CLIENT_ADDRESS: &str = "client.address";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const HTTP_REQUEST_HEADER: &str = "http.request.header";
pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(crate) const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
pub(crate) const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
pub(crate) const HTTP_RESPONSE_HEADER: &str = "http.response.header";
pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(crate) const HTTP_ROUTE: &str = "http.route";
pub(crate) const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const NETWORK_PEER_PORT: &str = "network.peer.port";
pub(crate) const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
pub(crate) const RPC_METHOD: &str = "rpc.method";
pub(crate) const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
pub(crate) const RPC_REQUEST_HEADER: &str = "rpc.request.header";
pub(crate) const RPC_RESPONSE_HEADER: &str = "rpc.response.header";
pub(crate) const RPC_RESPONSE_TRAILER: &str = "rpc.response.trailer";
pub(crate) const RPC_STATUS_CODE: &str = "rpc.status_code";
pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const URL_FULL: &str = "url.full";
pub(crate) const URL_PATH: &str = "url.path";
pub(crate) const URL_QUERY: &str = "url.query";
pub(crate) const URL_SCHEME: &str = "url.scheme";
pub(crate) const URL_TEMPLATE: &str = "url.template";
pub(crate) const USER_AGENT_ORIGINAL: &str = "user_agent.original";

/// The first digit of the status code, for dashboards and alerts. Not a semantic convention.
pub(crate) const STATUS_CLASS: &str = "status_class";

/// Replaces every unknown method and every unknown kind of error.
pub(crate) const OTHER: &str = "_OTHER";

pub(crate) const HTTP_SERVER_REQUEST_DURATION: &str = "http.server.request.duration";
pub(crate) const HTTP_SERVER_ACTIVE_REQUESTS: &str = "http.server.active_requests";
pub(crate) const HTTP_SERVER_REQUEST_BODY_SIZE: &str = "http.server.request.body.size";
pub(crate) const HTTP_SERVER_RESPONSE_BODY_SIZE: &str = "http.server.response.body.size";
pub(crate) const HTTP_CLIENT_REQUEST_DURATION: &str = "http.client.request.duration";
pub(crate) const HTTP_CLIENT_ACTIVE_REQUESTS: &str = "http.client.active_requests";
pub(crate) const HTTP_CLIENT_REQUEST_BODY_SIZE: &str = "http.client.request.body.size";
pub(crate) const HTTP_CLIENT_RESPONSE_BODY_SIZE: &str = "http.client.response.body.size";

pub(crate) const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
pub(crate) const RPC_CLIENT_CALL_DURATION: &str = "rpc.client.call.duration";

// Not semantic conventions: they have none for the first byte, and those for sizes of calls were
// deprecated without a replacement.
pub(crate) const HTTP_SERVER_TIME_TO_FIRST_BYTE: &str = "http.server.request.time_to_first_byte";
pub(crate) const HTTP_CLIENT_TIME_TO_FIRST_BYTE: &str = "http.client.request.time_to_first_byte";
pub(crate) const RPC_SERVER_TIME_TO_FIRST_BYTE: &str = "rpc.server.call.time_to_first_byte";
pub(crate) const RPC_CLIENT_TIME_TO_FIRST_BYTE: &str = "rpc.client.call.time_to_first_byte";
pub(crate) const RPC_SERVER_REQUEST_BODY_SIZE: &str = "rpc.server.request.body.size";
pub(crate) const RPC_SERVER_RESPONSE_BODY_SIZE: &str = "rpc.server.response.body.size";
pub(crate) const RPC_CLIENT_REQUEST_BODY_SIZE: &str = "rpc.client.request.body.size";
pub(crate) const RPC_CLIENT_RESPONSE_BODY_SIZE: &str = "rpc.client.response.body.size";

/// The variable that replaces the list of known methods.
pub(crate) const KNOWN_METHODS_VARIABLE: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::{attribute, metric};

    use super::*;

    #[test]
    fn names_equal_the_published_constants() {
        let rows = [
            (CLIENT_ADDRESS, attribute::CLIENT_ADDRESS),
            (ERROR_TYPE, attribute::ERROR_TYPE),
            (HTTP_REQUEST_HEADER, attribute::HTTP_REQUEST_HEADER),
            (HTTP_REQUEST_METHOD, attribute::HTTP_REQUEST_METHOD),
            (HTTP_REQUEST_METHOD_ORIGINAL, attribute::HTTP_REQUEST_METHOD_ORIGINAL),
            (HTTP_REQUEST_RESEND_COUNT, attribute::HTTP_REQUEST_RESEND_COUNT),
            (URL_TEMPLATE, attribute::URL_TEMPLATE),
            (HTTP_RESPONSE_HEADER, attribute::HTTP_RESPONSE_HEADER),
            (HTTP_RESPONSE_STATUS_CODE, attribute::HTTP_RESPONSE_STATUS_CODE),
            (HTTP_ROUTE, attribute::HTTP_ROUTE),
            (NETWORK_PEER_ADDRESS, attribute::NETWORK_PEER_ADDRESS),
            (NETWORK_PEER_PORT, attribute::NETWORK_PEER_PORT),
            (NETWORK_PROTOCOL_VERSION, attribute::NETWORK_PROTOCOL_VERSION),
            (RPC_METHOD, attribute::RPC_METHOD),
            (RPC_METHOD_ORIGINAL, attribute::RPC_METHOD_ORIGINAL),
            (RPC_SYSTEM_NAME, attribute::RPC_SYSTEM_NAME),
            (SERVER_ADDRESS, attribute::SERVER_ADDRESS),
            (SERVER_PORT, attribute::SERVER_PORT),
            (URL_FULL, attribute::URL_FULL),
            (URL_PATH, attribute::URL_PATH),
            (URL_QUERY, attribute::URL_QUERY),
            (URL_SCHEME, attribute::URL_SCHEME),
            (USER_AGENT_ORIGINAL, attribute::USER_AGENT_ORIGINAL),
            (HTTP_SERVER_REQUEST_DURATION, metric::HTTP_SERVER_REQUEST_DURATION),
            (HTTP_SERVER_ACTIVE_REQUESTS, metric::HTTP_SERVER_ACTIVE_REQUESTS),
            (HTTP_SERVER_REQUEST_BODY_SIZE, metric::HTTP_SERVER_REQUEST_BODY_SIZE),
            (HTTP_SERVER_RESPONSE_BODY_SIZE, metric::HTTP_SERVER_RESPONSE_BODY_SIZE),
            (HTTP_CLIENT_REQUEST_DURATION, metric::HTTP_CLIENT_REQUEST_DURATION),
            (HTTP_CLIENT_ACTIVE_REQUESTS, metric::HTTP_CLIENT_ACTIVE_REQUESTS),
            (HTTP_CLIENT_REQUEST_BODY_SIZE, metric::HTTP_CLIENT_REQUEST_BODY_SIZE),
            (HTTP_CLIENT_RESPONSE_BODY_SIZE, metric::HTTP_CLIENT_RESPONSE_BODY_SIZE),
            (RPC_SERVER_CALL_DURATION, metric::RPC_SERVER_CALL_DURATION),
            (RPC_CLIENT_CALL_DURATION, metric::RPC_CLIENT_CALL_DURATION),
        ];
        for (ours, published) in rows {
            assert_eq!(ours, published);
        }
    }
}
