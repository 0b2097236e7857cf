//! The service that reads and changes levels.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use tower_service::Service;

use super::{LogLevel, LogLevelError, json_object::Object};
use crate::local_caller::{Stranger, stranger};

/// Reads and changes the levels of log lines, at any path. [`LogLevel::service`] makes it.
///
/// | request | answer |
/// |---|---|
/// | `GET` | `200`, `{"levels":"info,shop=debug","configured":"info","reverts_in_seconds":583}`; `null` if nothing was changed |
/// | `PUT ?for=10m` with directives as body | adds them to the configured levels for this time (`s`, `m`, `h`, at most 24 hours; default 10 minutes), and answers as `GET` |
/// | `DELETE` | ends the change, and answers as `GET` |
/// | `PUT` with a body or a time that is invalid | `400`, a sentence that says what is expected |
/// | any of them, if no subscriber uses the levels | `404` |
/// | another method | `405` |
/// | any of them, from elsewhere than this machine | `403` |
///
/// ```sh
/// curl -X PUT 'http://127.0.0.1:8000/log-level?for=5m' -d shop=debug
/// ```
///
/// # Who may use it
///
/// It answers peers on loopback addresses only, by a name of this machine for itself (`localhost`,
/// `127.0.0.1`, `[::1]`), and neither requests that came through a proxy (`Forwarded`, `X-Forwarded-For` and
/// the like) nor those that a page of another site makes. The peer has to be known: from axum's
/// `ConnectInfo<SocketAddr>` (feature `axum`, `into_make_service_with_connect_info`) or tonic's
/// `TcpConnectInfo` (feature `tonic`). A proxy on the same machine that adds none of these headers is taken for
/// the operator, so don't let proxies reach the route. To guard the route in another way, put your own layer
/// around the service and call [`for_all_peers`](Self::for_all_peers).
///
/// # Example
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::net::SocketAddr;
/// use axum::Router;
/// use tower_telemetry::Telemetry;
///
/// # fn serve(telemetry: Telemetry) {
/// let app: Router = Router::new().route_service("/log-level", telemetry.log_level().service());
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// # }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LogLevelService {
    level: LogLevel,
    allows_all_peers: bool,
}

type Answer = Response<Full<Bytes>>;

impl LogLevelService {
    pub(super) fn new(level: LogLevel) -> Self {
        Self { level, allows_all_peers: false }
    }

    /// Answers every peer. The route has to be guarded by other means: whoever can reach it can fill the
    /// log, and read what is logged at `trace`.
    #[must_use]
    pub fn for_all_peers(mut self) -> Self {
        self.allows_all_peers = true;
        self
    }

    /// Answers everything but a change, which needs the body.
    fn answer(&self, head: &request::Parts) -> Option<Answer> {
        if let Some(reason) = self.refusal(head) {
            return Some(text(StatusCode::FORBIDDEN, reason));
        }
        if let Err(error) = self.level.check_use() {
            return Some(text(StatusCode::NOT_FOUND, error));
        }
        match head.method {
            Method::GET | Method::HEAD => {}
            Method::DELETE => self.level.reset(),
            Method::PUT => return None,
            _ => {
                let mut answer =
                    text(StatusCode::METHOD_NOT_ALLOWED, "expected GET, PUT or DELETE");
                let allowed = HeaderValue::from_static("GET, HEAD, PUT, DELETE");
                answer.headers_mut().insert(header::ALLOW, allowed);
                return Some(answer);
            }
        }
        Some(self.state())
    }

    fn refusal(&self, head: &request::Parts) -> Option<&'static str> {
        if self.allows_all_peers {
            return None;
        }
        Some(match stranger(&head.extensions, &head.uri, &head.headers)? {
            Stranger::UnknownPeer => UNKNOWN_PEER,
            Stranger::RemotePeer => REMOTE_PEER,
            Stranger::Forwarded => FORWARDED,
            Stranger::OtherHost => OTHER_HOST,
            Stranger::OtherSite => OTHER_SITE,
        })
    }

    async fn change<B>(&self, query: Option<&str>, body: B) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        let Ok(body) = body.map(|body| body.to_bytes()) else {
            let error = "the body could not be read: expected directives of at most 2000 bytes";
            return text(StatusCode::BAD_REQUEST, error);
        };
        let changed = duration(query).and_then(|duration| {
            let directives = std::str::from_utf8(&body);
            let directives = directives.map_err(|_| LogLevelError::new("the body is not UTF-8"))?;
            self.level.set(directives, duration)
        });
        match changed {
            Ok(()) => self.state(),
            Err(error) => text(StatusCode::BAD_REQUEST, error),
        }
    }

    fn state(&self) -> Answer {
        let mut json = String::new();
        // Writing to a string does not fail.
        let _ = self.write_state(&mut json);
        json.push('\n');
        answer(StatusCode::OK, "application/json", json)
    }

    fn write_state(&self, json: &mut String) -> fmt::Result {
        let mut object = Object::begin(json)?;
        object.text("levels", format_args!("{}", self.level.current()))?;
        object.text("configured", format_args!("{}", self.level.configured()))?;
        // A change that ends in a moment is still in effect.
        match self.level.reverts_in().map(|rest| rest.as_secs_f64().ceil()) {
            Some(seconds) => object.raw("reverts_in_seconds", format_args!("{seconds}"))?,
            None => object.raw("reverts_in_seconds", format_args!("null"))?,
        }
        object.end()
    }
}

impl<B> Service<Request<B>> for LogLevelService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            Ok(match this.answer(&head) {
                Some(answer) => answer,
                None => this.change(head.uri.query(), body).await,
            })
        })
    }
}

/// Reads `for=10m`.
fn duration(query: Option<&str>) -> Result<Duration, LogLevelError> {
    let mut duration = DEFAULT_DURATION;
    for parameter in query.unwrap_or_default().split('&').filter(|text| !text.is_empty()) {
        let time = parameter.strip_prefix("for=").and_then(|time| {
            let unit = time.chars().next_back()?;
            let seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 60 * 60,
                _ => return None,
            };
            let number: u64 = time[..time.len() - unit.len_utf8()].parse().ok()?;
            Some(Duration::from_secs(number.checked_mul(seconds)?))
        });
        duration = time.ok_or_else(|| {
            let error =
                format!("invalid parameter {parameter:?}: expected for=30s, for=10m or for=1h");
            LogLevelError::new(error)
        })?;
    }
    Ok(duration)
}

fn text(status: StatusCode, text: impl fmt::Display) -> Answer {
    answer(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

const UNKNOWN_PEER: &str = "only this machine may read and change the log levels, and the peer is unknown: \
    serve with `into_make_service_with_connect_info::<SocketAddr>()`, or guard the route and call \
    `for_all_peers`";
const REMOTE_PEER: &str = "only this machine may read and change the log levels: use a tunnel (`ssh -L`), or guard \
    the route and call `for_all_peers`";
const FORWARDED: &str = "only this machine may read and change the log levels, and a proxy has forwarded the \
    request";
const OTHER_HOST: &str = "only this machine may read and change the log levels: call it `localhost`, `127.0.0.1` or \
    `[::1]`";
const OTHER_SITE: &str =
    "only this machine may read and change the log levels, and no page of another site";

const DEFAULT_DURATION: Duration = Duration::from_secs(10 * 60);
/// Beyond what directives may have, so that these are told what is wrong.
const LONGEST_BODY: usize = 4096;
