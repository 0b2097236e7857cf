//! Labels of a series: names, reserved names, collisions.

use std::{collections::HashMap, fmt::Write, rc::Rc};

use foldhash::fast::RandomState;
use opentelemetry::{Key, Value};

use super::{constants::Constant, exposition_escape::push_escaped, metric_name::push_sanitized};

/// Writes the labels of series, and caches their names for one scrape.
#[derive(Debug)]
pub(super) struct LabelWriter<'a> {
    names: HashMap<&'a str, Rc<str>, RandomState>,
    has_scope_labels: bool,
    /// The labels of one series: reused, so that a series allocates nothing.
    labels: Vec<Label<'a>>,
}

#[derive(Debug)]
struct Label<'a> {
    name: Rc<str>,
    /// The attribute's key. Labels of one name are joined in the order of their keys.
    key: &'a str,
    value: LabelValue<'a>,
}

#[derive(Debug, Clone, Copy)]
enum LabelValue<'a> {
    Attribute(&'a Value),
    Constant(&'a str),
}

impl<'a> LabelWriter<'a> {
    pub(super) fn new(has_scope_labels: bool) -> Self {
        Self { names: HashMap::default(), has_scope_labels, labels: Vec::new() }
    }

    /// Appends the labels of a series without braces (`a="1",b="2"`), sorted by name: equal text
    /// means the same series.
    ///
    /// An attribute of the series wins over a constant of the same name.
    pub(super) fn write(
        &mut self,
        out: &mut String,
        attributes: impl Iterator<Item = (&'a Key, &'a Value)>,
        constants: &'a [Constant],
    ) {
        self.labels.clear();
        for (key, value) in attributes {
            let key = key.as_str();
            let has_scope_labels = self.has_scope_labels;
            let name =
                self.names.entry(key).or_insert_with(|| label_name(key, has_scope_labels).into());
            let (name, value) = (Rc::clone(name), LabelValue::Attribute(value));
            self.labels.push(Label { name, key, value });
        }
        self.labels.extend(constants.iter().map(|Constant { name, value }| Label {
            name: Rc::clone(name),
            key: "",
            value: LabelValue::Constant(value),
        }));
        self.labels.sort_unstable_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        let start = out.len();
        for group in self.labels.chunk_by(|a, b| a.name == b.name) {
            let is_attribute = |label: &&Label<'_>| matches!(label.value, LabelValue::Attribute(_));
            // Attributes are sorted before constants.
            let group = match group.iter().filter(is_attribute).count() {
                0 => group,
                attributes => &group[..attributes],
            };
            if group.len() == 1 && group[0].value.is_empty() {
                continue;
            }
            if out.len() > start {
                out.push(',');
            }
            out.push_str(&group[0].name);
            out.push_str("=\"");
            for (i, label) in group.iter().enumerate() {
                if i > 0 {
                    out.push(';');
                }
                label.value.write(out);
            }
            out.push('"');
        }
    }
}

impl Label<'_> {
    fn sort_key(&self) -> (&str, bool, &str) {
        (&self.name, matches!(self.value, LabelValue::Constant(_)), self.key)
    }
}

impl LabelValue<'_> {
    fn is_empty(self) -> bool {
        match self {
            Self::Attribute(Value::String(text)) => text.as_str().is_empty(),
            Self::Attribute(_) => false,
            Self::Constant(text) => text.is_empty(),
        }
    }

    fn write(self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Attribute(Value::Bool(value)) => write!(out, "{value}"),
            Self::Attribute(Value::I64(value)) => write!(out, "{value}"),
            Self::Attribute(Value::F64(value)) => write!(out, "{value}"),
            Self::Attribute(value) => {
                push_escaped(out, &value.as_str());
                Ok(())
            }
            Self::Constant(value) => {
                push_escaped(out, value);
                Ok(())
            }
        };
    }
}

/// Returns the label's name for an attribute's key.
pub(super) fn label_name(key: &str, has_scope_labels: bool) -> String {
    let name = sanitized(key);
    let is_reserved =
        matches!(&*name, "le" | "quantile") || (has_scope_labels && name.starts_with(SCOPE_PREFIX));
    if is_reserved { format!("exported_{name}") } else { name }
}

pub(super) fn sanitized(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        name.push_str("key_");
    }
    push_sanitized(&mut name, key, |c| c.is_ascii_alphanumeric());
    if name.is_empty() {
        name.push('_');
    }
    name
}

pub(super) const SCOPE_PREFIX: &str = "otel_scope_";

#[cfg(test)]
mod tests {
    use opentelemetry::{Array, KeyValue, StringValue};

    use super::*;

    #[test]
    fn names() {
        for (key, expected) in [
            ("http.route", "http_route"),
            ("aws:cloudformation:stack-name", "aws_cloudformation_stack_name"),
            ("1st", "key_1st"),
            ("404", "key_404"),
            ("", "_"),
            ("\u{e9}", "_"),
            ("caf\u{e9}", "caf_"),
            ("a..b--c", "a_b_c"),
            ("a b\nc\"d\\e", "a_b_c_d_e"),
            ("_private", "_private"),
            // Prometheus' own labels begin with two underscores.
            ("__name__", "_name_"),
            ("__address__", "_address_"),
            ("le", "exported_le"),
            (".le", "_le"),
            ("quantile", "exported_quantile"),
            ("job", "job"),
            ("instance", "instance"),
            ("otel.scope.name", "exported_otel_scope_name"),
            ("otel_scope_anything", "exported_otel_scope_anything"),
            ("otel.scope", "otel_scope"),
        ] {
            assert_eq!(label_name(key, true), expected, "{key:?}");
        }
        assert_eq!(label_name("otel.scope.name", false), "otel_scope_name");
    }

    #[test]
    fn sets_of_labels() {
        let constants = [
            Constant { name: "otel_scope_name".into(), value: "shop".to_owned() },
            Constant { name: "service_version".into(), value: "1.0\n".to_owned() },
        ];
        let some = "otel_scope_name=\"shop\",service_version=\"1.0\\n\"";
        let strings: Vec<StringValue> = vec!["x".into(), "y\"".into()];
        for (attributes, expected) in [
            (vec![], some.to_owned()),
            // Sorted, with values of all types.
            (
                vec![
                    KeyValue::new("z", true),
                    KeyValue::new("a.string", "x"),
                    KeyValue::new("int", -3),
                    KeyValue::new("float", 0.5),
                ],
                format!("a_string=\"x\",float=\"0.5\",int=\"-3\",{some},z=\"true\""),
            ),
            (
                vec![KeyValue::new("array", Value::Array(Array::I64(vec![1, 2])))],
                format!("array=\"[1,2]\",{some}"),
            ),
            (
                vec![KeyValue::new("array", Value::Array(Array::String(strings)))],
                format!("array=\"[\\\"x\\\",\\\"y\\\"\\\"]\",{some}"),
            ),
            // Escaping.
            (
                vec![KeyValue::new("a", "\"\\\n\r\t\u{0}\u{e9}")],
                format!("a=\"\\\"\\\\\\n\r\t\u{0}\u{e9}\",{some}"),
            ),
            // One label for several keys: the values in the order of the keys.
            (
                vec![
                    KeyValue::new("a_b", "under"),
                    KeyValue::new("a.b", "dot"),
                    KeyValue::new("a-b", "dash"),
                ],
                format!("a_b=\"dash;dot;under\",{some}"),
            ),
            (vec![KeyValue::new("a.b", ""), KeyValue::new("a_b", "")], format!("a_b=\";\",{some}")),
            // Prometheus has no empty labels.
            (vec![KeyValue::new("a", ""), KeyValue::new("b", "x")], format!("b=\"x\",{some}")),
            // The series' own attribute wins over the resource's, and not over the scope's.
            (
                vec![KeyValue::new("service.version", "2.0")],
                "otel_scope_name=\"shop\",service_version=\"2.0\"".to_owned(),
            ),
            (
                vec![KeyValue::new("otel.scope.name", "mine")],
                format!("exported_otel_scope_name=\"mine\",{some}"),
            ),
        ] {
            let mut out = String::new();
            let pairs = attributes.iter().map(|KeyValue { key, value, .. }| (key, value));
            LabelWriter::new(true).write(&mut out, pairs, &constants);
            assert_eq!(out, expected, "{attributes:?}");
        }
    }
}
