//! Opt-in instruments that the semantic conventions don't have.

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};

use super::{MetricsOptions, recorder::described};
use crate::convention::{
    Side,
    instruments::{self, Instrument},
};

/// The instruments of this crate, with the attributes of the duration.
pub(super) struct OwnInstruments {
    first_byte: Option<FirstByte>,
    call_sizes: Option<CallSizes>,
}

struct FirstByte {
    http: Histogram<f64>,
    call: Histogram<f64>,
}

struct CallSizes {
    request: Histogram<u64>,
    response: Histogram<u64>,
}

impl OwnInstruments {
    pub(super) fn new(options: &MetricsOptions, side: Side, meter: &Meter) -> Self {
        let seconds = |instrument: Instrument| {
            let histogram = meter.f64_histogram(instrument.name);
            described(histogram, &instrument, &options.duration_boundaries).build()
        };
        let bytes = |instrument: Instrument| {
            let histogram = meter.u64_histogram(instrument.name);
            described(histogram, &instrument, &options.body_size_boundaries).build()
        };
        Self {
            first_byte: options.times_first_byte.then(|| FirstByte {
                http: seconds(instruments::time_to_first_byte(side)),
                call: seconds(instruments::call_time_to_first_byte(side)),
            }),
            call_sizes: options.counts_request_bodies.then(|| CallSizes {
                request: bytes(instruments::call_request_body_size(side)),
                response: bytes(instruments::call_response_body_size(side)),
            }),
        }
    }

    #[inline]
    pub(super) fn record(&self, first_byte: Option<f64>, labels: &[KeyValue]) {
        if let (Some(instruments), Some(seconds)) = (&self.first_byte, first_byte) {
            instruments.http.record(seconds, labels);
        }
    }

    pub(super) fn record_call(
        &self,
        first_byte: Option<f64>,
        (request_size, response_size): (Option<u64>, Option<u64>),
        labels: &[KeyValue],
    ) {
        if let (Some(instruments), Some(seconds)) = (&self.first_byte, first_byte) {
            instruments.call.record(seconds, labels);
        }
        let Some(sizes) = &self.call_sizes else { return };
        if let Some(bytes) = request_size {
            sizes.request.record(bytes, labels);
        }
        if let Some(bytes) = response_size {
            sizes.response.record(bytes, labels);
        }
    }
}
