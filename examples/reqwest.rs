//! reqwest with telemetry, printed on the console. The program calls a server that it starts
//! itself, and ends after a few calls.
//!
//! ```text
//! cargo run --all-features --example reqwest
//! ```

use std::time::Duration;

use axum::{Json, Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_telemetry::{ErrorKinds, Telemetry, TelemetryLayer, integrations::ReqwestClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The examples build reqwest without a TLS provider, so one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = Telemetry::builder().with_console_by_default().build()?;
    let url = start_server().await?;

    let client = ReqwestClient::with_layer(
        reqwest::Client::new(),
        TelemetryLayer::client().with_error_kinds([ErrorKinds::REQWEST]),
    );
    println!("a call, named by its template:");
    let answer = client.get(format!("{url}/users/7")).template("/users/{id}").send().await?;
    println!("the answer: {}\n", answer.text().await?);

    println!("JSON there and back:");
    let order = serde_json::json!({ "amount": 3 });
    let answer = client.post(format!("{url}/orders")).json(&order).send().await?;
    println!("the answer: {}\n", answer.json::<serde_json::Value>().await?);

    println!("an error, by its kind:");
    client.get("http://127.0.0.1:1/").send().await.unwrap_err();

    println!("\na redirect, as a span for each hop:");
    let hops = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let layers = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(TelemetryLayer::client().with_error_kinds([ErrorKinds::REQWEST]));
    let client = ReqwestClient::with_layer(hops, layers.into_inner());
    client.get(format!("{url}/old")).send().await?.text().await?;

    println!("\nthe metrics:");
    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

async fn start_server() -> std::io::Result<String> {
    let app = Router::new()
        .route("/users/{id}", get(|| async { "Ada" }))
        .route("/orders", axum::routing::post(|order: Json<serde_json::Value>| async { order }))
        .route("/old", get(|| async { (StatusCode::FOUND, [("location", "/users/1")]) }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
