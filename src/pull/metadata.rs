//! Type, unit and description of a family, and the labels of the resource.

use std::fmt::Write;

use opentelemetry_sdk::Resource;

use super::{
    exposition_escape::push_help,
    families::Family,
    label_writer::LabelWriter,
    number::{Format, Number},
    registry::{Registry, TARGET_INFO},
};

/// Returns true if OpenMetrics can call a counter by this name. It has no counter `a`, whose sample
/// is `a_total`, beside another metric `a`.
pub(super) fn is_free(family: &str, has_target_info: bool, registry: &Registry) -> bool {
    let is_taken = registry.has(family) || registry.has(&format!("{family}_created"));
    !(is_taken || has_target_info && family == TARGET)
}

/// Writes the resource as the labels of one series, which OpenMetrics wants to be the first.
pub(super) fn target_info<'a>(
    out: &mut String,
    labels: &mut LabelWriter<'a>,
    resource: &'a Resource,
    format: Format,
    registry: &Registry,
) {
    let is_info = format == Format::OpenMetrics && !registry.has(TARGET);
    let (name, kind) = if is_info { (TARGET, "info") } else { (TARGET_INFO, "gauge") };
    metadata(out, name, kind, None, "Target metadata", format);
    out.push_str(TARGET_INFO);
    let start = out.len();
    out.push('{');
    labels.write(out, resource.iter(), &[]);
    match out.len() - start {
        1 => out.truncate(start),
        _ => out.push('}'),
    }
    out.push(' ');
    Number::from(1_u64).write(format, out);
    out.push('\n');
}

/// Writes the metadata of a family.
pub(super) fn header(out: &mut String, family: &Family<'_>, format: Format, is_typed: bool) {
    let Family { name, kind, help, .. } = family;
    match format {
        Format::Text => metadata(out, &name.full, kind.as_str(), None, help, format),
        Format::OpenMetrics if !is_typed => {
            metadata(out, &name.full, "unknown", None, help, format);
        }
        Format::OpenMetrics => {
            metadata(out, name.family(*kind), kind.as_str(), name.unit.as_deref(), help, format);
        }
    }
}

fn metadata(
    out: &mut String,
    name: &str,
    kind: &str,
    unit: Option<&str>,
    help: &str,
    format: Format,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# TYPE {name} {kind}");
    if let Some(unit) = unit {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
    if !help.is_empty() {
        let _ = write!(out, "# HELP {name} ");
        push_help(out, help, format);
        out.push('\n');
    }
}

/// Family of the resource in OpenMetrics.
const TARGET: &str = "target";
