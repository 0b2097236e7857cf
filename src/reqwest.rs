//! `reqwest::Client` with telemetry (feature `reqwest`, for reqwest 0.13).
//!
//! [`Client`] is called like a `reqwest::Client`, and goes through whatever tower layers are put
//! around the [`HttpService`] beneath it.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}/users/7", listener.local_addr()?);
//! # let app = axum::Router::new().route("/users/{id}", axum::routing::get(|| async { "Ada" }));
//! # tokio::spawn(async { axum::serve(listener, app).await });
//! use tower_telemetry::reqwest::Client;
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//!
//! let client = Client::new(reqwest::Client::new());
//! let name = client.get(&url).template("/users/{id}").send().await?.text().await?;
//! # assert_eq!(name, "Ada");
//! # Ok(())
//! # }
//! ```
//!
//! # Redirects and retries
//!
//! reqwest follows redirects inside of itself: one span then stands for all hops, with the URL that
//! was asked for first, and every hop carries the same `traceparent`. For a span for each hop, switch
//! that off and put tower-http's `FollowRedirect` around the telemetry:
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_http::follow_redirect::FollowRedirectLayer;
//! use tower_telemetry::{TelemetryLayer, reqwest::Client};
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//!
//! let inner = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let layers = ServiceBuilder::new()
//!     .layer(FollowRedirectLayer::new())
//!     .layer(TelemetryLayer::client());
//! let client = Client::with_layer(inner, layers);
//! # Ok::<_, reqwest::Error>(())
//! ```
//!
//! A retry layer goes to the same place. [`Client`] counts the attempts of each call:
//! `http.request.resend_count`.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use pin_project_lite::pin_project;
use reqwest::{Body, IntoUrl, ResponseBuilderExt, multipart};
use serde::Serialize;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    attempts::AttemptsLayer,
    convention::{RequestBodySize, UrlTemplate},
    observe::Observe,
    telemetry::{TelemetryLayer, TelemetryObserver},
};

/// A `reqwest::Client` as a service of HTTP requests, for tower's layers to go around.
///
/// A request whose URI is not absolute fails with reqwest's own error.
#[derive(Debug, Clone, Default)]
pub struct HttpService {
    client: reqwest::Client,
}

impl HttpService {
    /// Makes a service of a client.
    pub fn new(client: reqwest::Client) -> Self {
        Self { client }
    }
}

impl<B: Into<Body>> Service<Request<B>> for HttpService {
    type Response = Response<Body>;
    type Error = reqwest::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = match reqwest::Request::try_from(request) {
            Ok(request) => Sending::Request { future: self.client.call(request) },
            Err(error) => Sending::Invalid { error: Some(error) },
        };
        ResponseFuture { inner }
    }
}

pin_project! {
    /// The response future of [`HttpService`].
    pub struct ResponseFuture {
        #[pin]
        inner: Sending,
    }
}

pin_project! {
    #[project = SendingProjection]
    enum Sending {
        Request {
            #[pin]
            future: <reqwest::Client as Service<reqwest::Request>>::Future,
        },
        Invalid { error: Option<reqwest::Error> },
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, reqwest::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().inner.project() {
            SendingProjection::Request { future } => {
                Poll::Ready(ready!(future.poll(cx)).map(into_http))
            }
            SendingProjection::Invalid { error } => {
                Poll::Ready(Err(error.take().expect("a future is not polled once it is ready")))
            }
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

/// A `reqwest::Client` with telemetry, called in the same way.
#[derive(Debug, Clone)]
pub struct Client<S = Observe<HttpService, TelemetryObserver>> {
    client: reqwest::Client,
    service: S,
}

impl Client {
    /// Puts [`TelemetryLayer::client`] around a client.
    pub fn new(client: reqwest::Client) -> Self {
        Self::with_layer(client, TelemetryLayer::client())
    }
}

impl<S> Client<S> {
    /// Puts a layer, or a stack of them, around a client.
    pub fn with_layer<L>(client: reqwest::Client, layer: L) -> Self
    where
        L: Layer<HttpService, Service = S>,
    {
        Self { service: layer.layer(HttpService::new(client.clone())), client }
    }

    /// Begins a `GET` request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::GET, url)
    }

    /// Begins a `POST` request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT` request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH` request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE` request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD` request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        self.request(Method::HEAD, url)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder<S>
    where
        S: Clone,
    {
        RequestBuilder {
            service: self.service.clone(),
            builder: self.client.request(method, url),
            template: None,
        }
    }

    /// Sends a request that was built elsewhere.
    ///
    /// # Errors
    ///
    /// Those of the service, and reqwest's for a request that can't be sent.
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

/// A request that is being built; the methods are reqwest's.
#[derive(Debug)]
#[must_use = "a request is sent by `send`"]
pub struct RequestBuilder<S> {
    service: S,
    builder: reqwest::RequestBuilder,
    template: Option<UrlTemplate>,
}

impl<S> RequestBuilder<S> {
    /// Names the template of the URL, such as `/users/{id}`: see [`UrlTemplate`].
    pub fn template(mut self, template: impl Into<std::sync::Arc<str>>) -> Self {
        self.template = Some(UrlTemplate::new(template));
        self
    }

    /// Applies anything that `reqwest::RequestBuilder` can do.
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

    /// Adds headers, in place of those of the same names.
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

    /// Limits the time until the response body is read.
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
    /// Those of the service, and reqwest's for a request that can't be built.
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

/// reqwest's request as one of HTTP, with the length of its body where that is known.
pub(crate) fn into_request(request: reqwest::Request) -> reqwest::Result<Request<Body>> {
    let mut request = Request::try_from(request)?;
    if let Some(bytes) = request.body().as_bytes() {
        let size = RequestBodySize(bytes.len() as u64);
        request.extensions_mut().insert(size);
    }
    Ok(request)
}

/// reqwest's response as one of HTTP. It keeps its URL, which reqwest's own conversion loses.
pub(crate) fn into_http(response: reqwest::Response) -> Response<Body> {
    let url = Response::builder().url(response.url().clone()).body(());
    let mut response = Response::<Body>::from(response);
    if let Ok(url) = url {
        response.extensions_mut().extend(url.into_parts().0.extensions);
    }
    response
}

/// The way back.
pub(crate) fn from_http<B>(response: Response<B>) -> reqwest::Response
where
    B: http_body::Body<Data: Into<bytes::Bytes>> + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    response.map(Body::wrap).into()
}
