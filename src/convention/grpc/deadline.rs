//! `grpc-timeout`.

use std::time::Duration;

use http::HeaderMap;

/// Reads the deadline of a call.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(GRPC_TIMEOUT)?.to_str().ok()?)
}

/// Returns true if the deadline has passed. The clock of the other side started at another moment,
/// and an enforced deadline may fire a little early, so there is some tolerance.
pub(super) fn has_passed(deadline: Duration, elapsed: Duration) -> bool {
    elapsed + (deadline / 10).clamp(MIN_TOLERANCE, MAX_TOLERANCE) >= deadline
}

/// Parses at most eight digits and a unit.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 60 * 60),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

const GRPC_TIMEOUT: &str = "grpc-timeout";

const MIN_TOLERANCE: Duration = Duration::from_millis(2);
const MAX_TOLERANCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_timeouts() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("999999999S", None),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1\u{e9}", None),
        ] {
            assert_eq!(parse(value), expected, "{value:?}");
        }
    }
}
