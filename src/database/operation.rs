//! One call of a database client.

use std::{borrow::Cow, error::Error, future::Future};

use opentelemetry::{
    Context, KeyValue, StringValue,
    trace::{SpanBuilder, SpanKind},
};

use super::{
    Database, Outcome, Running,
    attribute_names::{
        DB_COLLECTION_NAME, DB_OPERATION_BATCH_SIZE, DB_OPERATION_NAME, DB_QUERY_SUMMARY,
        DB_QUERY_TEXT, DB_STORED_PROCEDURE_NAME,
    },
    instrumented::Instrumented,
    statements::Statement,
};

/// A database operation that hasn't started yet.
///
/// [`Database::query`] and [`Database::operation`] create it. One of
/// [`instrument`](Self::instrument), [`run`](Self::run) and [`start`](Self::start) starts it.
#[derive(Debug)]
#[must_use = "an operation is recorded once it is started"]
pub struct Operation<'a> {
    database: &'a Database,
    sql: Option<&'a str>,
    is_parameterized: bool,
    text: Option<StringValue>,
    summary: Option<StringValue>,
    name: Option<StringValue>,
    namespace: Option<StringValue>,
    collection: Option<StringValue>,
    procedure: Option<StringValue>,
    batch_size: Option<u64>,
}

impl<'a> Operation<'a> {
    pub(super) fn of_query(database: &'a Database, sql: &'a str) -> Self {
        Self { sql: Some(sql), ..Self::new(database) }
    }

    pub(super) fn of_name(database: &'a Database, name: StringValue) -> Self {
        Self { name: Some(name), ..Self::new(database) }
    }

    fn new(database: &'a Database) -> Self {
        Self {
            database,
            sql: None,
            is_parameterized: false,
            text: None,
            summary: None,
            name: None,
            namespace: None,
            collection: None,
            procedure: None,
            batch_size: None,
        }
    }

    /// Records the SQL as it is, literals included, because its values are parameters.
    ///
    /// Use it for prepared statements and queries with bound values, not for a text into which
    /// values were written.
    pub fn parameterized(self) -> Self {
        Self { is_parameterized: true, ..self }
    }

    /// Sets `db.query.text`, recorded as given, for databases whose language isn't SQL.
    ///
    /// It must not contain values: `HSET cart:? ? ?`.
    pub fn with_text(self, text: impl Into<StringValue>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// Sets `db.query.summary`, which names the span, instead of the one that is read from the SQL.
    ///
    /// It is an attribute of the metric, so it must be of low cardinality.
    pub fn with_summary(self, summary: impl Into<StringValue>) -> Self {
        Self { summary: Some(summary.into()), ..self }
    }

    /// Sets `db.namespace`, if it isn't that of the [`Database`].
    pub fn with_namespace(self, namespace: impl Into<StringValue>) -> Self {
        Self { namespace: Some(namespace.into()), ..self }
    }

    /// Sets `db.operation.name`, such as `findAndModify`. It must not be read from the SQL.
    pub fn with_name(self, name: impl Into<StringValue>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Sets `db.collection.name`: the table or collection of a client whose methods name it. It
    /// must not be read from the SQL.
    pub fn with_collection(self, collection: impl Into<StringValue>) -> Self {
        Self { collection: Some(collection.into()), ..self }
    }

    /// Sets `db.stored_procedure.name`.
    pub fn with_stored_procedure(self, procedure: impl Into<StringValue>) -> Self {
        Self { procedure: Some(procedure.into()), ..self }
    }

    /// Sets `db.operation.batch.size`: the number of operations in a batch. A batch has two or
    /// more, so lower numbers aren't recorded.
    pub fn with_batch_size(self, operations: u64) -> Self {
        Self { batch_size: (operations >= 2).then_some(operations), ..self }
    }

    /// Starts the operation, and ends it when `future` does.
    ///
    /// The span is current while the future is polled. An error is recorded as
    /// [`Database::with_error`] says. A future that is dropped earlier was cancelled.
    pub fn instrument<F, T, E>(self, future: F) -> impl Future<Output = Result<T, E>> + use<F, T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Error + 'static,
    {
        Instrumented::new(self.start(), future, Running::outcome_of)
    }

    /// Does the same, and records the number of rows that `rows` reads from a success.
    #[cfg(feature = "sqlx")]
    pub(crate) fn instrument_rows<F, T, E, R>(
        self,
        future: F,
        rows: R,
    ) -> impl Future<Output = Result<T, E>> + use<F, T, E, R>
    where
        F: Future<Output = Result<T, E>>,
        E: Error + 'static,
        R: FnOnce(&T) -> Option<u64>,
    {
        let outcome = |running: &Running, result: &Result<T, E>| {
            let outcome = running.outcome_of(result);
            match result.as_ref().ok().and_then(rows) {
                Some(rows) => outcome.with_returned_rows(rows),
                None => outcome,
            }
        };
        Instrumented::new(self.start(), future, outcome)
    }

    /// Does the same for a future of any output, whose outcome `outcome` tells.
    pub fn instrument_with<F, O>(
        self,
        future: F,
        outcome: O,
    ) -> impl Future<Output = F::Output> + use<F, O>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        let outcome = |_: &Running, output: &F::Output| outcome(output);
        Instrumented::new(self.start(), future, outcome)
    }

    /// Runs a blocking operation. The span is current while it runs.
    pub fn run<T, E>(self, run: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        E: Error + 'static,
    {
        let running = self.start();
        let result = {
            let _attached = running.attach();
            run()
        };
        let outcome = running.outcome_of(&result);
        running.finish(outcome);
        result
    }

    /// Starts the operation, as a child of the current span.
    ///
    /// It ends with [`Running::finish`], or as cancelled when it is dropped. That is the form for
    /// streams and hooks; the span isn't made current.
    pub fn start(mut self) -> Running {
        let shared = &self.database.shared;
        if Context::is_current_telemetry_suppressed() {
            return Running::noop();
        }
        let has_span = !shared.tracers.skips();
        if !has_span && shared.durations.get().is_none() {
            return Running::noop();
        }
        let is_label = self.read_sql();
        let mut labels = shared.settings.attributes(self.namespace.as_ref());
        let mut add = |key, value: &Option<StringValue>| {
            labels.extend(value.clone().map(|value| KeyValue::new(key, value)));
        };
        add(DB_OPERATION_NAME, &self.name);
        add(DB_COLLECTION_NAME, &self.collection);
        add(DB_STORED_PROCEDURE_NAME, &self.procedure);
        add(DB_QUERY_SUMMARY, &self.summary);
        let span = has_span.then(|| self.span(labels.clone()));
        if !is_label {
            labels.retain(|label| label.key.as_str() != DB_QUERY_SUMMARY);
        }
        Running::start(self.database, span, labels)
    }

    /// Fills in what the SQL tells, and returns whether the summary may be on the metric.
    fn read_sql(&mut self) -> bool {
        // A summary that is given is the caller's, who keeps its cardinality low.
        let is_given = self.summary.is_some();
        let Some(sql) = self.sql.take() else { return is_given };
        let statements = &self.database.shared.statements;
        let Statement { text, summary, is_label } =
            statements.statement(sql, self.is_parameterized);
        self.text = self.text.take().or(Some(text));
        self.summary = self.summary.take().or(summary);
        is_given || is_label
    }

    fn span(&self, mut attributes: Vec<KeyValue>) -> SpanBuilder {
        let has_text = self.database.shared.settings.has_query_text;
        if let Some(text) = self.text.clone().filter(|_| has_text) {
            attributes.push(KeyValue::new(DB_QUERY_TEXT, text));
        }
        if let Some(size) = self.batch_size {
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            attributes.push(KeyValue::new(DB_OPERATION_BATCH_SIZE, size));
        }
        SpanBuilder::from_name(self.span_name())
            .with_kind(SpanKind::Client)
            .with_attributes(attributes)
    }

    fn span_name(&self) -> Cow<'static, str> {
        if let Some(summary) = &self.summary {
            return summary.to_string().into();
        }
        let settings = &self.database.shared.settings;
        let target = [&self.collection, &self.procedure, &self.namespace, &settings.namespace];
        let target = target.into_iter().flatten().next().map(StringValue::to_string);
        let target = target.or_else(|| settings.server());
        match (&self.name, target) {
            (Some(name), Some(target)) => format!("{name} {target}").into(),
            (Some(name), None) => name.to_string().into(),
            (None, Some(target)) => target.into(),
            (None, None) => settings.system.to_string().into(),
        }
    }
}
