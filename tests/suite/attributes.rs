//! Every attribute is recorded with the right type if its condition holds, and only then.

use futures_util::FutureExt;
use http::{HeaderName, Request, Response, StatusCode, Version};
use opentelemetry::KeyValue;
use tower::{Layer, ServiceExt, service_fn};
use tower_telemetry::{Client, Convention, HttpScheme, Server, SpanObserver, TrustedProxies};

use crate::support::{AnyConvention, Telemetry, strings};

/// Serves one request, and compares the name and the attributes of its span with the expected ones.
#[track_caller]
fn check(
    convention: impl Into<AnyConvention>,
    request: http::request::Builder,
    status: u16,
    name: &str,
    expected: &[(&str, &str)],
) {
    let telemetry = Telemetry::new();
    let service = service_fn(move |_: Request<()>| async move {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for value in ["a", "b"] {
            response.headers_mut().append("x-answer", value.parse().unwrap());
        }
        response.headers_mut().insert("set-cookie", "sid=1".parse().unwrap());
        Ok::<_, std::convert::Infallible>(response)
    });
    let service = telemetry.span(convention).layer(service);
    service.oneshot(request.body(()).unwrap()).now_or_never().unwrap().unwrap();
    let span = &telemetry.spans()[0];
    assert_eq!(span.name, name);
    let expected: Vec<_> = expected.iter().map(|(k, v)| (*k, typed(v))).collect();
    let attributes = strings(span.attributes.iter());
    let mut attributes: Vec<_> = attributes.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    let mut expected = expected;
    attributes.sort();
    expected.sort();
    assert_eq!(attributes, expected);
    assert!(attributes.iter().all(|(_, value)| value != "String((\"\"))"), "an attribute is empty");
}

/// Converts an expected value: `7` is an integer, `[a, b]` an array of strings, and anything else a
/// string.
fn typed(value: &str) -> String {
    let string = |value: &str| format!("({value:?})");
    if let Some(list) = value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        let list: Vec<_> = list.split(", ").map(string).collect();
        format!("Array(String([{}]))", list.join(", "))
    } else if value.parse::<i64>().is_ok() && !value.starts_with('+') {
        format!("I64({value})")
    } else {
        format!("String({})", string(value.trim_start_matches('\'')))
    }
}

fn server() -> Convention<Server> {
    Convention::server()
}

fn client() -> Convention<Client> {
    Convention::client()
}

#[test]
fn attributes_of_servers() {
    check(
        server(),
        Request::get("/"),
        200,
        "GET",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "200"),
        ],
    );
    let request = Request::post("/search?q=OpenTelemetry&sig=s3cret")
        .header("host", "example.com:8080")
        .header("user-agent", "curl/8");
    check(
        server().with_scheme(HttpScheme::Https),
        request,
        503,
        "POST",
        &[
            ("http.request.method", "POST"),
            ("url.path", "/search"),
            ("url.query", "q=OpenTelemetry&sig=REDACTED"),
            ("url.scheme", "https"),
            ("server.address", "example.com"),
            ("server.port", "8080"),
            ("user_agent.original", "curl/8"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "503"),
            ("error.type", "'503"),
        ],
    );
    // HTTP/2: the authority is in the URI. Its scheme is the caller's choice.
    let request = Request::get("https://[2001:db8::1]:8443/a%20b?").version(Version::HTTP_2);
    check(
        server(),
        request,
        404,
        "GET",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/a%20b"),
            ("url.scheme", "http"),
            ("server.address", "2001:db8::1"),
            ("server.port", "8443"),
            ("network.protocol.version", "'2"),
            ("http.response.status_code", "404"),
        ],
    );
    // The caller's scheme is ignored if it is neither `http` nor `https`.
    check(
        server(),
        Request::get("evil://example.com/").version(Version::HTTP_2),
        200,
        "GET",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("server.address", "example.com"),
            ("network.protocol.version", "'2"),
            ("http.response.status_code", "200"),
        ],
    );
    for (version, expected) in [
        (Version::HTTP_09, Some("'0.9")),
        (Version::HTTP_10, Some("'1.0")),
        (Version::HTTP_3, Some("'3")),
    ] {
        let mut attributes = vec![
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("http.response.status_code", "200"),
        ];
        attributes.extend(expected.map(|version| ("network.protocol.version", version)));
        check(server(), Request::get("/").version(version), 200, "GET", &attributes);
    }
}

#[test]
fn attributes_of_methods() {
    let attributes = |method: &'static str, original: Option<&'static str>| {
        let mut attributes = vec![
            ("http.request.method", method),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "200"),
        ];
        attributes.extend(original.map(|original| ("http.request.method_original", original)));
        attributes
    };
    let request = |method| Request::builder().method(method).uri("/");
    check(server(), request("QUERY"), 200, "QUERY", &attributes("QUERY", None));
    check(server(), request("get"), 200, "HTTP", &attributes("_OTHER", Some("get")));
    check(server(), request("PROPFIND"), 200, "HTTP", &attributes("_OTHER", Some("PROPFIND")));
    let dav = server().with_known_methods(["PROPFIND".parse().unwrap()]);
    check(dav.clone(), request("PROPFIND"), 200, "PROPFIND", &attributes("PROPFIND", None));
    check(dav, request("GET"), 200, "HTTP", &attributes("_OTHER", Some("GET")));
    // On a server, CONNECT names an authority and OPTIONS may name no path.
    check(
        server(),
        Request::builder().method("CONNECT").uri("example.com:443"),
        200,
        "CONNECT",
        &[
            ("http.request.method", "CONNECT"),
            ("url.scheme", "http"),
            ("server.address", "example.com"),
            ("server.port", "443"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "200"),
        ],
    );
    check(
        server(),
        Request::builder().method("OPTIONS").uri("*"),
        200,
        "OPTIONS",
        &[
            ("http.request.method", "OPTIONS"),
            ("url.path", "*"),
            ("url.scheme", "http"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "200"),
        ],
    );
}

#[test]
fn attributes_of_clients() {
    let rows = [
        (
            client(),
            Request::get("http://example.com/a?b=c"),
            "http://example.com/a?b=c",
            Some("example.com"),
            Some("80"),
        ),
        (
            client(),
            Request::get("https://example.com"),
            "https://example.com/",
            Some("example.com"),
            Some("443"),
        ),
        (
            client(),
            Request::get("https://[::1]:8443/"),
            "https://[::1]:8443/",
            Some("::1"),
            Some("8443"),
        ),
        (
            client(),
            Request::get("http://user:pass@example.com:81/?X-Amz-Signature=s"),
            "http://REDACTED:REDACTED@example.com:81/?X-Amz-Signature=REDACTED",
            Some("example.com"),
            Some("81"),
        ),
        (client(), Request::get("/a?b"), "/a?b", None, None),
        (
            client(),
            Request::get("/a").header("host", "example.com:81"),
            "//example.com:81/a",
            Some("example.com"),
            Some("81"),
        ),
        (
            client().with_origin("http://[::1]:50051".parse().unwrap()),
            Request::get("/a"),
            "http://[::1]:50051/a",
            Some("::1"),
            Some("50051"),
        ),
        (
            client().with_origin("https://example.com".parse().unwrap()),
            Request::get("/a?sig=s"),
            "https://example.com/a?sig=REDACTED",
            Some("example.com"),
            Some("443"),
        ),
        (
            client().with_origin("https://elsewhere".parse().unwrap()),
            Request::get("http://example.com/"),
            "http://example.com/",
            Some("example.com"),
            Some("80"),
        ),
        (
            client().with_unix_socket("/run/orders.sock"),
            Request::get("http://localhost:81/a"),
            "http://localhost:81/a",
            Some("/run/orders.sock"),
            None,
        ),
        (
            client().with_unix_socket("orders.sock"),
            Request::get("/a").header("host", "localhost"),
            "/a",
            Some("orders.sock"),
            None,
        ),
        (
            client().with_origin("https://u:p@example.com".parse().unwrap()),
            Request::get("/"),
            "https://example.com/",
            Some("example.com"),
            Some("443"),
        ),
    ];
    for (convention, request, url, address, port) in rows {
        let mut attributes = vec![
            ("http.request.method", "GET"),
            ("url.full", url),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "404"),
            ("error.type", "'404"),
        ];
        attributes.extend(address.map(|address| ("server.address", address)));
        attributes.extend(port.map(|port| ("server.port", port)));
        check(convention, request, 404, "GET", &attributes);
    }
}

#[test]
fn only_listed_headers_are_captured() {
    let request = Request::get("/")
        .header("x-tenant", "one")
        .header("x-tenant", "two")
        .header("authorization", "Bearer s3cret")
        .header("cookie", "sid=1")
        .header("accept", "*/*");
    let convention = server()
        .with_request_headers([
            HeaderName::from_static("x-tenant"),
            HeaderName::from_static("authorization"),
            HeaderName::from_static("cookie"),
            HeaderName::from_static("x-missing"),
        ])
        .with_response_headers([
            HeaderName::from_static("x-answer"),
            HeaderName::from_static("set-cookie"),
        ]);
    check(
        convention,
        request,
        200,
        "GET",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "200"),
            ("http.request.header.x-tenant", "[one, two]"),
            ("http.request.header.authorization", "[REDACTED]"),
            ("http.request.header.cookie", "[REDACTED]"),
            ("http.response.header.x-answer", "[a, b]"),
            ("http.response.header.set-cookie", "[REDACTED]"),
        ],
    );
}

#[test]
fn a_list_of_sensitive_parameters_replaces_the_default() {
    let convention = server().with_sensitive_query_parameters(["token"]);
    check(
        convention,
        Request::get("/?token=s3cret&sig=kept"),
        200,
        "GET",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.query", "token=REDACTED&sig=kept"),
            ("url.scheme", "http"),
            ("network.protocol.version", "'1.1"),
            ("http.response.status_code", "200"),
        ],
    );
}

#[test]
fn attributes_of_peers_and_proxies() {
    let peer = |_: &http::request::Parts| Some("10.0.0.1:4711".parse().unwrap());
    let forwarded = || {
        Request::get("/")
            .header("host", "internal")
            .header("x-forwarded-for", "6.6.6.6, 203.0.113.9")
            .header("x-forwarded-host", "shop.example.com")
            .header("x-forwarded-proto", "https")
    };
    let common = [
        ("http.request.method", "GET"),
        ("url.path", "/"),
        ("network.protocol.version", "'1.1"),
        ("http.response.status_code", "200"),
        ("network.peer.address", "10.0.0.1"),
        ("network.peer.port", "4711"),
    ];
    let mut untrusted = common.to_vec();
    untrusted.extend([
        ("client.address", "10.0.0.1"),
        ("server.address", "internal"),
        ("url.scheme", "http"),
    ]);
    check(server().with_peer(peer), forwarded(), 200, "GET", &untrusted);
    let mut trusted = common.to_vec();
    trusted.extend([
        ("client.address", "203.0.113.9"),
        ("server.address", "shop.example.com"),
        ("url.scheme", "https"),
    ]);
    for proxies in
        [TrustedProxies::count(1), TrustedProxies::matching(|ip| ip.to_string().starts_with("10."))]
    {
        let convention = server().with_peer(peer).with_trusted_proxies(proxies);
        check(convention, forwarded(), 200, "GET", &trusted);
    }
}

#[test]
fn samplers_see_the_attributes_that_they_decide_by() {
    use opentelemetry::{
        Context,
        trace::{Link, SpanKind, TraceId, TraceState},
    };
    use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl ShouldSample for Seen {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            name: &str,
            _: &SpanKind,
            attributes: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            let mut seen = self.0.lock().unwrap();
            seen.push(name.to_owned());
            seen.extend(attributes.iter().map(|kv| kv.key.to_string()));
            SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::NONE,
            }
        }
    }

    let check = |convention: AnyConvention, request: Request<()>, expected: &[&str]| {
        let seen = Seen::default();
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
            .with_sampler(seen.clone())
            .build();
        let layer = convention.layer::<SpanObserver>().with_tracer_provider(&provider);
        let service = layer.layer(service_fn(crate::support::hello));
        service.oneshot(request).now_or_never().unwrap().unwrap();
        let seen = seen.0.lock().unwrap();
        for expected in expected {
            assert!(seen.iter().any(|seen| seen == expected), "{expected} in {seen:?}");
        }
    };
    let request = |uri| {
        Request::get(uri).header("user-agent", "curl").header("x-tenant", "one").body(()).unwrap()
    };
    let convention = server()
        .with_peer(|_| Some("10.0.0.1:1".parse().unwrap()))
        .with_route(|_| Some(tower_telemetry::Route::new("/a")))
        .with_request_headers([HeaderName::from_static("x-tenant")])
        .with_request_attributes(|_| vec![KeyValue::new("of.request", true)]);
    check(
        convention.into(),
        request("http://example.com:80/a?b"),
        &[
            "GET /a",
            "client.address",
            "http.request.header.x-tenant",
            "http.request.method",
            "http.route",
            "of.request",
            "server.address",
            "server.port",
            "url.path",
            "url.query",
            "url.scheme",
            "user_agent.original",
        ],
    );
    check(
        client().into(),
        request("http://example.com/a?b"),
        &["GET", "http.request.method", "server.address", "server.port", "url.full"],
    );
}

/// The environment variable replaces the whole list, but only if the convention reads the
/// environment.
#[test]
fn known_methods_are_read_from_the_environment_on_request() {
    const CHILD: &str = "TOWER_TELEMETRY_TEST_CHILD";
    if let Ok(expected) = std::env::var(CHILD) {
        let (method, recorded) = expected.split_once('=').unwrap();
        let (convention, recorded) = match recorded {
            "plain" => (server(), method),
            _ => (server().with_known_methods_from_env(), recorded),
        };
        let telemetry = Telemetry::new();
        let service = telemetry.metrics(convention).layer(service_fn(crate::support::hello));
        let request = Request::builder().method(method).body(()).unwrap();
        service.oneshot(request).now_or_never().unwrap().unwrap();
        let recorded = format!("String(({recorded:?}))");
        assert_eq!(telemetry.duration().labels["http.request.method"], recorded);
        return;
    }
    for (variable, expected) in [
        ("GET, PROPFIND,", "PROPFIND=PROPFIND"),
        ("GET,PROPFIND", "GET=GET"),
        ("GET,PROPFIND", "POST=_OTHER"),
        ("get", "GET=_OTHER"),
        ("PROPFIND", "GET=plain"),
        ("", "GET=GET"),
        (" ", "QUERY=QUERY"),
    ] {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "attributes::known_methods_are_read_from_the_environment_on_request"])
            .env("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", variable)
            .env(CHILD, expected)
            .output()
            .unwrap();
        assert!(child.status.success(), "{variable:?} {expected}: {child:?}");
        assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{child:?}");
    }
}
