//! Outbound clients against real servers on loopback.

mod attempts;
mod buffers;
mod calls;
mod errors;
mod hops;
#[cfg(feature = "tonic")]
mod peers;
#[cfg(all(feature = "tonic", feature = "tower"))]
mod timeouts;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tower_telemetry::{Convention, TelemetryLayer, propagation::W3c};

use crate::support::Telemetry;

/// A server that records its requests.
#[derive(Clone, Default)]
struct Server {
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Server {
    /// Starts a server that runs as long as the test's runtime.
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self::default();
        let router = Router::new().route("/{*path}", any(answer)).with_state(server.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        (server, address)
    }

    /// Returns the span ids of the received `traceparent`s, in order.
    fn parents(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let parent =
            |headers: &HeaderMap| headers["traceparent"].to_str().unwrap()[36..52].to_owned();
        seen.iter().map(|(_, headers)| parent(headers)).collect()
    }
}

/// Answers as the path says.
async fn answer(
    State(server): State<Server>,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    let asked = {
        let mut seen = server.seen.lock().unwrap();
        seen.push((path.clone(), request.headers().clone()));
        seen.iter().filter(|(asked, _)| *asked == path).count()
    };
    let (what, rest) = path.split_once('/').unwrap_or((&path, ""));
    let first = stream::iter([Ok::<_, std::io::Error>("first")]);
    match what {
        "ok" => "ok".into_response(),
        "echo" => request.into_body().into_response(),
        "status" => StatusCode::from_bytes(rest.as_bytes()).unwrap().into_response(),
        // Unavailable until the third request.
        "flaky" if asked < 3 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "flaky" => "at last".into_response(),
        "redirect" => (StatusCode::FOUND, [(header::LOCATION, format!("/{rest}"))]).into_response(),
        "see-other" => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/{rest}"))]).into_response()
        }
        "temporary" => {
            let location = [(header::LOCATION, format!("/{rest}"))];
            (StatusCode::TEMPORARY_REDIRECT, location).into_response()
        }
        // Redirects to the same server under another name.
        "elsewhere" => {
            let host =
                request.headers()["host"].to_str().unwrap().replace("127.0.0.1", "localhost");
            (StatusCode::FOUND, [(header::LOCATION, format!("http://{host}/{rest}"))])
                .into_response()
        }
        "loop" => (StatusCode::FOUND, [(header::LOCATION, "/loop")]).into_response(),
        "never" => std::future::pending().await,
        "endless" => Body::from_stream(first.chain(stream::pending())).into_response(),
        "broken" => {
            let broken = stream::iter([Err(std::io::Error::other("the server breaks off"))]);
            Body::from_stream(first.chain(broken)).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Returns a builder of clients. reqwest's default TLS provider is not built into the tests, so one
/// is installed.
fn builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

fn plain() -> reqwest::Client {
    builder().build().unwrap()
}

fn layer(telemetry: &Telemetry) -> TelemetryLayer {
    telemetry.stack(Convention::client()).with_propagator(W3c::new())
}
