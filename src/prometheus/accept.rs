//! Which of two formats is asked for (RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

/// Whether OpenMetrics is asked for, and no less than the text format.
///
/// Who accepts all gets the text format, which everything reads.
pub(super) fn prefers_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open_metrics, mut text) = (0, 0);
    let ranges = headers.get_all(header::ACCEPT).iter();
    let ranges = ranges.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let Some(media_type) = parts.next() else { continue };
        let mut version = None;
        let mut quality = 1000;
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = thousandths(value.trim()),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            // 0.0.1 is the same format before it was a standard.
            if matches!(version, None | Some("1.0.0" | "0.0.1")) {
                open_metrics = open_metrics.max(quality);
            }
        } else if ["text/plain", "text/*", "*/*"].iter().any(|t| media_type.eq_ignore_ascii_case(t))
        {
            text = text.max(quality);
        }
    }
    open_metrics > 0 && open_metrics >= text
}

/// A quality from 0 to 1, in thousandths; what is none counts for nothing.
fn thousandths(quality: &str) -> u16 {
    let quality = quality.parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality));
    quality.map_or(0, |quality| (quality * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (None, false),
            (Some(prometheus), true),
            (Some("application/openmetrics-text"), true),
            (Some("APPLICATION/OPENMETRICS-TEXT; Version=\"1.0.0\""), true),
            (Some("application/openmetrics-text;q=0"), false),
            (Some("application/openmetrics-text;version=2.0.0"), false),
            (Some("application/openmetrics-text;q=0.5, text/plain"), false),
            (Some("application/openmetrics-text;q=0.5, text/plain;q=0.5"), true),
            (Some("application/openmetrics-text;q=nonsense"), false),
            (Some("text/plain"), false),
            (Some("*/*"), false),
            (Some(",;=,"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(prefers_open_metrics(&headers), expected, "{accept:?}");
        }
    }
}
