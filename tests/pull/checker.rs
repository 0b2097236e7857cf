//! A strict reader of both formats: panics at the first fault.

use std::collections::{BTreeMap, HashSet};

/// Checks a whole answer, whose format its end tells, and returns the number of its series.
pub(crate) fn check(body: &str) -> usize {
    let (lines, is_open_metrics) = match body.strip_suffix("# EOF\n") {
        Some(lines) => (lines, true),
        None => (body, false),
    };
    let mut checker = Checker { is_open_metrics, ..Checker::default() };
    for line in lines.split_inclusive('\n') {
        let line = line.strip_suffix('\n').unwrap_or_else(|| panic!("an end of line: {line:?}"));
        match line.strip_prefix("# ") {
            Some(metadata) => checker.metadata(metadata),
            None => checker.sample(line),
        }
    }
    checker.end_of_family();
    checker.series.len()
}

#[derive(Default)]
struct Checker {
    is_open_metrics: bool,
    name: String,
    kind: String,
    has_unit: bool,
    has_help: bool,
    /// Names of families and samples so far.
    names: HashSet<String>,
    /// Samples of this family: their names, with their labels, and their values.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
    series: HashSet<(String, BTreeMap<String, String>)>,
}

impl Checker {
    fn metadata(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let (keyword, name, rest) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        if keyword == "TYPE" {
            self.end_of_family();
            assert!(is_metric_name(name), "{line}");
            let kinds: &[&str] = match self.is_open_metrics {
                true => &["counter", "gauge", "histogram", "info", "unknown"],
                false => &["counter", "gauge", "histogram"],
            };
            assert!(kinds.contains(&rest), "{line}");
            (self.name, self.kind) = (name.to_owned(), rest.to_owned());
            for suffix in self.reserved() {
                let name = format!("{name}{suffix}");
                assert!(self.names.insert(name), "the name is free: {line}{suffix}");
            }
            return;
        }
        assert_eq!(name, self.name, "the type comes first");
        assert!(self.samples.is_empty(), "{line}");
        let is_first = match keyword {
            "UNIT" => {
                assert!(self.is_open_metrics && name.ends_with(&format!("_{rest}")), "{line}");
                !std::mem::replace(&mut self.has_unit, true)
            }
            "HELP" => {
                unescaped(rest, if self.is_open_metrics { "\\n\"" } else { "\\n" });
                assert!(!self.is_open_metrics || !rest.replace("\\\"", "").contains('"'), "{line}");
                !std::mem::replace(&mut self.has_help, true)
            }
            _ => false,
        };
        assert!(is_first, "{line}");
    }

    fn reserved(&self) -> &'static [&'static str] {
        match (self.kind.as_str(), self.is_open_metrics) {
            ("counter", true) => &["", "_total", "_created"],
            ("histogram", true) => &["", "_bucket", "_count", "_sum", "_created"],
            ("histogram", false) => &["", "_bucket", "_count", "_sum"],
            ("info", true) => &["", "_info"],
            _ => &[""],
        }
    }

    fn sample(&mut self, line: &str) {
        let end = line.find(['{', ' ']).unwrap();
        let (name, rest) = line.split_at(end);
        assert!(is_metric_name(name), "{line}");
        let suffix =
            name.strip_prefix(&self.name).unwrap_or_else(|| panic!("{}: {line}", self.name));
        let suffixes: &[&str] = match (self.kind.as_str(), self.is_open_metrics) {
            ("counter", true) => &["_total", "_created"],
            ("histogram", true) => &["_bucket", "_count", "_sum", "_created"],
            ("histogram", false) => &["_bucket", "_count", "_sum"],
            ("info", true) => &["_info"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{} {}: {line}", self.name, self.kind);
        let (labels, value) = labels(rest);
        let number = number(value);
        if self.is_open_metrics && ["_total", "_bucket", "_count", "_sum"].contains(&suffix) {
            assert!(number >= 0.0, "{line}");
        }
        assert!(self.kind != "histogram" || (suffix == "_bucket") == labels.contains_key("le"));
        assert!(self.series.insert((name.to_owned(), labels.clone())), "no second one: {line}");
        self.samples.push((suffix.to_owned(), labels, number));
    }

    /// The buckets of each series ascend, and the last has all values.
    fn end_of_family(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        if self.kind == "histogram" {
            let mut done = HashSet::new();
            let without_bound = |labels: &BTreeMap<String, String>| {
                let mut labels = labels.clone();
                (labels.remove("le").map(|bound| number(&bound)), labels)
            };
            for series in samples.chunk_by(|a, b| without_bound(&a.1).1 == without_bound(&b.1).1) {
                assert!(done.insert(without_bound(&series[0].1).1), "together: {series:?}");
                let find = |suffix| series.iter().find(|(s, ..)| s == suffix).map(|(.., v)| *v);
                let buckets = series.iter().filter(|(suffix, ..)| suffix == "_bucket");
                let buckets: Vec<_> =
                    buckets.map(|(_, labels, v)| (without_bound(labels).0.unwrap(), *v)).collect();
                let ascend = |a: &(f64, f64), b: &(f64, f64)| a.0 < b.0 && a.1 <= b.1;
                assert!(buckets.is_sorted_by(ascend), "{series:?}");
                let (last, all) = *buckets.last().unwrap();
                assert_eq!(last, f64::INFINITY);
                assert!(find("_count").is_none_or(|count| count == all), "{series:?}");
                assert!(!(find("_sum").is_some() && buckets[0].0 < 0.0), "{series:?}");
                if self.is_open_metrics {
                    assert_eq!(find("_count").is_some(), find("_sum").is_some(), "{series:?}");
                }
            }
        }
        (self.has_unit, self.has_help) = (false, false);
    }
}

/// Reads the labels and the value after the name of a sample.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return (labels, text.strip_prefix(' ').unwrap());
    };
    loop {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(is_label_name(name) && !name.starts_with("__"), "{name:?}: {text}");
        let mut is_escaped = false;
        let end = value.find(|c| {
            let was_escaped = is_escaped;
            is_escaped = c == '\\' && !was_escaped;
            c == '"' && !was_escaped
        });
        let end = end.unwrap_or_else(|| panic!("an end of the label: {text}"));
        let value_text = unescaped(&value[..end], "\\n\"");
        assert!(!value_text.is_empty(), "empty labels are none: {text}");
        assert!(labels.insert(name.to_owned(), value_text).is_none(), "{name} once: {text}");
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (labels, rest.strip_prefix("} ").unwrap_or_else(|| panic!("{text}"))),
        }
    }
}

fn unescaped(text: &str, allowed: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.push(match c {
            '\\' => match characters.next().filter(|c| allowed.contains(*c)) {
                Some('n') => '\n',
                Some(c) => c,
                None => panic!("an escape: {text:?}"),
            },
            c => c,
        });
    }
    out
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => {
            assert!(text.bytes().all(|c| b"0123456789+-.e".contains(&c)), "a number: {text:?}");
            text.parse().unwrap()
        }
    }
}

fn is_metric_name(name: &str) -> bool {
    is_label_name(&name.replace(':', "_"))
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
