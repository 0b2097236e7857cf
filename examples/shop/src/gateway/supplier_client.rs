//! The client of the supplier: HTTP with retries.

use std::time::Duration;

use axum::http::{
    Request, Response, Uri,
    header::CONTENT_TYPE,
    uri::{InvalidUriParts, PathAndQuery},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{Sleep, sleep};
use tower::{
    ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
    timeout::TimeoutLayer,
    util::BoxCloneSyncService,
};
use tower_telemetry::{
    CallSpanLayer, ErrorKinds, TelemetryLayer, UrlTemplate, resources::ClientConnections,
};

use crate::{Error, supplier::Reservation};

type Body = Full<axum::body::Bytes>;

#[derive(Clone)]
pub(super) struct SupplierClient {
    reservations: Uri,
    service: BoxCloneSyncService<Request<Body>, Response<axum::body::Body>, Error>,
}

impl SupplierClient {
    pub(super) fn new(url: Uri) -> Result<Self, InvalidUriParts> {
        let mut reservations = url.into_parts();
        reservations.path_and_query = Some(PathAndQuery::from_static(PATH));
        let connections = ClientConnections::new();
        let connector = connections.connector(HttpConnector::new());
        let client = Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
        let kinds = [ErrorKinds::HYPER, ErrorKinds::TOWER];
        // From the outside in: one span for the call, a span for each attempt with its own time limit.
        let service = ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(axum::body::Body::new))
            .layer(CallSpanLayer::client().with_error_kinds(kinds))
            .layer(RetryLayer::new(Retries { left: 2, pause: Duration::from_millis(20) }))
            .layer(TelemetryLayer::client().with_error_kinds(kinds))
            .layer(TimeoutLayer::new(Duration::from_secs(2)))
            .layer(connections)
            .service(client);
        let service = BoxCloneSyncService::new(service);
        Ok(Self { reservations: Uri::from_parts(reservations)?, service })
    }

    pub(super) async fn reserve(&self, reservation: &Reservation) -> Result<(), Error> {
        let request = Request::post(self.reservations.clone())
            .header(CONTENT_TYPE, "application/json")
            .extension(UrlTemplate::new(PATH))
            .body(Full::from(serde_json::to_vec(reservation)?))?;
        let response = self.service.clone().oneshot(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}").into()) }
    }
}

/// Retries failures, with pauses that double.
#[derive(Clone)]
struct Retries {
    left: u32,
    pause: Duration,
}

impl<B, E> Policy<Request<Body>, Response<B>, E> for Retries {
    type Future = Sleep;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Sleep> {
        let is_final = result.as_ref().is_ok_and(|response| !response.status().is_server_error());
        self.left = self.left.checked_sub(1).filter(|_| !is_final)?;
        self.pause *= 2;
        Some(sleep(self.pause))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

const PATH: &str = "/reservations";
