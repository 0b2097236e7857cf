//! Attempts to connect of reqwest's client and of hyper-util's, as they end in every way.

use std::{
    collections::BTreeMap,
    future::{Ready, pending, ready},
    net::SocketAddr,
    sync::Once,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpListener;
use tower::{BoxError, Layer, Service, ServiceExt, layer::layer_fn, service_fn};
use tower_telemetry::{ErrorKinds, resources::ConnectionAttemptsLayer};

use crate::support::Metrics;

const NAME: &str = "http.client.connection.create_time";

fn layer(metrics: &Metrics) -> ConnectionAttemptsLayer {
    ConnectionAttemptsLayer::new().with_meter_provider(&metrics.provider)
}

async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/", axum::routing::get(|| ready("hello")));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Returns the address of a port that refuses connections.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn reqwest(
    configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| _ = rustls::crypto::ring::default_provider().install_default());
    configure(reqwest::Client::builder().no_proxy()).build().unwrap()
}

fn counts(metrics: &Metrics) -> Vec<(String, f64)> {
    metrics.collect().into_iter().collect()
}

fn attempts(kinds: &[(&str, f64)]) -> Vec<(String, f64)> {
    let line = |kind: &str| match kind {
        "" => format!("{NAME}{{}} histogram s"),
        kind => format!("{NAME}{{error.type={kind}}} histogram s"),
    };
    kinds
        .iter()
        .map(|(kind, count)| (line(kind), *count))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect()
}

#[tokio::test]
async fn attempts_of_reqwest() {
    let metrics = Metrics::new();
    let client = reqwest(|builder| builder.connector_layer(layer(&metrics)));
    let url = format!("http://{}/", server().await);
    // A connection that is used again is one attempt.
    for _ in 0..3 {
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "hello");
    }
    assert_eq!(counts(&metrics), attempts(&[("", 1.0)]));
    let refused = format!("http://{}/", nowhere().await);
    for _ in 0..2 {
        assert!(client.get(&refused).send().await.unwrap_err().is_connect());
    }
    assert_eq!(counts(&metrics), attempts(&[("", 1.0), ("connection_refused", 2.0)]));
}

/// The connect timeout of reqwest stands around the layer, so the attempt is given up.
#[tokio::test]
async fn a_timeout_of_reqwest_is_cancelled() {
    let metrics = Metrics::new();
    let client = reqwest(|builder| {
        builder
            .connector_layer(layer_fn(|inner| Stalls { inner }))
            .connector_layer(layer(&metrics))
            .connect_timeout(Duration::from_millis(20))
    });
    let error = client.get("http://127.0.0.1:1/").send().await.unwrap_err();
    assert!(error.is_timeout() && error.is_connect(), "{error:?}");
    assert_eq!(counts(&metrics), attempts(&[("cancelled", 1.0)]));
}

/// A connector that never connects.
#[derive(Clone)]
struct Stalls<S> {
    inner: S,
}

impl<S, R> Service<R> for Stalls<S>
where
    S: Service<R>,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, _: R) -> Self::Future {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn attempts_of_hyper_util() {
    let (address, nowhere) = (server().await, nowhere().await);
    let metrics = Metrics::new();
    let connector = layer(&metrics)
        .with_error_kinds([ErrorKinds::HYPER])
        .layer(HttpConnector::new().map_err(BoxError::from));
    let uri = |address: SocketAddr| Uri::try_from(format!("http://{address}/")).unwrap();
    assert!(connector.clone().oneshot(uri(address)).await.is_ok());
    assert!(connector.clone().oneshot(uri(nowhere)).await.is_err());
    // An attempt that is dropped before its first poll was made, too.
    drop(connector.clone().call(uri(address)));
    assert_eq!(
        counts(&metrics),
        attempts(&[("", 1.0), ("cancelled", 1.0), ("connection_refused", 1.0)])
    );
}

/// The message of an error is not recorded.
#[test]
fn an_error_without_a_kind() {
    let metrics = Metrics::new();
    let fails = |error: fn() -> BoxError| {
        layer(&metrics)
            .layer(service_fn(move |_: ()| -> Ready<Result<(), BoxError>> { ready(Err(error())) }))
    };
    assert!(fails(|| "user 4711".into()).oneshot(()).now_or_never().unwrap().is_err());
    assert_eq!(counts(&metrics), attempts(&[("_OTHER", 1.0)]));
}
