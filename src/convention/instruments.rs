//! The instruments: their names, units and descriptions.

use super::{Convention, Side, names};

/// What a meter needs to know of an instrument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}

impl Convention {
    pub(crate) fn duration(&self) -> Instrument {
        self.instrument(
            "s",
            (names::HTTP_SERVER_REQUEST_DURATION, "Duration of HTTP server requests."),
            (names::HTTP_CLIENT_REQUEST_DURATION, "Duration of HTTP client requests."),
        )
    }

    pub(crate) fn active_requests(&self) -> Instrument {
        self.instrument(
            "{request}",
            (names::HTTP_SERVER_ACTIVE_REQUESTS, "Number of active HTTP server requests."),
            (names::HTTP_CLIENT_ACTIVE_REQUESTS, "Number of active HTTP requests."),
        )
    }

    pub(crate) fn request_body_size(&self) -> Instrument {
        self.instrument(
            "By",
            (names::HTTP_SERVER_REQUEST_BODY_SIZE, "Size of HTTP server request bodies."),
            (names::HTTP_CLIENT_REQUEST_BODY_SIZE, "Size of HTTP client request bodies."),
        )
    }

    pub(crate) fn response_body_size(&self) -> Instrument {
        self.instrument(
            "By",
            (names::HTTP_SERVER_RESPONSE_BODY_SIZE, "Size of HTTP server response bodies."),
            (names::HTTP_CLIENT_RESPONSE_BODY_SIZE, "Size of HTTP client response bodies."),
        )
    }

    pub(crate) fn call_duration(&self) -> Instrument {
        self.instrument(
            "s",
            (
                names::RPC_SERVER_CALL_DURATION,
                "Measures the duration of an incoming Remote Procedure Call (RPC).",
            ),
            (
                names::RPC_CLIENT_CALL_DURATION,
                "Measures the duration of an outgoing Remote Procedure Call (RPC).",
            ),
        )
    }

    fn instrument(
        &self,
        unit: &'static str,
        server: (&'static str, &'static str),
        client: (&'static str, &'static str),
    ) -> Instrument {
        let (name, description) = match self.side() {
            Side::Server => server,
            Side::Client => client,
        };
        Instrument { name, unit, description }
    }
}
