//! Labels that all series of a scope share: those of the scope, and some of the resource.

use std::{borrow::Cow, rc::Rc};

use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_sdk::Resource;

use super::label_writer::{SCOPE_PREFIX, label_name, sanitized};

/// A label that all series of a scope share.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) name: Rc<str>,
    pub(super) value: String,
}

/// Returns the labels of the scope: its name, version, schema URL and attributes.
pub(super) fn of_scope(scope: &InstrumentationScope) -> Vec<Constant> {
    let mut labels = Vec::new();
    let mut push = |key: &str, value: Cow<'_, str>| {
        if value.is_empty() {
            return;
        }
        let name = sanitized(&format!("{SCOPE_PREFIX}{key}"));
        match labels.iter_mut().find(|label: &&mut Constant| *label.name == *name) {
            Some(label) => {
                label.value.push(';');
                label.value.push_str(&value);
            }
            None => labels.push(Constant { name: name.into(), value: value.into_owned() }),
        }
    };
    push("name", scope.name().into());
    push("version", scope.version().unwrap_or_default().into());
    push("schema_url", scope.schema_url().unwrap_or_default().into());
    let mut attributes: Vec<&KeyValue> = scope.attributes().collect();
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    for attribute in attributes {
        // OpenTelemetry: an attribute does not change the labels of the scope's own fields.
        let is_field = matches!(
            &*sanitized(attribute.key.as_str()),
            "name" | "version" | "schema_url" | "_name" | "_version" | "_schema_url"
        );
        if !is_field {
            push(attribute.key.as_str(), attribute.value.as_str());
        }
    }
    labels
}

/// Returns the resource's attributes that were asked for as labels of every series.
pub(super) fn of_resource(
    resource: &Resource,
    keys: &[Key],
    has_scope_labels: bool,
) -> Vec<Constant> {
    let mut keys: Vec<&Key> = keys.iter().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut labels: Vec<Constant> = Vec::new();
    for key in keys {
        let Some(value) = resource.get_ref(key) else { continue };
        let name = label_name(key.as_str(), has_scope_labels);
        match labels.iter_mut().find(|label| *label.name == *name) {
            Some(label) => {
                label.value.push(';');
                label.value.push_str(&value.as_str());
            }
            None => {
                labels.push(Constant { name: name.into(), value: value.as_str().into_owned() });
            }
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_scope() {
        let scope = InstrumentationScope::builder("shop")
            .with_version("1.2")
            .with_schema_url("https://example.com/1")
            .with_attributes([
                KeyValue::new("team.b", "two"),
                KeyValue::new("team-b", "one"),
                KeyValue::new("name", "other"),
                KeyValue::new("schema.url", "other"),
                KeyValue::new(".version", "other"),
                KeyValue::new("1", "digit"),
            ])
            .build();
        let labels = of_scope(&scope);
        let labels: Vec<_> =
            labels.iter().map(|Constant { name, value }| (&**name, value.as_str())).collect();
        assert_eq!(
            labels,
            [
                ("otel_scope_name", "shop"),
                ("otel_scope_version", "1.2"),
                ("otel_scope_schema_url", "https://example.com/1"),
                ("otel_scope_1", "digit"),
                ("otel_scope_team_b", "one;two"),
            ]
        );
        assert!(of_scope(&InstrumentationScope::builder("").build()).is_empty());
    }
}
