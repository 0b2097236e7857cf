//! reqwest: a client with telemetry that is called like reqwest's own.

use std::{fmt, future::poll_fn, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use reqwest::{Body, IntoUrl, multipart};
use serde::Serialize;
use tower_layer::Layer;
use tower_service::Service;

use super::reqwest::{ReqwestService, default_layer, from_http, into_request};
use crate::{attempts_layer::AttemptsLayer, convention::UrlTemplate, telemetry::TelemetryService};

/// A `reqwest::Client` with telemetry, which is called in the same way (feature `reqwest`, for
/// reqwest 0.13).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let url = format!("http://{}/users/7", listener.local_addr()?);
/// # let app = axum::Router::new().route("/users/{id}", axum::routing::get(|| async { "Ada" }));
/// # tokio::spawn(async { axum::serve(listener, app).await });
/// use tower_telemetry::integrations::ReqwestClient;
/// # let _ = rustls::crypto::ring::default_provider().install_default();
///
/// let client = ReqwestClient::new(reqwest::Client::new());
/// let name = client.get(&url).template("/users/{id}").send().await?.text().await?;
/// # assert_eq!(name, "Ada");
/// # Ok(())
/// # }
/// ```
///
/// # Redirects and retries
///
/// reqwest follows redirects internally. One span then stands for all hops, has the URL of the first,
/// and every hop carries the same `traceparent` and `baggage`, even to another host.
/// [`redirects_to`](super::redirects_to) limits the hosts. For a span per hop, switch redirects off and
/// put tower-http's `FollowRedirect` around the telemetry:
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_http::follow_redirect::FollowRedirectLayer;
/// use tower_telemetry::{ErrorKinds, TelemetryLayer, integrations::ReqwestClient};
/// # let _ = rustls::crypto::ring::default_provider().install_default();
///
/// let inner = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
/// let layers = ServiceBuilder::new()
///     .layer(FollowRedirectLayer::new())
///     .layer(TelemetryLayer::client().with_error_kinds([ErrorKinds::REQWEST]));
/// let client = ReqwestClient::with_layer(inner, layers);
/// # Ok::<_, reqwest::Error>(())
/// ```
///
/// A [`CallSpanLayer`](crate::CallSpanLayer) outside of the redirects makes the hops one trace, if
/// there is no current span. A retry layer belongs in the place of the redirect layer. The client
/// counts the attempts of each call: `http.request.resend_count`.
#[derive(Debug, Clone)]
pub struct ReqwestClient<S = TelemetryService<ReqwestService>> {
    client: reqwest::Client,
    service: S,
}

impl ReqwestClient {
    /// Puts a [`TelemetryLayer`](crate::TelemetryLayer) around a client, with the error kinds of reqwest
    /// and hyper.
    pub fn new(client: reqwest::Client) -> Self {
        Self::with_layer(client, default_layer())
    }
}

impl<S> ReqwestClient<S> {
    /// Puts a layer, or a stack of layers, around a client.
    pub fn with_layer<L>(client: reqwest::Client, layer: L) -> Self
    where
        L: Layer<ReqwestService, Service = S>,
    {
        Self { service: layer.layer(ReqwestService::new(client.clone())), client }
    }

    /// Begins a `GET` request.
    pub fn get(&self, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::GET, url)
    }

    /// Begins a `POST` request.
    pub fn post(&self, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT` request.
    pub fn put(&self, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH` request.
    pub fn patch(&self, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE` request.
    pub fn delete(&self, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD` request.
    pub fn head(&self, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::HEAD, url)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> ReqwestRequestBuilder<S>
    where
        S: Clone,
    {
        ReqwestRequestBuilder {
            service: self.service.clone(),
            builder: self.client.request(method, url),
            template: None,
        }
    }

    /// Sends a request that was built elsewhere.
    ///
    /// # Errors
    ///
    /// Returns the errors of the service, and reqwest's error if the request can't be sent.
    pub async fn execute<B>(&self, request: reqwest::Request) -> Result<reqwest::Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone,
        S::Error: From<reqwest::Error>,
        B: http_body::Body<Data: Into<bytes::Bytes>> + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        send(self.service.clone(), request, None).await
    }
}

/// Builds a request of a [`ReqwestClient`], with the methods of reqwest's builder.
#[derive(Debug)]
#[must_use = "a request is sent by `send`"]
pub struct ReqwestRequestBuilder<S> {
    service: S,
    builder: reqwest::RequestBuilder,
    template: Option<UrlTemplate>,
}

impl<S> ReqwestRequestBuilder<S> {
    /// Sets the template of the URL, such as `/users/{id}`: see [`UrlTemplate`].
    pub fn template(mut self, template: impl Into<std::sync::Arc<str>>) -> Self {
        self.template = Some(UrlTemplate::new(template));
        self
    }

    /// Calls any other method of `reqwest::RequestBuilder`.
    pub fn with<F>(mut self, f: F) -> Self
    where
        F: FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    {
        self.builder = f(self.builder);
        self
    }

    /// Adds a header.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K, Error: Into<http::Error>>,
        HeaderValue: TryFrom<V, Error: Into<http::Error>>,
    {
        self.with(|builder| builder.header(name, value))
    }

    /// Adds headers, replacing those of the same names.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|builder| builder.headers(headers))
    }

    /// Sends a user name and a password.
    pub fn basic_auth(self, user: impl fmt::Display, password: Option<impl fmt::Display>) -> Self {
        self.with(|builder| builder.basic_auth(user, password))
    }

    /// Sends a bearer token.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.with(|builder| builder.bearer_auth(token))
    }

    /// Sends a body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|builder| builder.body(body))
    }

    /// Sends a value as JSON.
    pub fn json(self, json: &(impl Serialize + ?Sized)) -> Self {
        self.with(|builder| builder.json(json))
    }

    /// Sends a value as a form.
    pub fn form(self, form: &(impl Serialize + ?Sized)) -> Self {
        self.with(|builder| builder.form(form))
    }

    /// Sends a multipart form.
    pub fn multipart(self, form: multipart::Form) -> Self {
        self.with(|builder| builder.multipart(form))
    }

    /// Adds a value to the query.
    pub fn query(self, query: &(impl Serialize + ?Sized)) -> Self {
        self.with(|builder| builder.query(query))
    }

    /// Limits the time until the response body is complete.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|builder| builder.timeout(timeout))
    }

    /// Chooses the version of HTTP.
    pub fn version(self, version: Version) -> Self {
        self.with(|builder| builder.version(version))
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// Returns the errors of the service, and reqwest's error if the request can't be built.
    pub async fn send<B>(self) -> Result<reqwest::Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: From<reqwest::Error>,
        B: http_body::Body<Data: Into<bytes::Bytes>> + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        send(self.service, self.builder.build()?, self.template).await
    }
}

async fn send<S, B>(
    mut service: S,
    request: reqwest::Request,
    template: Option<UrlTemplate>,
) -> Result<reqwest::Response, S::Error>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: From<reqwest::Error>,
    B: http_body::Body<Data: Into<bytes::Bytes>> + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request = into_request(request)?;
    if let Some(template) = template {
        request.extensions_mut().insert(template);
    }
    poll_fn(|cx| service.poll_ready(cx)).await?;
    AttemptsLayer::new().layer(service).call(request).await.map(from_http)
}
