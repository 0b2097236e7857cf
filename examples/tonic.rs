//! A tonic server and its client in one process, with telemetry printed on the console. The program
//! ends after a few calls.
//!
//! ```text
//! cargo run --all-features --example tonic
//! ```

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic_health::{
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::health_reporter,
};
use tower::ServiceBuilder;
use tower_telemetry::{Convention, Telemetry, TelemetryLayer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder().with_console_by_default().build()?;

    // One layer around all services of the server.
    let (reporter, health) = health_reporter();
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().layer(TelemetryLayer::server()).add_service(health);
    let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    // The requests of a channel have no host, so the layer needs the origin.
    let channel = Endpoint::new(origin.clone())?.connect().await?;
    let channel = ServiceBuilder::new()
        .layer(TelemetryLayer::new(Convention::client().with_origin(origin.parse()?)))
        .service(channel);
    let mut client = HealthClient::new(channel);
    let request = |service: &str| HealthCheckRequest { service: service.to_owned() };

    println!("a call that succeeds:");
    client.check(request("shop")).await?;
    println!("\na call that fails, which is an error on the client but not on the server:");
    let _ = client.check(request("nobody")).await;
    println!("\na stream that the client leaves after its first message:");
    let mut watch = client.watch(request("shop")).await?.into_inner();
    watch.message().await?;
    drop(watch);

    println!("\nthe metrics:");
    drop(client);
    server.abort();
    let _ = server.await;
    telemetry.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
