//! A real PostgreSQL, from Debian's package `postgresql`, on the loopback interface.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::postgres::PgConnectOptions;

/// Runs until the last test that uses it drops it, also by a panic.
pub(crate) struct PostgresServer {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl PostgresServer {
    /// Returns the server that other tests use at this moment, or starts one.
    ///
    /// Panics if PostgreSQL is not installed, because nothing else shows that this crate works
    /// with it.
    pub(crate) fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *running = Arc::downgrade(&started);
            started
        })
    }

    /// Options for a new, empty database.
    pub(crate) async fn new_database(&self) -> PgConnectOptions {
        use sqlx::Connection;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("shop{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let options = self.options();
        let mut connection = self.connect().await;
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        options.database(&name)
    }

    /// The folder of the server's socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.folder
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("tester")
            .database("postgres")
    }

    /// Connects as soon as the server is ready.
    async fn connect(&self) -> sqlx::PgConnection {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1);
        // The pool tries again while the connection is refused or the server starts.
        let connection = pool
            .connect_with(self.options())
            .await
            .and_then(|pool| pool.try_acquire().ok_or(sqlx::Error::PoolTimedOut));
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        connection.unwrap_or_else(|error| panic!("{error}: {}", log())).detach()
    }

    fn start() -> Self {
        let name = format!("tower-telemetry-postgres-{}", std::process::id());
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("{name}-{number}"));
        fs::create_dir_all(&folder).unwrap();
        // PostgreSQL refuses to run as root.
        let user = is_root().then(|| id(&["-u", "postgres"]));
        if let Some(user) = user {
            chown(&folder, Some(user), None).unwrap();
        }
        let data = folder.join("data");
        let mut initdb = program("initdb", user);
        initdb.args(["--username=tester", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"]);
        let output = initdb.arg("-D").arg(&data).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut postgres = program("postgres", user);
        postgres.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"]);
        postgres.arg("-k").arg(&folder).args(["-c", "deadlock_timeout=100ms"]);
        let process = postgres.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { process, folder, port }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // SIGQUIT: at once. SIGKILL would leave the server's own processes behind.
        let pid = self.process.id().to_string();
        let stopped = Command::new("kill").args(["-QUIT", &pid]).status();
        let _: io::Result<_> = stopped.and_then(|_| self.process.wait());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program of the server's package, run by this user.
fn program(name: &str, user: Option<u32>) -> Command {
    let path = find(name).unwrap_or_else(|| {
        panic!(
            "{name} is not installed: these tests need PostgreSQL (Debian: apt install postgresql)"
        )
    });
    let mut command = Command::new(if user.is_some() { Path::new("setpriv") } else { &path });
    if let Some(user) = user {
        let group = id(&["-g", "postgres"]);
        command.args([format!("--reuid={user}"), format!("--regid={group}")]);
        command.arg("--clear-groups").arg(path);
    }
    // The folder of the tests may not be readable for the user.
    command.current_dir(std::env::temp_dir());
    command
}

/// Debian has the programs of the server outside of the path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let of_debian = versions.map(|version| version.path().join("bin").join(name));
    on_path.chain(of_debian).find(|path| path.is_file())
}

fn is_root() -> bool {
    id(&["-u"]) == 0
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("id {arguments:?}: no such user"))
}
