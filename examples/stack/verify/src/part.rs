//! Programs that run as parts of the stack.

use std::{
    env,
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::ask::until_true;

/// A running part of the stack. Dropping it kills the process and removes its data.
pub struct Part {
    program: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    process: Child,
    folder: PathBuf,
}

impl Part {
    /// Starts a program in a folder of its own. Arguments and variables may name the folder as `{folder}`.
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let folder = new_folder();
        let path = folder.display().to_string();
        let here = |text: &str| text.replace("{folder}", &path);
        let arguments: Vec<_> = arguments.iter().map(|argument| here(argument)).collect();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), here(value))).collect();
        let process = spawn(program, &arguments, &variables, &folder);
        Self { program: program.to_owned(), arguments, variables, process, folder }
    }

    /// Starts the program again, with the same arguments, ports and data.
    pub fn start_again(&mut self) {
        self.kill();
        self.process = spawn(&self.program, &self.arguments, &self.variables, &self.folder);
    }

    /// Kills the process with SIGKILL, and returns when it has ended.
    pub fn kill(&mut self) {
        let _: io::Result<_> = self.process.kill().and_then(|()| self.process.wait());
    }

    /// Asks the process to end with SIGTERM, and returns its status: waits for two minutes at most.
    pub async fn terminate(&mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} is not running", self.program);
        let mut status = None;
        let ended = until_true(Duration::from_secs(60), async || {
            status = self.process.try_wait().expect("the status of a child");
            status.is_some()
        });
        assert!(ended.await, "{} ignores SIGTERM: {}", self.program, self.log());
        status.expect("the process has ended")
    }

    /// Returns the end of what the part has written so far.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(
    program: &str,
    arguments: &[String],
    variables: &[(String, String)],
    folder: &Path,
) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log"));
    let log = log.expect("a file for the log of a part");
    Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Creates a folder, which the caller has to remove.
pub(crate) fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder =
        env::temp_dir().join(format!("tower-telemetry-stack-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the data of a part");
    folder
}

/// Returns the path of a program that `parts.sh` has built.
pub(crate) fn built(program: &str) -> String {
    let cache = || env::var("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var("HOME").map(|home| Path::new(&home).join(".cache"));
    let parts = env::var("PARTS_DIR")
        .map(PathBuf::from)
        .or_else(|_| cache().or_else(|_| home()).map(|cache| cache.join("tower-telemetry/parts")));
    let path = parts.expect("PARTS_DIR or HOME is set").join("bin").join(program);
    assert!(path.exists(), "{} is missing: run examples/stack/parts.sh", path.display());
    path.display().to_string()
}

/// Returns the path of a file of the stack.
pub fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).display().to_string()
}

/// Returns ports that are free.
pub fn ports<const N: usize>() -> [u16; N] {
    // Below the ports that the system gives to connections, one of which could take a port before its part does.
    // Each test has a process id, and so a place of its own.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = || {
        let number = std::process::id().wrapping_mul(64) + NEXT.fetch_add(1, Ordering::Relaxed);
        15_000 + (number % 17_000) as u16
    };
    let free = || {
        let mut ports = (0..17_000).map(|_| next());
        ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
    };
    std::array::from_fn(|_| free().expect("a free port on loopback"))
}
