//! The *random-trace-id* flag of new traces.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use opentelemetry_sdk::trace::Sampler;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_telemetry::{Convention, PropagationLayer, TelemetryLayer, propagation::W3c};

use crate::support::Telemetry;

/// The flags that a server sends on when it was called with this `traceparent`.
async fn flags(server: TelemetryLayer, called_with: Option<&str>) -> String {
    let sent = Arc::new(Mutex::new(String::new()));
    let client = service_fn(|request: Request<String>| {
        let traceparent = request.headers()["traceparent"].to_str().unwrap();
        *sent.lock().unwrap() = traceparent[53..].to_owned();
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let client = PropagationLayer::client().with_propagator(W3c::new()).layer(client);
    let service = ServiceBuilder::new().layer(server).service(client);
    let mut request = Request::get("/").body(String::new()).unwrap();
    if let Some(called_with) = called_with {
        request.headers_mut().insert("traceparent", called_with.parse().unwrap());
    }
    service.oneshot(request).await.unwrap();
    let sent = sent.lock().unwrap();
    sent.clone()
}

#[tokio::test]
async fn of_traces_that_begin_here() {
    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const RANDOM: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
    let (on, off) = (Sampler::AlwaysOn, Sampler::AlwaysOff);
    let rows = [
        (&on, false, false, None, "01"),
        (&on, true, false, None, "03"),
        (&off, true, false, None, "02"),
        // A trace of somebody else's has the flag that it came with.
        (&on, true, false, Some(SAMPLED), "01"),
        (&on, true, false, Some(RANDOM), "03"),
        (&on, false, false, Some(RANDOM), "03"),
        // A public endpoint begins a trace of its own.
        (&on, true, true, Some(SAMPLED), "03"),
        (&on, false, true, Some(RANDOM), "01"),
    ];
    for (sampler, is_random, is_public, called_with, expected) in rows {
        let telemetry = Telemetry::sampled(sampler.clone());
        let convention = match is_public {
            true => Convention::server().with_public_endpoint(),
            false => Convention::server(),
        };
        let layer = telemetry.stack(convention).with_propagator(W3c::new());
        let layer = if is_random { layer.with_random_trace_ids() } else { layer };
        let row = format!("{sampler:?} {is_random} {is_public} {called_with:?}");
        assert_eq!(flags(layer, called_with).await, expected, "{row}");
    }
}
