//! Numbers as the two formats write them.

use std::fmt::Write;

/// The two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// A measured value with its own precision: integers are written digit by digit, because an `f64`
/// is exact up to 2^53 only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Signed(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl Number {
    /// Returns true if a counter or a sum may have this value: neither negative nor NaN.
    pub(super) fn is_cumulative(self) -> bool {
        match self {
            Self::Unsigned(_) => true,
            Self::Signed(number) => number >= 0,
            Self::Float(number) => number >= 0.0,
        }
    }

    pub(super) fn write(self, format: Format, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match (self, format) {
            (Self::Unsigned(number), Format::Text) => write!(out, "{number}"),
            (Self::Unsigned(number), Format::OpenMetrics) => write!(out, "{number}.0"),
            (Self::Signed(number), Format::Text) => write!(out, "{number}"),
            (Self::Signed(number), Format::OpenMetrics) => write!(out, "{number}.0"),
            (Self::Float(number), _) => {
                float(number, format, out);
                Ok(())
            }
        };
    }
}

/// Writes a float. OpenMetrics prescribes the spelling of some boundaries, which is that of Go's
/// `%g`: `1.0`, `1e+06`, `1e-05`.
pub(super) fn float(number: f64, format: Format, out: &mut String) {
    let _ = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        let size = number.abs();
        let is_plain = size == 0.0 || (1e-4..1e6).contains(&size);
        match format {
            // `{:?}` switches to an exponent; `{}` writes up to 300 digits.
            Format::Text if number.fract() == 0.0 && size < 1e16 => write!(out, "{number}"),
            Format::Text => write!(out, "{number:?}"),
            Format::OpenMetrics if is_plain => write!(out, "{number:?}"),
            Format::OpenMetrics => exponent(number, out),
        }
    };
}

/// Writes an exponent with its sign and at least two digits.
fn exponent(number: f64, out: &mut String) -> std::fmt::Result {
    let start = out.len();
    write!(out, "{number:e}")?;
    let Some(at) = out[start..].find('e').map(|at| start + at + 1) else { return Ok(()) };
    let exponent = out.split_off(at);
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent.as_str()),
    };
    write!(out, "{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats() {
        for (number, text, open_metrics) in [
            (Number::Unsigned(0), "0", "0.0"),
            (Number::Unsigned(u64::MAX), "18446744073709551615", "18446744073709551615.0"),
            (Number::Unsigned((1 << 53) + 1), "9007199254740993", "9007199254740993.0"),
            (Number::Signed(i64::MIN), "-9223372036854775808", "-9223372036854775808.0"),
            (Number::Float(0.0), "0", "0.0"),
            (Number::Float(1.0), "1", "1.0"),
            (Number::Float(-2.5), "-2.5", "-2.5"),
            (Number::Float(0.005), "0.005", "0.005"),
            (Number::Float(0.0001), "0.0001", "0.0001"),
            (Number::Float(1e-5), "1e-5", "1e-05"),
            (Number::Float(1.5e-10), "1.5e-10", "1.5e-10"),
            (Number::Float(100_000.0), "100000", "100000.0"),
            (Number::Float(1e6), "1000000", "1e+06"),
            (Number::Float(12_345_678.5), "12345678.5", "1.23456785e+07"),
            (Number::Float(1e300), "1e300", "1e+300"),
            (
                Number::Float(f64::MIN_POSITIVE),
                "2.2250738585072014e-308",
                "2.2250738585072014e-308",
            ),
            (Number::Float(f64::INFINITY), "+Inf", "+Inf"),
            (Number::Float(f64::NEG_INFINITY), "-Inf", "-Inf"),
            (Number::Float(f64::NAN), "NaN", "NaN"),
        ] {
            for (format, expected) in [(Format::Text, text), (Format::OpenMetrics, open_metrics)] {
                let mut out = String::new();
                number.write(format, &mut out);
                assert_eq!(out, expected, "{number:?}, {format:?}");
            }
        }
    }

    #[test]
    fn cumulative() {
        for (number, expected) in [
            (Number::Unsigned(0), true),
            (Number::Signed(0), true),
            (Number::Signed(-1), false),
            (Number::Float(0.0), true),
            (Number::Float(-0.5), false),
            (Number::Float(f64::NAN), false),
            (Number::Float(f64::INFINITY), true),
        ] {
            assert_eq!(number.is_cumulative(), expected, "{number:?}");
        }
    }
}
