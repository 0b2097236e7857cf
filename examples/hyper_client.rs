//! hyper-util's client under tower layers, with telemetry for each attempt. The program ends after
//! a few calls.
//!
//! ```text
//! cargo run --all-features --example hyper_client
//! ```

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{
    ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
};
use tower_telemetry::{AttemptsLayer, Telemetry, TelemetryLayer, UrlTemplate};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder().with_console_by_default().build()?;

    // From the outside in: count the attempts, retry, record each attempt, send.
    let client = ServiceBuilder::new()
        .layer(AttemptsLayer::new())
        .layer(RetryLayer::new(WhileUnavailable))
        .layer(TelemetryLayer::client())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    println!("a server that is available at the third attempt:");
    let request = Request::get(format!("{}/flaky", start_server().await?))
        .extension(UrlTemplate::new("/flaky"))
        .body(Empty::new())?;
    let answer = client.oneshot(request).await?;
    println!("the answer: {:?}\n\nthe metrics:", answer.into_body().collect().await?.to_bytes());
    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

#[derive(Clone)]
struct WhileUnavailable;

impl<B, E> Policy<Request<Empty<Bytes>>, Response<B>, E> for WhileUnavailable {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Empty<Bytes>>,
        answer: &mut Result<Response<B>, E>,
    ) -> Option<Self::Future> {
        let status = answer.as_ref().ok()?.status();
        (status == StatusCode::SERVICE_UNAVAILABLE).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Empty<Bytes>>) -> Option<Request<Empty<Bytes>>> {
        Some(request.clone())
    }
}

async fn start_server() -> std::io::Result<String> {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let flaky = || async {
        let is_up = ASKED.fetch_add(1, Ordering::Relaxed) >= 2;
        if is_up { (StatusCode::OK, "up") } else { (StatusCode::SERVICE_UNAVAILABLE, "down") }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/flaky", get(flaky));
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
