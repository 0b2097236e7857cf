//! The database that a client talks to.

use std::{error::Error, fmt, sync::Arc};

use opentelemetry::{
    KeyValue, StringValue,
    metrics::MeterProvider,
    trace::{Tracer, TracerProvider},
};

use super::{
    Operation, Outcome,
    attribute_names::{DB_NAMESPACE, DB_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT},
    dialect::Dialect,
    operation_duration,
    statements::Statements,
};
use crate::{
    exemplars::{Exemplars, InstrumentExemplars, Measure},
    providers::{LazyInstruments, Tracers},
};

/// A database, as its client's telemetry describes it.
///
/// Create one per database and clone it: clones share their caches. Changing a clone by a `with_*`
/// method gives it caches of its own.
///
/// See the [module](super) for examples and for what is emitted.
#[derive(Clone)]
pub struct Database {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) tracers: Arc<Tracers>,
    pub(super) durations: Arc<Durations>,
    /// Those of the handle that was given.
    pub(super) exemplars: Option<InstrumentExemplars>,
    pub(super) statements: Statements,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) system: StringValue,
    pub(super) namespace: Option<StringValue>,
    address: Option<StringValue>,
    port: Option<u16>,
    pub(super) has_query_text: bool,
    classify: Option<Arc<Classify>>,
    exemplars: Option<Exemplars>,
}

type Durations = LazyInstruments<Measure<f64>>;

type Classify = dyn Fn(&(dyn Error + 'static)) -> Option<Outcome> + Send + Sync;

impl Database {
    /// Creates a database of this product: a value of `db.system.name`, such as `postgresql`,
    /// `mysql`, `sqlite`, `redis`, `mongodb`.
    ///
    /// The product also tells how its SQL is read, and which port is its default.
    pub fn new(system: impl Into<StringValue>) -> Self {
        let settings = Settings {
            system: shared(system),
            namespace: None,
            address: None,
            port: None,
            has_query_text: true,
            classify: None,
            exemplars: None,
        };
        let durations = LazyInstruments::of_global(operation_duration::duration);
        Self::of(settings, Arc::default(), Arc::new(durations))
    }

    /// Sets `db.namespace`: the name of the database on its server. For PostgreSQL it is
    /// `{database}|{schema}`, or the part of it that is known.
    #[must_use]
    pub fn with_namespace(self, namespace: impl Into<StringValue>) -> Self {
        self.change(|settings| settings.namespace = Some(shared(namespace)))
    }

    /// Sets `server.address`: the host, or the path of a socket.
    #[must_use]
    pub fn with_server_address(self, address: impl Into<StringValue>) -> Self {
        self.change(|settings| settings.address = Some(shared(address)))
    }

    /// Sets `server.port`. It is recorded if the address is set and the port isn't the default of
    /// the product.
    #[must_use]
    pub fn with_server_port(self, port: u16) -> Self {
        self.change(|settings| settings.port = Some(port))
    }

    /// Leaves `db.query.text` out of spans. Summaries stay.
    #[must_use]
    pub fn without_query_text(self) -> Self {
        self.change(|settings| settings.has_query_text = false)
    }

    /// Reads the outcome of a failed operation from its error, such as the SQLSTATE in it.
    ///
    /// If `classify` returns `None`, the error type is the name of the error's type.
    ///
    /// # Example
    ///
    /// ```
    /// use std::io;
    ///
    /// use tower_telemetry::database::{Database, Outcome};
    ///
    /// let database = Database::new("redis").with_error(|error| {
    ///     let error = error.downcast_ref::<io::Error>()?;
    ///     (error.kind() == io::ErrorKind::TimedOut).then(|| Outcome::error("timeout"))
    /// });
    /// ```
    #[must_use]
    pub fn with_error<C>(self, classify: C) -> Self
    where
        C: Fn(&(dyn Error + 'static)) -> Option<Outcome> + Send + Sync + 'static,
    {
        self.change(|settings| settings.classify = Some(Arc::new(classify)))
    }

    /// Uses this provider instead of the global one, which is looked up at the first operations, and
    /// now and then as long as it makes only no-op spans: none is installed yet, or it was shut down.
    #[must_use]
    pub fn with_tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
    {
        let Shared { settings, durations, .. } = &*self.shared;
        Self::of(settings.clone(), Arc::new(Tracers::of(provider)), Arc::clone(durations))
    }

    /// Uses this provider instead of the global one, which is looked up until there is one.
    ///
    /// A global provider without any state, as a type of your own that forwards to a `static`, is
    /// taken for none: give it here.
    #[must_use]
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let Shared { settings, tracers, .. } = &*self.shared;
        let durations = LazyInstruments::of(provider, operation_duration::duration);
        Self::of(settings.clone(), Arc::clone(tracers), Arc::new(durations))
    }

    /// Collects [`Exemplars`], which lead from the buckets of the durations to traces.
    ///
    /// With the meter provider of [`Telemetry`](crate::Telemetry), given or global, no handle is needed.
    /// Default otherwise: none are collected.
    #[must_use]
    pub fn with_exemplars(self, exemplars: &Exemplars) -> Self {
        let exemplars = exemplars.clone();
        self.change(|settings| settings.exemplars = Some(exemplars))
    }

    /// Describes an operation that runs this SQL.
    ///
    /// Literals in it are recorded as `?`, unless the operation is
    /// [`parameterized`](Operation::parameterized).
    pub fn query<'a>(&'a self, sql: &'a str) -> Operation<'a> {
        Operation::of_query(self, sql)
    }

    /// Describes an operation of this name, such as `GET` or `COMMIT`.
    pub fn operation(&self, name: impl Into<StringValue>) -> Operation<'_> {
        Operation::of_name(self, name.into())
    }

    #[cfg(feature = "sqlx")]
    pub(crate) fn tracers(&self) -> &Tracers {
        &self.shared.tracers
    }

    fn of(settings: Settings, tracers: Arc<Tracers>, durations: Arc<Durations>) -> Self {
        let statements = Statements::new(Dialect::of(settings.system.as_str()));
        let exemplars = settings.exemplars.as_ref().map(operation_duration::exemplars);
        Self { shared: Arc::new(Shared { settings, tracers, durations, exemplars, statements }) }
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Shared { settings, tracers, durations, .. } = &*self.shared;
        let mut settings = settings.clone();
        change(&mut settings);
        Self::of(settings, Arc::clone(tracers), Arc::clone(durations))
    }
}

impl Settings {
    /// Returns the attributes of every operation.
    pub(super) fn attributes(&self, namespace: Option<&StringValue>) -> Vec<KeyValue> {
        // Room for those of the operation and of its end.
        let mut attributes = Vec::with_capacity(12);
        attributes.push(KeyValue::new(DB_SYSTEM_NAME, self.system.clone()));
        if let Some(namespace) = namespace.or(self.namespace.as_ref()) {
            attributes.push(KeyValue::new(DB_NAMESPACE, namespace.clone()));
        }
        if let Some(address) = &self.address {
            attributes.push(KeyValue::new(SERVER_ADDRESS, address.clone()));
            if let Some(port) = self.port() {
                attributes.push(KeyValue::new(SERVER_PORT, i64::from(port)));
            }
        }
        attributes
    }

    /// Returns the server as the target of a span's name.
    pub(super) fn server(&self) -> Option<String> {
        let address = self.address.as_ref()?;
        Some(match self.port() {
            Some(port) => format!("{address}:{port}"),
            None => address.to_string(),
        })
    }

    fn port(&self) -> Option<u16> {
        self.port.filter(|port| default_port(self.system.as_str()) != Some(*port))
    }

    /// Returns the outcome that an error tells.
    pub(super) fn outcome_of<E: Error + 'static>(&self, error: &E) -> Outcome {
        let classified = self.classify.as_ref().and_then(|classify| classify(error));
        classified.unwrap_or_else(|| Outcome::error(std::any::type_name::<E>()))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("system", &self.shared.settings.system)
            .field("namespace", &self.shared.settings.namespace)
            .field("address", &self.shared.settings.address)
            .finish_non_exhaustive()
    }
}

/// Makes a string that is cheap to clone.
fn shared(text: impl Into<StringValue>) -> StringValue {
    Arc::<str>::from(text.into().as_str()).into()
}

fn default_port(system: &str) -> Option<u16> {
    Some(match system {
        "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "redis" => 6379,
        "mongodb" => 27017,
        "microsoft.sql_server" => 1433,
        "oracle.db" => 1521,
        "cassandra" => 9042,
        "clickhouse" => 9000,
        "cockroachdb" => 26257,
        "memcached" => 11211,
        "elasticsearch" | "opensearch" => 9200,
        "couchdb" => 5984,
        "ibm.db2" => 50000,
        "neo4j" => 7687,
        "influxdb" => 8086,
        _ => return None,
    })
}
