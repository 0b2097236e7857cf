//! Reads the answers of receivers.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose};
use http::{HeaderMap, header::RETRY_AFTER};
use prost::Message;
use serde_json::Value;

/// The answer of a receiver that took a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    /// The number of items that the receiver rejected: OTLP's partial success.
    pub(crate) rejected: u64,
    /// The receiver's reason, or its warning if it rejected nothing.
    pub(crate) message: String,
}

impl Answer {
    /// Reads a protobuf body. A body that is none counts as an empty one: the status says that the
    /// receiver took the request.
    pub(super) fn of_protobuf(body: &[u8]) -> Self {
        let success = Accepted::decode(body).ok().and_then(|accepted| accepted.partial_success);
        let success = success.unwrap_or_default();
        Self { rejected: u64::try_from(success.rejected).unwrap_or(0), message: success.message }
    }

    /// Reads a JSON body, in which a 64-bit number may be a string.
    pub(super) fn of_json(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let success = &body["partialSuccess"];
        let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
            .into_iter()
            .find_map(|name| match &success[name] {
                Value::String(text) => text.parse().ok(),
                other => other.as_u64(),
            });
        let message = success["errorMessage"].as_str().unwrap_or_default().to_owned();
        Self { rejected: rejected.unwrap_or(0), message }
    }
}

/// Returns the message of a `google.rpc.Status`, the body of a refusal. Other bodies, such as the
/// page of a proxy, have none.
pub(super) fn status_message(body: &[u8], is_json: bool) -> String {
    if is_json {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        return body["message"].as_str().unwrap_or_default().to_owned();
    }
    Status::decode(body).map(|status| status.message).unwrap_or_default()
}

/// Reads `Retry-After`: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Reads the `RetryInfo` in `grpc-status-details-bin`.
pub(super) fn retry_info(headers: &HeaderMap) -> Option<Duration> {
    const TYPE: &str = "/google.rpc.RetryInfo";
    // gRPC allows both, with padding and without.
    const BASE64: general_purpose::GeneralPurpose = general_purpose::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        general_purpose::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );

    let details = BASE64.decode(headers.get("grpc-status-details-bin")?.as_bytes()).ok()?;
    let status = Status::decode(&*details).ok()?;
    let detail = status.details.iter().find(|detail| detail.type_url.ends_with(TYPE))?;
    let delay = RetryInfo::decode(&*detail.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

/// `ExportTraceServiceResponse`, which has the same shape for each signal.
#[derive(Clone, PartialEq, Message)]
struct Accepted {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Each of the formats of `Retry-After`, and what is none of them.
    #[test]
    fn pauses_of_http() {
        let in_a_minute = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let rows = [
            ("7", Some(7..=7)),
            (" 7 ", Some(7..=7)),
            ("18446744073709551615", Some(u64::MAX..=u64::MAX)),
            (&in_a_minute, Some(58..=60)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0..=0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            let pause = retry_after(&headers).map(|pause| pause.as_secs());
            let is_expected = match (pause, &expected) {
                (Some(pause), Some(expected)) => expected.contains(&pause),
                (None, None) => true,
                _ => false,
            };
            assert!(is_expected, "{value:?}: {pause:?}");
        }
    }

    /// Bodies and details that are not what they should be are ignored.
    #[test]
    fn bad_answers_are_ignored() {
        for body in [&b"<html>"[..], &[0xff; 32], b"{\"partialSuccess\":7}", b""] {
            assert_eq!(Answer::of_protobuf(body), Answer::default(), "{body:?}");
            assert_eq!(Answer::of_json(body), Answer::default(), "{body:?}");
            assert_eq!(status_message(body, true), "");
        }
        let json = |rejected: &str| {
            let body = format!(r#"{{"partialSuccess":{{"rejectedDataPoints":{rejected}}}}}"#);
            Answer::of_json(body.as_bytes()).rejected
        };
        assert_eq!((json("3"), json("\"4\""), json("-5"), json("\"x\"")), (3, 4, 0, 0));
        let negative = Accepted {
            partial_success: Some(PartialSuccess { rejected: -1, message: String::new() }),
        };
        assert_eq!(Answer::of_protobuf(&negative.encode_to_vec()).rejected, 0);
        for details in ["", "%", "AAAA", "CAESAA=="] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status-details-bin", HeaderValue::from_str(details).unwrap());
            assert_eq!(retry_info(&headers), None, "{details:?}");
        }
    }
}
