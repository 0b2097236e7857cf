//! Units: from UCUM's codes to Prometheus' words.

use std::borrow::Cow;

/// Returns the suffix for a metric with this unit.
///
/// `By/s` becomes `bytes_per_second`. A code that is not in the table, such as `kWh`, stays as it
/// is. Returns None for the unit `1` and for annotations (`{request}`).
pub(super) fn suffix(unit: &str) -> Option<String> {
    let unit = without_annotations(unit);
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main.trim(), per.trim()),
        None => (unit.trim(), ""),
    };
    let main = match main {
        "1" => String::new(),
        code => clean(word(code).unwrap_or(code)),
    };
    let per = clean(word_after_per(per).unwrap_or(per));
    match (main.is_empty(), per.is_empty()) {
        (true, true) => None,
        (false, true) => Some(main),
        (true, false) => Some(format!("per_{per}")),
        (false, false) => Some(format!("{main}_per_{per}")),
    }
}

/// Returns true if the unit is that of a ratio, which is a suffix of gauges only.
pub(super) fn is_ratio(unit: &str) -> bool {
    without_annotations(unit).trim() == "1"
}

fn without_annotations(unit: &str) -> Cow<'_, str> {
    if !unit.contains('{') {
        return Cow::Borrowed(unit);
    }
    let mut depth = 0_usize;
    let outside = |c: &char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    Cow::Owned(unit.chars().filter(outside).collect())
}

/// Replaces characters that a name cannot have.
fn clean(word: &str) -> String {
    let parts = word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
}

/// The words of the Collector and of Prometheus' OTLP receiver, so that a metric has the same name
/// whichever way it takes.
fn word(code: &str) -> Option<&'static str> {
    Some(match code {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",

        "By" | "B" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tebibytes",
        "kBy" | "KBy" | "KB" => "kilobytes",
        "MBy" | "MB" => "megabytes",
        "GBy" | "GB" => "gigabytes",
        "TBy" | "TB" => "terabytes",

        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",

        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        _ => return None,
    })
}

fn word_after_per(code: &str) -> Option<&'static str> {
    Some(match code {
        "s" => "second",
        // Not UCUM's metre: the Collector and Prometheus read a minute here.
        "m" | "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" | "wk" => "week",
        "mo" => "month",
        "y" | "a" => "year",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes() {
        for (unit, expected) in [
            ("", None),
            ("s", Some("seconds")),
            ("ms", Some("milliseconds")),
            ("us", Some("microseconds")),
            ("ns", Some("nanoseconds")),
            ("min", Some("minutes")),
            ("h", Some("hours")),
            ("d", Some("days")),
            ("By", Some("bytes")),
            ("kBy", Some("kilobytes")),
            ("KiBy", Some("kibibytes")),
            ("TiBy", Some("tebibytes")),
            ("%", Some("percent")),
            ("Cel", Some("celsius")),
            ("Hz", Some("hertz")),
            // Per.
            ("m/s", Some("meters_per_second")),
            ("By/s", Some("bytes_per_second")),
            ("1/s", Some("per_second")),
            ("/s", Some("per_second")),
            ("1/min", Some("per_minute")),
            ("{request}/s", Some("per_second")),
            ("s/{request}", Some("seconds")),
            ("m/s2", Some("meters_per_s2")),
            ("packets/foo", Some("packets_per_foo")),
            ("m/s/s", Some("meters_per_s_s")),
            // Without a dimension.
            ("1", None),
            ("{request}", None),
            ("1{request}", None),
            ("By{transferred}", Some("bytes")),
            ("{unbalanced", None),
            ("unbalanced}", Some("unbalanced")),
            ("{{a}b}s", Some("seconds")),
            // Not in the table.
            ("kWh", Some("kWh")),
            ("seconds", Some("seconds")),
            ("packets", Some("packets")),
            ("a b__c", Some("a_b_c")),
            ("10*3", Some("10_3")),
            ("/", None),
            ("[]", None),
        ] {
            assert_eq!(suffix(unit).as_deref(), expected, "{unit:?}");
        }
    }

    #[test]
    fn ratios() {
        for (unit, expected) in
            [("1", true), ("1{hit}", true), ("{hit}", false), ("1/s", false), ("", false)]
        {
            assert_eq!(is_ratio(unit), expected, "{unit:?}");
        }
    }
}
