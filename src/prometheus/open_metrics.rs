//! OpenMetrics 1.0.0, of what the registry gathers. The `prometheus` crate writes the older format
//! alone.

use std::fmt::{self, Write};

use ::prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn encode(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = families.iter().try_for_each(|f| family(&mut text, f));
    text.push_str("# EOF\n");
    text.into_bytes()
}

fn family(text: &mut String, family: &MetricFamily) -> fmt::Result {
    let full_name = family.name();
    // A family's name has no suffix; its samples have.
    let (name, kind) = match family.get_field_type() {
        MetricType::COUNTER => (full_name.strip_suffix("_total").unwrap_or(full_name), "counter"),
        MetricType::HISTOGRAM => (full_name, "histogram"),
        MetricType::GAUGE if full_name == TARGET_INFO => ("target", "info"),
        MetricType::GAUGE => (full_name, "gauge"),
        MetricType::SUMMARY | MetricType::UNTYPED => (full_name, "unknown"),
    };
    writeln!(text, "# TYPE {name} {kind}")?;
    if !family.help().is_empty() {
        writeln!(text, "# HELP {name} {}", Escaped(family.help()))?;
    }
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match family.get_field_type() {
            MetricType::COUNTER => {
                let value = metric.get_counter().get_value();
                sample(text, name, "_total", labels, None, value)?;
            }
            MetricType::HISTOGRAM => histogram(text, name, metric)?,
            _ if kind == "info" => sample(text, name, "_info", labels, None, 1.0)?,
            _ => sample(text, name, "", labels, None, metric.get_gauge().get_value())?,
        }
    }
    Ok(())
}

fn histogram(text: &mut String, name: &str, metric: &Metric) -> fmt::Result {
    let labels = metric.get_label();
    let histogram = metric.get_histogram();
    for bucket in histogram.get_bucket() {
        let count = bucket.cumulative_count() as f64;
        sample(text, name, "_bucket", labels, Some(bucket.upper_bound()), count)?;
    }
    let count = histogram.get_sample_count() as f64;
    sample(text, name, "_bucket", labels, Some(f64::INFINITY), count)?;
    sample(text, name, "_count", labels, None, count)?;
    sample(text, name, "_sum", labels, None, histogram.get_sample_sum())
}

fn sample(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    upper_bound: Option<f64>,
    value: f64,
) -> fmt::Result {
    write!(text, "{name}{suffix}")?;
    let mut separator = '{';
    for label in labels {
        write!(text, "{separator}{}=\"{}\"", label.name(), Escaped(label.value()))?;
        separator = ',';
    }
    if let Some(bound) = upper_bound {
        write!(text, "{separator}le=\"{}\"", Number(bound))?;
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    writeln!(text, " {}", Number(value))
}

/// Text within quotes, or of a help line.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str(r"\\"),
            '"' => f.write_str(r#"\""#),
            '\n' => f.write_str(r"\n"),
            c => f.write_char(c),
        })
    }
}

/// A number, of which a boundary is to be a floating-point one (`1.0`, not `1`).
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            number if number.is_nan() => f.write_str("NaN"),
            number => write!(f, "{number:?}"),
        }
    }
}

const TARGET_INFO: &str = "target_info";
