//! The server and the database that connect options name.

use sqlx::{ConnectOptions, Connection, Database};

use super::sqlx_errors::outcome_of;
use crate::{database, percent};

/// The facts of connect options that telemetry shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    system: String,
    namespace: Option<String>,
    address: Option<String>,
    port: Option<u16>,
}

impl Target {
    pub(super) fn of<DB: Database>(options: &<DB::Connection as Connection>::Options) -> Self {
        match DB::NAME {
            // Its options have the URL that the user gave.
            "Any" => Self::of_url(options),
            // `to_url_lossy` panics for a SQLite database in memory, and for PostgreSQL's default
            // socket.
            name => Self::of_debug(name, &format!("{options:?}")),
        }
    }

    /// Describes the database for the kernel.
    pub(super) fn database(&self) -> database::Database {
        let mut database = database::Database::new(self.system.clone()).with_error(outcome_of);
        if let Some(namespace) = &self.namespace {
            database = database.with_namespace(namespace.clone());
        }
        if let Some(address) = &self.address {
            database = database.with_server_address(address.clone());
        }
        if let Some(port) = self.port {
            database = database.with_server_port(port);
        }
        database
    }

    /// Returns the name of a pool without a name of its own, as the conventions say:
    /// `server.address:server.port/db.namespace`.
    pub(super) fn pool_name(&self) -> String {
        let mut name = self.address.clone().unwrap_or_default();
        if let (Some(_), Some(port)) = (&self.address, self.port) {
            name.push_str(&format!(":{port}"));
        }
        if let Some(namespace) = &self.namespace {
            if !name.is_empty() {
                name.push('/');
            }
            name.push_str(namespace);
        }
        if name.is_empty() { self.system.clone() } else { name }
    }

    fn of_url(options: &impl ConnectOptions) -> Self {
        let url = options.to_url_lossy();
        let system = system_of(url.scheme());
        let path = percent::decode(url.path().as_bytes()).into_owned();
        let mut parameters = url.query_pairs();
        let is_in_memory = parameters.any(|(name, value)| name == "mode" && value == "memory");
        let (address, namespace) = match system.as_str() {
            "sqlite" if is_in_memory => (None, ":memory:".to_owned()),
            "sqlite" => (None, url.host_str().unwrap_or_default().to_owned() + &path),
            _ => (url.host_str().map(unbracketed), path.trim_start_matches('/').to_owned()),
        };
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        Self { system, namespace, address, port: url.port() }
    }

    /// Reads the `Debug` output of the driver's options. Fields that aren't there as expected stay
    /// unknown.
    fn of_debug(driver: &str, debug: &str) -> Self {
        let system = system_of(driver);
        let text = |name| field(debug, name).and_then(text);
        if system == "sqlite" {
            let is_in_memory = field(debug, "in_memory") == Some("true");
            let file = || text("filename");
            let namespace = if is_in_memory { Some(":memory:".to_owned()) } else { file() };
            return Self { system, namespace, ..Self::default() };
        }
        let socket = text("socket");
        let host = text("host").as_deref().map(unbracketed);
        // A socket has no port, although its name has the port of the server inside.
        let is_socket = socket.is_some() || host.as_ref().is_some_and(|host| host.starts_with('/'));
        let port = field(debug, "port").and_then(|port| port.parse().ok());
        Self {
            namespace: text("database"),
            address: socket.or(host),
            port: port.filter(|_| !is_socket),
            system,
        }
    }
}

/// Returns the `db.system.name` of sqlx's name of a driver, or of the scheme of a URL.
fn system_of(driver: &str) -> String {
    match driver {
        "PostgreSQL" | "postgres" => "postgresql".to_owned(),
        "SQLite" => "sqlite".to_owned(),
        "MySQL" => "mysql".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// Returns an address without the brackets of IPv6.
fn unbracketed(host: &str) -> String {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).to_owned()
}

/// Returns the value of a field in the `Debug` output of a struct.
fn field<'a>(debug: &'a str, name: &str) -> Option<&'a str> {
    let fields = debug.get(debug.find('{')? + 1..debug.rfind('}')?)?;
    let (mut depth, mut is_quoted, mut is_escaped) = (0, false, false);
    // Commas in strings and in inner values separate no fields.
    let mut fields = fields.split(move |c: char| {
        let follows_backslash = std::mem::take(&mut is_escaped);
        match c {
            '\\' => is_escaped = is_quoted && !follows_backslash,
            '"' if !follows_backslash => is_quoted = !is_quoted,
            '{' | '[' | '(' if !is_quoted => depth += 1,
            '}' | ']' | ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        c == ',' && !is_quoted && depth == 0
    });
    fields.find_map(|field| field.trim().strip_prefix(name)?.strip_prefix(": "))
}

/// Returns the text in `"text"` or `Some("text")`.
fn text(value: &str) -> Option<String> {
    let value = value.strip_prefix("Some(").and_then(|v| v.strip_suffix(')')).unwrap_or(value);
    let quoted = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('"' | '\\' | '\'')) => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use sqlx::{Any, MySql, Postgres, Sqlite};

    use super::*;

    fn target<DB: Database>(url: &str) -> (String, String) {
        let options = <DB::Connection as Connection>::Options::from_str(url).unwrap();
        let target = Target::of::<DB>(&options);
        let Target { system, namespace, address, port } = &target;
        let port = port.map(|port| port.to_string());
        let namespace = namespace.as_deref().unwrap_or("-");
        let facts = [system, namespace, address.as_deref().unwrap_or("-")];
        (format!("{} {}", facts.join(" "), port.as_deref().unwrap_or("-")), target.pool_name())
    }

    #[test]
    fn reads_what_the_drivers_tell() {
        let rows = [
            (
                target::<Postgres>("postgres://u:p@db:6432/shop"),
                "postgresql shop db 6432",
                "db:6432/shop",
            ),
            (
                target::<Postgres>("postgres://u@[::1]/a%7Cb"),
                "postgresql a|b ::1 5432",
                "::1:5432/a|b",
            ),
            (target::<Postgres>("postgres://u@db"), "postgresql - db 5432", "db:5432"),
            (
                target::<Postgres>("postgres://u@localhost/shop?host=/var/run/postgresql"),
                "postgresql shop /var/run/postgresql -",
                "/var/run/postgresql/shop",
            ),
            // No value can pass for another field.
            (
                target::<Postgres>(
                    "postgres://u%22,%20host%3A:%22,%20database%3A%20Some(%22x%22)@db/a%22b%5C,%20c",
                ),
                "postgresql a\"b\\, c db 5432",
                "db:5432/a\"b\\, c",
            ),
            (target::<MySql>("mysql://u:p@db:3307/shop"), "mysql shop db 3307", "db:3307/shop"),
            (
                target::<MySql>("mysql://u@db/shop?socket=/tmp/m"),
                "mysql shop /tmp/m -",
                "/tmp/m/shop",
            ),
            (target::<Sqlite>("sqlite::memory:"), "sqlite :memory: - -", ":memory:"),
            (target::<Sqlite>("sqlite:///var/a b.db"), "sqlite /var/a b.db - -", "/var/a b.db"),
            (
                target::<Any>("postgres://u:p@db:6432/shop"),
                "postgresql shop db 6432",
                "db:6432/shop",
            ),
            (target::<Any>("sqlite::memory:"), "sqlite :memory: - -", ":memory:"),
            (target::<Sqlite>("sqlite:file:a?mode=memory"), "sqlite :memory: - -", ":memory:"),
            (target::<Any>("sqlite:file:a?mode=memory"), "sqlite :memory: - -", ":memory:"),
            (target::<Any>("sqlite://data/shop.db"), "sqlite data/shop.db - -", "data/shop.db"),
        ];
        for ((facts, name), expected, expected_name) in rows {
            assert_eq!(facts, expected);
            assert_eq!(name, expected_name);
        }
    }

    #[test]
    fn output_of_another_form_tells_nothing_but_the_system() {
        for debug in ["", "Options", "}{", "Options { host: db, port: x", "{ \"host: \\"] {
            let expected = Target { system: "postgresql".to_owned(), ..Target::default() };
            assert_eq!(Target::of_debug("PostgreSQL", debug), expected, "{debug}");
        }
    }
}
