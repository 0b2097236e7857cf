//! Levels that are changed at run time, by their handle and over HTTP.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use axum::extract::ConnectInfo;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_telemetry::logs::{Levels, LogFormat, LogLevel, LogLevelService};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::{
    builder,
    lines::nothing_exported,
    printed::{line_with, printed},
};

const LONG: Duration = Duration::from_secs(60);

/// Remembers the target and the level of each event.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Notices of this crate are not the matter of these tests.
        if metadata.target() != "tower_telemetry" {
            let level = metadata.level().as_str().to_lowercase();
            self.0.lock().unwrap().push(format!("{}={level}", metadata.target()));
        }
    }
}

/// Logs at three levels with two targets, and returns what is recorded.
fn recorded(seen: &Seen) -> String {
    tracing::info!(target: "shop", "");
    tracing::debug!(target: "shop", "");
    tracing::trace!(target: "shop", "");
    tracing::info!(target: "other", "");
    tracing::debug!(target: "other", "");
    std::mem::take(&mut *seen.0.lock().unwrap()).join(" ")
}

/// Waits for an end that a thread brings about.
fn wait_for_the_end(level: &LogLevel) {
    let limit = Instant::now() + LONG;
    while level.reverts_in().is_some() {
        assert!(Instant::now() < limit, "the change does not end");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn directives_are_added_and_taken_away() {
    // As a layer for the whole subscriber, and as a filter of one layer.
    for is_filter in [false, true] {
        let level = LogLevel::new(Levels::new("info,other=debug"));
        let seen = Seen::default();
        let dispatch = match is_filter {
            true => {
                let layer = seen.clone().with_filter(level.clone());
                tracing::Dispatch::new(tracing_subscriber::registry().with(layer))
            }
            false => {
                let subscriber = tracing_subscriber::registry().with(seen.clone());
                tracing::Dispatch::new(subscriber.with(level.clone()))
            }
        };
        let _default = tracing::dispatcher::set_default(&dispatch);
        let configured = "shop=info other=info other=debug";
        assert_eq!(recorded(&seen), configured);
        let rows = [
            ("shop=debug", "shop=info shop=debug other=info other=debug"),
            ("shop=trace", "shop=info shop=debug shop=trace other=info other=debug"),
            ("debug", "shop=info shop=debug other=info other=debug"),
            ("other=info", "shop=info other=info"),
            (" off , shop=INFO", "shop=info other=info other=debug"),
            ("warn,other=off", ""),
        ];
        for (directives, expected) in rows {
            level.set(directives, LONG).unwrap();
            assert_eq!(recorded(&seen), expected, "{directives}, filter: {is_filter}");
            assert!(level.reverts_in().unwrap() > LONG / 2);
            assert!(level.current().starts_with("info,other=debug,"), "{}", level.current());
            assert_eq!(level.configured(), "info,other=debug");
        }
        level.reset();
        level.reset();
        assert_eq!(recorded(&seen), configured);
        assert_eq!((level.reverts_in(), level.current()), (None, level.configured()));
        // By itself.
        level.set("trace", Duration::from_millis(1)).unwrap();
        wait_for_the_end(&level);
        assert_eq!(recorded(&seen), configured);
        // A later change counts, not the end of an earlier one.
        level.set("trace", Duration::from_millis(1)).unwrap();
        level.set("shop=debug", LONG).unwrap();
        wait_for_threads(&level);
        assert_eq!(recorded(&seen), "shop=info shop=debug other=info other=debug");
        level.reset();
    }
}

/// Gives a timer that should not fire the time to do so: it would have fired before this one.
fn wait_for_threads(level: &LogLevel) {
    let other = LogLevel::new(Levels::new("info"));
    let subscriber = tracing_subscriber::registry().with(other.clone());
    drop(tracing::Dispatch::new(subscriber));
    other.set("debug", Duration::from_millis(50)).unwrap();
    wait_for_the_end(&other);
    assert!(level.reverts_in().is_some());
}

#[test]
fn invalid_changes_change_nothing() {
    let level = LogLevel::new(Levels::new("info"));
    let error = level.set("debug", LONG).unwrap_err().to_string();
    assert!(error.starts_with("no subscriber uses these levels"), "{error}");
    let subscriber = tracing_subscriber::registry().with(level.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let long = "a=info,".repeat(300);
    let rows = [
        ("", LONG, "no directives: expected a level"),
        (" , ", LONG, "no directives: expected a level"),
        ("debgu", LONG, "invalid directive \"debgu\": expected a level (off, error, warn, info, "),
        ("shop", LONG, "invalid directive \"shop\": expected a level"),
        ("info,shop=loud", LONG, "invalid directive \"shop=loud\": expected a level"),
        (
            "shop[user=1]=debug",
            LONG,
            "filters by span are not supported, as in \"shop[user=1]=debug\"",
        ),
        ("debug", Duration::ZERO, "expected a duration above zero, and of at most 24 hours"),
        ("debug", Duration::from_secs(86_401), "expected a duration above zero"),
        ("debug", Duration::MAX, "expected a duration above zero"),
        (&long, LONG, "expected directives of at most 2000 bytes"),
    ];
    for (directives, duration, expected) in rows {
        let error = level.set(directives, duration).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{directives:?}: {error}");
        assert_eq!((level.reverts_in(), level.current().as_str()), (None, "info"));
    }
}

/// The last one of concurrent changes is in effect, and can be ended.
#[test]
fn concurrent_changes() {
    let level = LogLevel::new(Levels::new("info"));
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(seen.clone()).with(level.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    thread::scope(|scope| {
        for n in 0..4 {
            let level = &level;
            scope.spawn(move || {
                for _ in 0..50 {
                    let duration = if n == 0 { Duration::from_micros(1) } else { LONG };
                    level.set(["debug", "trace", "shop=debug", "off"][n], duration).unwrap();
                    if n == 1 {
                        level.reset();
                    }
                }
            });
        }
    });
    level.set("shop=debug", LONG).unwrap();
    assert_eq!(recorded(&seen), "shop=info shop=debug other=info");
    level.reset();
    assert_eq!(recorded(&seen), "shop=info other=info");
}

/// A peer, and what the request says besides its method.
struct Call {
    peer: Option<&'static str>,
    query: &'static str,
    header: Option<(&'static str, &'static str)>,
    body: String,
}

impl Call {
    fn new(query: &'static str, body: impl Into<String>) -> Self {
        Self { peer: Some("127.0.0.1:1"), query, header: None, body: body.into() }
    }

    fn from(peer: Option<&'static str>) -> Self {
        Self { peer, ..Self::new("", "debug") }
    }

    fn by(name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..Self::new("", "debug") }
    }
}

async fn call(service: &LogLevelService, method: &str, call: &Call) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(format!("/log-level{}", call.query));
    let (name, value) = call.header.unwrap_or(("x-other", "1"));
    if name != "host" {
        request = request.header("host", "localhost:8000");
    }
    request = request.header(name, value);
    if let Some(peer) = call.peer {
        let peer: SocketAddr = peer.parse().unwrap();
        request = request.extension(ConnectInfo(peer));
    }
    let request = request.body(Full::new(bytes::Bytes::from(call.body.clone()))).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn state(body: &str) -> (String, Option<u64>) {
    let state: Value = serde_json::from_str(body).unwrap();
    assert_eq!(state["configured"], json!("info"));
    (state["levels"].as_str().unwrap().to_owned(), state["reverts_in_seconds"].as_u64())
}

#[tokio::test]
async fn the_service_reads_and_changes_levels() {
    let level = LogLevel::new(Levels::new("info"));
    let service = level.service();
    let (status, text) = call(&service, "GET", &Call::new("", "")).await;
    assert_eq!(status, 404);
    assert!(text.starts_with("no subscriber uses these levels"), "{text}");

    let subscriber = tracing_subscriber::registry().with(level.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let rows = [
        ("GET", Call::new("", ""), "info", None),
        ("PUT", Call::new("", "debug"), "info,debug", Some(600)),
        ("GET", Call::new("?a=b", ""), "info,debug", Some(600)),
        ("PUT", Call::new("?for=30s", "shop=debug\n"), "info,shop=debug", Some(30)),
        ("PUT", Call::new("?for=24h", "shop=debug,a=off"), "info,shop=debug,a=off", Some(86_400)),
        ("PUT", Call::new("?&for=2m", "warn"), "info,warn", Some(120)),
        ("HEAD", Call::from(Some("[::1]:1")), "info,warn", Some(120)),
        ("GET", Call::from(Some("[::ffff:127.0.0.9]:1")), "info,warn", Some(120)),
        ("DELETE", Call::new("", ""), "info", None),
        ("DELETE", Call::new("", ""), "info", None),
    ];
    for (method, request, levels, seconds) in rows {
        let (status, body) = call(&service, method, &request).await;
        assert_eq!(status, 200, "{method} {}: {body}", request.query);
        let (found, rest) = state(&body);
        assert_eq!(found, levels);
        assert_eq!(rest.is_some(), seconds.is_some(), "{body}");
        let rest = rest.unwrap_or_default();
        let expected = seconds.unwrap_or_default();
        assert!(rest <= expected && rest + 60 > expected, "{body}");
    }
}

#[tokio::test]
async fn the_service_refuses_and_says_why() {
    let level = LogLevel::new(Levels::new("info"));
    let subscriber = tracing_subscriber::registry().with(level.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let service = level.service();
    let unknown =
        "only this machine may read and change the log levels, and the peer is unknown: serve with";
    let rows = [
        (
            "PUT",
            Call::new("?for=10", "debug"),
            400,
            "invalid parameter \"for=10\": expected for=30s",
        ),
        ("PUT", Call::new("?for=", "debug"), 400, "invalid parameter \"for=\""),
        ("PUT", Call::new("?for=1.5h", "debug"), 400, "invalid parameter \"for=1.5h\""),
        ("PUT", Call::new("?for=-1s", "debug"), 400, "invalid parameter"),
        ("PUT", Call::new("?for=99999999999999999999h", "debug"), 400, "invalid parameter"),
        ("PUT", Call::new("?for=9999999999999999999h", "debug"), 400, "invalid parameter"),
        ("PUT", Call::new("?fr=10m", "debug"), 400, "invalid parameter \"fr=10m\""),
        ("PUT", Call::new("?for=0s", "debug"), 400, "expected a duration above zero"),
        ("PUT", Call::new("?for=25h", "debug"), 400, "expected a duration above zero"),
        ("PUT", Call::new("", ""), 400, "no directives: expected a level"),
        ("PUT", Call::new("", "loud"), 400, "invalid directive \"loud\": expected a level"),
        (
            "PUT",
            Call::new("", "a=info,".repeat(300)),
            400,
            "expected directives of at most 2000 bytes",
        ),
        ("PUT", Call::new("", "x".repeat(1 << 20)), 400, "the body could not be read: expected"),
        ("POST", Call::new("", "debug"), 405, "expected GET, PUT or DELETE"),
        ("PUT", Call::from(None), 403, unknown),
        ("GET", Call::from(None), 403, unknown),
        ("PUT", Call::from(Some("192.0.2.7:1")), 403, "only this machine may read"),
        ("DELETE", Call::from(Some("[2001:db8::1]:1")), 403, "only this machine may read"),
        (
            "PUT",
            Call::by("x-forwarded-for", "192.0.2.1"),
            403,
            "only this machine may read and change the log levels, and",
        ),
        ("PUT", Call::by("Forwarded", "192.0.2.1"), 403, "only this machine may read"),
        ("PUT", Call::by("host", "evil.example"), 403, "only this machine may read"),
        ("PUT", Call::by("sec-fetch-site", "cross-site"), 403, "only this machine may read"),
        ("PUT", Call::by("x-real-ip", "192.0.2.1"), 403, "only this machine may read"),
    ];
    for (method, request, expected, beginning) in rows {
        let (status, text) = call(&service, method, &request).await;
        assert_eq!(status, expected, "{method} {}: {text}", request.query);
        assert!(text.starts_with(beginning) && text.ends_with('\n'), "{text}");
        assert_eq!(level.current(), "info");
    }
    let guarded = service.for_all_peers();
    for request in
        [Call::from(None), Call::from(Some("192.0.2.7:1")), Call::by("forwarded", "for=x")]
    {
        assert_eq!(call(&guarded, "PUT", &request).await.0, 200);
        assert_eq!(call(&guarded, "DELETE", &request).await.0, 200);
    }
    let request = Request::put("/").body(Full::new(bytes::Bytes::from_static(b"\xff"))).unwrap();
    assert_eq!(guarded.oneshot(request).await.unwrap().status(), 400);
}

/// The lines of the builder, and those of the `log` crate, follow the levels.
#[test]
fn lines_follow_a_change() {
    let lines = printed("log_level::lines_follow_a_change", || {
        let telemetry = nothing_exported().with_log_lines(LogFormat::Pretty).build().unwrap();
        let level = telemetry.log_level();
        let log = |when: &str| {
            tracing::debug!(target: "shop", "tracing {when}");
            log::debug!(target: "shop", "log {when}");
        };
        log("before");
        level.set("shop=debug", LONG).unwrap();
        log("during");
        level.reset();
        log("between");
        level.set("debug", Duration::from_millis(1)).unwrap();
        wait_for_the_end(&level);
        log("after");
        drop(telemetry);
    });
    let Some(lines) = lines else { return };
    let debug: Vec<_> = lines.iter().filter(|line| line.contains("DEBUG")).collect();
    assert_eq!(debug.len(), 2, "{lines:#?}");
    assert!(debug[0].ends_with("shop: tracing during") && debug[1].ends_with("shop: log during"));
    line_with(&lines, "WARN tower_telemetry: the log levels are info,shop=debug for 60 s");
    line_with(&lines, "WARN tower_telemetry: the log levels are info,debug for 1ms");
    let ends = lines.iter().filter(|line| line.ends_with("the log levels are info again"));
    assert_eq!(ends.count(), 2);
}

#[test]
fn without_lines_there_is_nothing_to_change() {
    let telemetry = builder(&[("OTEL_SDK_DISABLED", "true")]).build().unwrap();
    let error = telemetry.log_level().set("debug", LONG).unwrap_err();
    assert!(error.to_string().contains("call `with_log_lines`"), "{error}");
}
