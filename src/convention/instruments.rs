//! The instruments: their names, units and descriptions.

use super::{names, side::Side};

/// The identity of an instrument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}

pub(crate) fn duration(side: Side) -> Instrument {
    let (name, description) = match side {
        Side::Server => (names::HTTP_SERVER_REQUEST_DURATION, "Duration of HTTP server requests."),
        Side::Client => (names::HTTP_CLIENT_REQUEST_DURATION, "Duration of HTTP client requests."),
    };
    Instrument { name, unit: "s", description }
}

pub(crate) fn active_requests(side: Side) -> Instrument {
    let (name, description) = match side {
        Side::Server => {
            (names::HTTP_SERVER_ACTIVE_REQUESTS, "Number of active HTTP server requests.")
        }
        Side::Client => (names::HTTP_CLIENT_ACTIVE_REQUESTS, "Number of active HTTP requests."),
    };
    Instrument { name, unit: "{request}", description }
}

pub(crate) fn request_body_size(side: Side) -> Instrument {
    let (name, description) = match side {
        Side::Server => {
            (names::HTTP_SERVER_REQUEST_BODY_SIZE, "Size of HTTP server request bodies.")
        }
        Side::Client => {
            (names::HTTP_CLIENT_REQUEST_BODY_SIZE, "Size of HTTP client request bodies.")
        }
    };
    Instrument { name, unit: "By", description }
}

pub(crate) fn response_body_size(side: Side) -> Instrument {
    let (name, description) = match side {
        Side::Server => {
            (names::HTTP_SERVER_RESPONSE_BODY_SIZE, "Size of HTTP server response bodies.")
        }
        Side::Client => {
            (names::HTTP_CLIENT_RESPONSE_BODY_SIZE, "Size of HTTP client response bodies.")
        }
    };
    Instrument { name, unit: "By", description }
}

pub(crate) fn call_duration(side: Side) -> Instrument {
    let (name, description) = match side {
        Side::Server => (
            names::RPC_SERVER_CALL_DURATION,
            "Measures the duration of an incoming Remote Procedure Call (RPC).",
        ),
        Side::Client => (
            names::RPC_CLIENT_CALL_DURATION,
            "Measures the duration of an outgoing Remote Procedure Call (RPC).",
        ),
    };
    Instrument { name, unit: "s", description }
}

pub(crate) fn time_to_first_byte(side: Side) -> Instrument {
    let name = match side {
        Side::Server => names::HTTP_SERVER_TIME_TO_FIRST_BYTE,
        Side::Client => names::HTTP_CLIENT_TIME_TO_FIRST_BYTE,
    };
    Instrument { name, unit: "s", description: "Time to the first byte of HTTP response bodies." }
}

pub(crate) fn call_time_to_first_byte(side: Side) -> Instrument {
    let name = match side {
        Side::Server => names::RPC_SERVER_TIME_TO_FIRST_BYTE,
        Side::Client => names::RPC_CLIENT_TIME_TO_FIRST_BYTE,
    };
    Instrument { name, unit: "s", description: "Time to the first byte of a call's response." }
}

pub(crate) fn call_request_body_size(side: Side) -> Instrument {
    let name = match side {
        Side::Server => names::RPC_SERVER_REQUEST_BODY_SIZE,
        Side::Client => names::RPC_CLIENT_REQUEST_BODY_SIZE,
    };
    Instrument { name, unit: "By", description: "Size of the request bodies of calls." }
}

pub(crate) fn call_response_body_size(side: Side) -> Instrument {
    let name = match side {
        Side::Server => names::RPC_SERVER_RESPONSE_BODY_SIZE,
        Side::Client => names::RPC_CLIENT_RESPONSE_BODY_SIZE,
    };
    Instrument { name, unit: "By", description: "Size of the response bodies of calls." }
}
