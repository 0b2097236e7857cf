//! The service that the W3C's test harness for Trace Context requires: `POST /test` takes a JSON
//! array of `{"url": .., "arguments": ..}`, and posts each `arguments` to its `url`.
//!
//! ```text
//! cargo run --all-features --example w3c
//! SPEC_LEVEL=2 STRICT_LEVEL=2 python test.py http://127.0.0.1:5000/test     # of https://github.com/w3c/trace-context
//! ```

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_telemetry::{
    TelemetryLayer, TelemetryService, opentelemetry_sdk::trace::SdkTracerProvider,
};

type HttpClient = TelemetryService<Client<HttpConnector, Full<Bytes>>>;

#[derive(serde::Deserialize)]
struct Call {
    url: String,
    arguments: serde_json::Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tracers = SdkTracerProvider::builder().build();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client = TelemetryLayer::client().with_tracer_provider(&tracers).layer(client);
    let app = Router::new()
        .route("/test", post(test))
        .with_state(client)
        .layer(TelemetryLayer::server().with_tracer_provider(&tracers));

    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(5000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Listening on http://{}/test", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    Ok(())
}

async fn test(
    State(client): State<HttpClient>,
    Json(calls): Json<Vec<Call>>,
) -> Result<(), StatusCode> {
    for Call { url, arguments } in calls {
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(arguments.to_string()))
            .map_err(|_| StatusCode::BAD_REQUEST)?;
        let answer = client.clone().oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        answer.into_body().collect().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    }
    Ok(())
}
