//! Format and encoding that a request asks for (RFC 9110, sections 12.4.2, 12.5.1 and 12.5.3).

use http::{HeaderMap, HeaderName, header};

use super::number::Format;
use crate::quoted::split_outside_quotes;

/// Returns OpenMetrics if the request prefers it, or likes both alike. A request that accepts
/// anything gets the text format, which every reader understands.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let (mut open_metrics, mut text) = (0, 0);
    each_choice(headers, &header::ACCEPT, |media_type, quality, parameters| {
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            let version = parameters
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("version"))
                .map(|(_, version)| version.trim_matches('"'));
            // 0.0.1 is the same format before it was a standard.
            if matches!(version, None | Some("1.0.0" | "0.0.1")) {
                open_metrics = open_metrics.max(quality);
            }
        } else if ["text/plain", "text/*", "*/*"].iter().any(|t| media_type.eq_ignore_ascii_case(t))
        {
            text = text.max(quality);
        }
    });
    if open_metrics > 0 && open_metrics >= text { Format::OpenMetrics } else { Format::Text }
}

/// Returns true if the request accepts gzip, and does not prefer no encoding at all.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    each_choice(headers, &header::ACCEPT_ENCODING, |coding, quality, _| {
        let choice = match coding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => return,
        };
        *choice = Some(quality.max(choice.unwrap_or(0)));
    });
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// Calls with each choice of a list, its quality in thousandths, and its other parameters. A choice
/// with an invalid quality is left out.
fn each_choice(
    headers: &HeaderMap,
    name: &HeaderName,
    mut visit: impl FnMut(&str, u16, &[(&str, &str)]),
) {
    for list in headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
        for choice in split_outside_quotes(list, ',') {
            let mut parts = split_outside_quotes(choice, ';').map(str::trim);
            let value = parts.next().unwrap_or_default();
            let parameters: Vec<_> = parts
                .filter_map(|parameter| parameter.split_once('='))
                .map(|(name, value)| (name.trim(), value.trim()))
                .collect();
            let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
            let quality = quality.map_or(Some(1000), |(_, quality)| thousandths(quality));
            if let Some(quality) = quality
                && !value.is_empty()
            {
                visit(value, quality, &parameters);
            }
        }
    }
}

/// Parses a quality, such as `0.5` or `1`, to thousandths. Returns None if it is invalid: more than
/// three digits after the point, or a value above 1.
fn thousandths(quality: &str) -> Option<u16> {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (None, Format::Text),
            (Some(prometheus_2), Format::OpenMetrics),
            (Some(prometheus_3), Format::OpenMetrics),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("APPLICATION/OPENMETRICS-TEXT; Version=\"1.0.0\""), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("application/openmetrics-text;version=2.0.0"), Format::Text),
            (Some("application/openmetrics-text;q=0.5, text/plain"), Format::Text),
            (Some("application/openmetrics-text;q=0.5, text/plain;q=0.5"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0.501, text/*;q=0.502"), Format::Text),
            (Some("application/openmetrics-text;q=nonsense"), Format::Text),
            (Some("a/b;x=\",application/openmetrics-text\""), Format::Text),
            (Some("a/b;x=\"\\\",\", application/openmetrics-text"), Format::OpenMetrics),
            (Some("text/plain"), Format::Text),
            (Some("*/*"), Format::Text),
            (Some(",;=,"), Format::Text),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(format(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn encodings() {
        for (accept, expected) in [
            (vec![], false),
            (vec!["gzip"], true),
            (vec!["GZIP"], true),
            (vec!["x-gzip"], true),
            (vec!["deflate, gzip;q=1.0, *;q=0.5"], true),
            (vec!["deflate", "gzip"], true),
            (vec!["*"], true),
            (vec!["*;q=0"], false),
            (vec!["gzip;q=0"], false),
            (vec!["gzip;q=0.000, *"], false),
            (vec!["gzip; Q=0.001"], true),
            (vec!["gzip;q=0.5, identity"], false),
            (vec!["gzip;q=0.5, identity;q=0.5"], true),
            (vec!["identity;q=0, gzip;q=0.1"], true),
            (vec!["identity"], false),
            (vec!["br, zstd"], false),
            (vec!["gzipped"], false),
            (vec!["gzip;q=2"], false),
            (vec![""], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in &accept {
                headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(accepts_gzip(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn qualities() {
        for (quality, expected) in [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.999", Some(999)),
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("1.001", None),
            ("0.1234", None),
            ("2", None),
            ("", None),
            (".5", None),
            ("-0", None),
            ("0.+1", None),
            ("1e-1", None),
            ("NaN", None),
        ] {
            assert_eq!(thousandths(quality), expected, "{quality:?}");
        }
    }
}
