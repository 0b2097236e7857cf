//! Malformed input causes no panic and no made-up attribute, and the request is served.

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_telemetry::{Convention, TrustedProxies};

use crate::support::{AnyConvention, Telemetry, attribute, hello};

/// Serves a request, and returns the span and the labels of the metrics as text.
fn serve(
    convention: impl Into<AnyConvention>,
    request: Request<()>,
) -> (opentelemetry_sdk::trace::SpanData, String) {
    let telemetry = Telemetry::new();
    let service = telemetry.stack(convention).layer(service_fn(hello));
    let response = service.oneshot(request).now_or_never().unwrap().unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    let labels = telemetry.points().iter().map(|point| format!("{:?}", point.labels)).collect();
    (telemetry.spans().remove(0), labels)
}

fn raw(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap()
}

#[test]
fn malformed_values_are_not_recorded() {
    let trusting = || Convention::server().with_trusted_proxies(TrustedProxies::count(1));
    let garbage: &[&[u8]] =
        &[b"", b"\xff\xfe", b"[", b"]", b"[::1", b"a b", b":80", b"h:99999", b"\"", b",,,", b";=;"];
    for value in garbage {
        let mut request = Request::get("/%zz%/%?%=&&sig").body(()).unwrap();
        for name in
            ["host", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
        {
            request.headers_mut().insert(HeaderName::from_static(name), raw(value));
        }
        let (span, _) = serve(trusting(), request);
        for key in ["server.address", "server.port", "client.address"] {
            assert_eq!(attribute(&span, key), None, "{key} of {value:?}");
        }
        assert_eq!(attribute(&span, "url.scheme").as_deref(), Some("http"));
        assert_eq!(attribute(&span, "url.path").as_deref(), Some("/%zz%/%"));
    }
    // Values that are not UTF-8 are not recorded. Non-ASCII text is.
    for (agent, expected) in [(&b"\xff"[..], None), ("caf\u{e9}".as_bytes(), Some("caf\u{e9}"))] {
        let mut request = Request::get("/").body(()).unwrap();
        request.headers_mut().insert("user-agent", raw(agent));
        request.headers_mut().insert("x-other", raw(agent));
        let (span, _) = serve(
            Convention::server().with_request_headers([HeaderName::from_static("x-other")]),
            request,
        );
        assert_eq!(attribute(&span, "user_agent.original").as_deref(), expected);
        assert_eq!(attribute(&span, "http.request.header.x-other").is_some(), expected.is_some());
    }
}

#[test]
fn long_values_are_truncated() {
    let long = "x".repeat(64 * 1024 - 1);
    let path = "p".repeat(30 * 1024);
    let request = |method: &str| {
        let uri = format!("http://{}.example/{path}?{path}", "h".repeat(2000));
        let request = Request::builder().method(method).uri(uri);
        request.header("user-agent", &long).header("x-long", &long).body(()).unwrap()
    };
    let name = [HeaderName::from_static("x-long")];
    let server = Convention::server().with_request_headers(name.clone());
    let client = Convention::client().with_request_headers(name);
    let rows: [(usize, AnyConvention); 5] = [
        (1024, server.clone().into()),
        (10, server.clone().with_value_limit(10).into()),
        (4, server.with_value_limit(0).into()),
        (1024, client.clone().into()),
        (10, client.with_value_limit(10).into()),
    ];
    for (limit, convention) in rows {
        let (span, _) = serve(convention, request(&"M".repeat(3000)));
        let longest = span.attributes.iter().map(|kv| kv.value.as_str().len()).max().unwrap();
        // Quotes and brackets belong to the printed form of an array.
        assert!(longest <= limit.max("_OTHER".len()) + 4, "{longest} for {limit}");
    }
}

#[test]
fn values_that_callers_choose_are_not_labels_on_a_server() {
    let mut request = Request::builder()
        .method("HOSTILE")
        .uri("hostile://hostile:1/hostile?hostile")
        .version(http::Version::HTTP_2)
        .body(())
        .unwrap();
    for name in ["host", "user-agent", "forwarded", "x-forwarded-proto", "x-forwarded-host", "te"] {
        let name = HeaderName::from_static(name);
        request.headers_mut().insert(name, HeaderValue::from_static("hostile"));
    }
    let convention = Convention::server().with_trusted_proxies(TrustedProxies::count(1));
    let (_, labels) = serve(convention, request);
    assert!(!labels.to_lowercase().contains("hostile"), "{labels}");
}

fn header_value() -> impl Strategy<Value = HeaderValue> {
    let bytes = prop::collection::vec(prop_oneof![32..=126u8, 128..=255u8, Just(b'\t')], 0..64);
    let shaped = "(for=|host=|proto=|\"|\\[|\\]|:|,|;|\\\\|[0-9a-f.]{0,4}|%[0-9a-f]{0,2}){0,12}";
    prop_oneof![
        bytes.prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap()),
        shaped.prop_map(|text| HeaderValue::from_str(&text).unwrap()),
    ]
}

fn head() -> impl Strategy<Value = Request<()>> {
    const NAMES: [&str; 9] = [
        "host",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "user-agent",
        "content-length",
        "traceparent",
        "baggage",
    ];
    let headers = prop::collection::vec((prop::sample::select(&NAMES[..]), header_value()), 0..8);
    let uri = prop_oneof![
        "/[a-zA-Z0-9%/._~-]{0,20}(\\?[a-zA-Z0-9%=&._~-]{0,30})?",
        "(http|https|x)://([a-z]{1,3}(:[a-z%]{0,3})?@)?([a-z.]{1,9}|\\[::1\\])(:[0-9]{0,4})?/[a-z%]{0,5}(\\?[a-zA-Z%=&]{0,20})?",
        "[a-z]{1,9}:[0-9]{1,4}",
    ];
    let version = prop::sample::select(vec![
        http::Version::HTTP_10,
        http::Version::HTTP_11,
        http::Version::HTTP_2,
    ]);
    ("[A-Z]{1,8}|[!-~&&[^\"(),/:;<=>?@\\[\\]{}\\\\]]{1,8}", uri, version, headers).prop_filter_map(
        "a request that http allows",
        |(method, uri, version, headers)| {
            let mut request = Request::builder()
                .method(method.as_str())
                .uri(uri)
                .version(version)
                .body(())
                .ok()?;
            for (name, value) in headers {
                request.headers_mut().append(HeaderName::from_static(name), value);
            }
            Some(request)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_head_is_served(request in head(), hops in 0..3usize, is_client: bool) {
        let names = [HeaderName::from_static("host"), HeaderName::from_static("forwarded")];
        let convention: AnyConvention = match is_client {
            true => Convention::client().with_request_headers(names).into(),
            false => Convention::server()
                .with_trusted_proxies(TrustedProxies::count(hops))
                .with_request_headers(names)
                .into(),
        };
        let (span, labels) = serve(convention, request);
        prop_assert!(span.attributes.iter().all(|kv| !kv.value.as_str().is_empty()));
        prop_assert!(span.attributes.iter().all(|kv| kv.value.as_str().len() < 2048));
        let keys: std::collections::BTreeSet<_> = span.attributes.iter().map(|kv| &kv.key).collect();
        prop_assert_eq!(keys.len(), span.attributes.len(), "a key occurs twice");
        prop_assert!(!labels.contains("String((\"\"))"));
    }

    #[test]
    fn credentials_are_redacted(
        secret in "s3cret[a-zA-Z0-9]{8,20}",
        user in "[a-z]{1,5}",
        before in "([a-z]{1,3}=[a-z]{0,3}&){0,3}",
        key in prop::sample::select(&["sig", "Signature", "%73ig", "X-Amz-Signature"][..]),
        is_client: bool,
    ) {
        let uri = format!("https://{user}:{secret}@example.com/?{before}{key}={secret}&z=1");
        let request = Request::get(uri)
            .header("authorization", &secret)
            .header("cookie", &secret)
            .body(())
            .unwrap();
        let names = [HeaderName::from_static("authorization"), HeaderName::from_static("cookie")];
        let convention: AnyConvention = match is_client {
            true => Convention::client().with_request_headers(names).into(),
            false => Convention::server().with_request_headers(names).into(),
        };
        let (span, labels) = serve(convention, request);
        prop_assert!(!format!("{span:?}{labels}").contains("s3cret"), "{:?}", span);
    }
}
