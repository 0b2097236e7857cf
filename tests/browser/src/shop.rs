//! The service as a process.

use std::{process::Stdio, time::Duration};

use procfs::process::Process;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

/// The service, until it is dropped.
pub struct Shop {
    address: String,
    process: Child,
}

impl Shop {
    /// Starts the program at `path`, which is `env!("CARGO_BIN_EXE_shop")`.
    pub async fn start(path: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the service starts");
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let address =
            lines.next_line().await.expect("the service runs").expect("it has an address");
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("shop: {line}");
            }
        });
        Self { address, process }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the address of the page.
    pub fn viewer(&self) -> String {
        format!("http://{}/telemetry", self.address)
    }

    /// Sends a request over a connection of its own, and returns the status code.
    pub async fn request(&self, method: &str, path: &str, headers: &str) -> u16 {
        let mut socket = TcpStream::connect(&self.address).await.expect("the service listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n",
            self.address
        );
        socket.write_all(request.as_bytes()).await.expect("the service reads");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("the service answers");
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in the answer to {path}: {answer}"))
    }

    /// Returns what the process has used so far.
    pub fn usage(&self) -> Usage {
        let pid = self.process.id().expect("the service runs");
        let pid = i32::try_from(pid).expect("a pid is small");
        let stat = Process::new(pid).and_then(|process| process.stat()).expect("it can be read");
        let ticks = stat.utime + stat.stime;
        Usage {
            cpu: Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64),
            memory: stat.rss * procfs::page_size(),
        }
    }
}

/// CPU time and resident memory of the service.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub cpu: Duration,
    pub memory: u64,
}
