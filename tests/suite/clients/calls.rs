//! Calls through `ReqwestClient` and the middleware, as applications make them.

use http::HeaderName;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use opentelemetry::trace::SpanKind;
use tower::{Layer, ServiceExt};
use tower_telemetry::{
    Convention, UrlTemplate,
    integrations::{ReqwestClient, TelemetryMiddleware},
};

use super::{Server, layer, plain};
use crate::support::{Telemetry, attribute, eventually};

#[tokio::test]
async fn the_client_has_the_methods_of_reqwest() {
    let (server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    let echo = format!("http://{address}/echo");

    let order = serde_json::json!({ "amount": 3 });
    let answer = client.post(&echo).json(&order).query(&[("a", "b c")]).send().await.unwrap();
    assert_eq!(answer.url().query(), Some("a=b+c"));
    assert_eq!(answer.remote_addr(), Some(address));
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap(), order);

    let sizes = telemetry.points_of("request.body.size");
    assert_eq!((sizes[0].count, sizes[0].sum), (1, order.to_string().len() as f64));

    let form = reqwest::multipart::Form::new().text("name", "value");
    let answer = client.post(&echo).multipart(form).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("name=\"name\""));

    let chunks = stream::iter(["a", "b", "c"].map(Ok::<_, std::io::Error>));
    let body = reqwest::Body::wrap_stream(chunks);
    let answer = client.put(&echo).body(body).send().await.unwrap();
    let chunks: Vec<_> = answer.bytes_stream().collect().await;
    assert_eq!(
        chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect::<Vec<_>>(),
        b"abc"
    );

    let answer = client.patch(&echo).form(&[("k", "v")]).bearer_auth("token").send().await.unwrap();
    assert_eq!((answer.content_length(), &*answer.text().await.unwrap()), (Some(3), "k=v"));
    let seen = server.seen.lock().unwrap().pop().unwrap().1;
    assert_eq!(seen["authorization"], "Bearer token");
    assert_eq!(seen["content-type"], "application/x-www-form-urlencoded");

    let short = client.get(format!("http://{address}/never")).timeout(Duration::from_millis(30));
    assert!(short.send().await.unwrap_err().is_timeout());
    let failed = client.get(format!("http://{address}/status/404")).send().await.unwrap();
    let error = failed.error_for_status().unwrap_err();
    assert_eq!(error.url().unwrap().path(), "/status/404");
    assert_eq!(telemetry.spans().len(), 6);
    assert_eq!(telemetry.active(), 0);
}

/// An invalid URL is an error of the builder, and no call is recorded.
#[tokio::test]
async fn an_invalid_url_is_an_error() {
    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    for url in ["/users/7", "", "http://", "not a url"] {
        assert!(client.get(url).send().await.unwrap_err().is_builder(), "{url}");
    }
    assert!(telemetry.spans().is_empty());
    // A relative URL in a request to the service itself.
    let service = tower_telemetry::integrations::ReqwestService::default();
    let service = layer(&telemetry).layer(service);
    let request = http::Request::get("/users/7").body(reqwest::Body::default()).unwrap();
    assert!(service.oneshot(request).await.unwrap_err().is_builder());
    let span = telemetry.span_of(SpanKind::Client);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("invalid_request"));
}

/// The template is in the span's name, on the span and on the metrics. It is never guessed.
#[tokio::test]
async fn url_templates_are_recorded() {
    let (_server, address) = Server::start().await;
    let url = format!("http://{address}/ok/7");
    let expect = |telemetry: &Telemetry, template: Option<&str>| {
        let span = telemetry.span_of(SpanKind::Client);
        assert_eq!(attribute(&span, "url.template").as_deref(), template);
        let name =
            template.map_or_else(|| String::from("GET"), |template| format!("GET {template}"));
        assert_eq!(span.name, name);
        for instrument in ["request.duration", "active_requests"] {
            let label = telemetry.points_of(instrument)[0].labels.get("url.template").cloned();
            assert_eq!(label, template.map(|template| format!("String(({template:?}))")));
        }
    };
    for template in [None, Some("/ok/{id}")] {
        let telemetry = Telemetry::new();
        let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
        let request = client.get(&url);
        let request = match template {
            Some(template) => request.template(template),
            None => request,
        };
        request.send().await.unwrap().bytes().await.unwrap();
        expect(&telemetry, template);

        let telemetry = Telemetry::new();
        let client = reqwest_middleware::ClientBuilder::new(plain())
            .with(TelemetryMiddleware::with_layer(layer(&telemetry)))
            .build();
        let request = client.get(&url);
        let request = match template {
            Some(template) => request.with_extension(UrlTemplate::new(template)),
            None => request,
        };
        request.send().await.unwrap().bytes().await.unwrap();
        expect(&telemetry, template);
    }
}

#[tokio::test]
async fn the_span_ends_at_the_head_on_request() {
    let (_server, address) = Server::start().await;
    let url = format!("http://{address}/ok");
    for at_head in [false, true] {
        let telemetry = Telemetry::new();
        let convention = Convention::client().with_end_at_head(move |_| at_head);
        let client = ReqwestClient::with_layer(plain(), telemetry.stack(convention));
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(telemetry.spans().len(), usize::from(at_head));
        answer.bytes().await.unwrap();
        assert_eq!(telemetry.spans().len(), 1);
    }
}

/// Two hundred concurrent calls, each cancelled at a different moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_calls_leave_no_active_request() {
    let (_server, address) = Server::start().await;
    let telemetry = Telemetry::new();
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    let calls = (0..200_u64).map(|i| {
        let client = client.clone();
        tokio::spawn(async move {
            let path = ["ok", "never", "endless", "broken"][i as usize % 4];
            let call = async {
                let answer = client.get(format!("http://{address}/{path}")).send().await?;
                answer.bytes().await
            };
            // The moments are spread in the same way in each run.
            let _ = tokio::time::timeout(Duration::from_micros(i * 7919 % 40_000), call).await;
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    eventually("every call is over", || telemetry.active() == 0).await;
    let durations = telemetry.points_of("request.duration").iter().map(|p| p.count).sum::<u64>();
    assert_eq!(telemetry.spans().len() as u64, durations, "each span must have a duration");
    // A timeout of zero may cancel a call before it begins.
    assert!(durations >= 190, "{durations}");
}

/// No credential is exported.
#[tokio::test]
async fn credentials_are_never_exported() {
    let (_server, address) = Server::start().await;
    let url = format!("http://user:s3cret@{address}/ok?X-Amz-Signature=s3cret&sig=s3cret");
    let telemetry = Telemetry::new();

    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    client.get(&url).bearer_auth("s3cret").send().await.unwrap().bytes().await.unwrap();
    let client = reqwest_middleware::ClientBuilder::new(plain())
        .with(TelemetryMiddleware::with_layer(layer(&telemetry)))
        .build();
    client
        .get(&url)
        .basic_auth("user", Some("s3cret"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    // Also if the call fails, because reqwest's errors contain the URL.
    let refused = url.replace(&address.port().to_string(), "1");
    let client = ReqwestClient::with_layer(plain(), layer(&telemetry));
    client.get(&refused).send().await.unwrap_err();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let convention = Convention::client().with_request_headers([
        HeaderName::from_static("authorization"),
        HeaderName::from_static("cookie"),
    ]);
    let client = telemetry.stack(convention).layer(client);
    let request =
        http::Request::get(&url).header("authorization", "s3cret").header("cookie", "s3cret");
    let answer = client.oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
    answer.into_body().collect().await.unwrap();

    let exported = format!("{:?}{:?}", telemetry.spans(), telemetry.points());
    assert_eq!(telemetry.spans().len(), 4);
    assert!(exported.contains("REDACTED"));
    assert!(!exported.contains("s3cret"), "{exported}");
}
