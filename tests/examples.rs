//! The examples run, as a stranger would run them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The example's program, which `cargo test` has built.
fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    assert!(path.exists(), "{} is not built: run the tests with all features", path.display());
    Command::new(path)
}

/// Runs an example that ends by itself, and checks that it prints these.
fn ends_by_itself(name: &str, expected: &[&str]) {
    let output = example(name).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    for expected in expected {
        assert!(text.contains(expected), "{name} prints {expected:?}: {text}");
    }
}

#[test]
fn hyper_client() {
    ends_by_itself("hyper_client", &["http.request.resend_count=2", "the answer: b\"up\""]);
}

#[test]
fn reqwest() {
    ends_by_itself("reqwest", &["\"GET /users/{id}\"", "the answer: Ada", "connection_refused"]);
}

#[test]
fn tonic() {
    ends_by_itself("tonic", &["rpc.status_code=NOT_FOUND", "rpc.status_code=CANCELLED"]);
}

/// A server that is ended by this test, whatever happens in it.
struct Server {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Server {
    fn start(name: &str) -> Self {
        let mut child = example(name).env("PORT", "0").stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        let address = address.split(['/', '.', '\n']).take(4).collect::<Vec<_>>().join(".");
        Self { child, stdout, address }
    }

    fn ask(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it as an orchestrator would, and returns what it printed.
    fn terminate(mut self) -> String {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn axum() {
    let server = Server::start("axum");
    for (request, body, expected) in [
        ("GET /users/7", "", "user 7"),
        ("POST /orders", "{\"amount\": 3}", "ordered"),
        ("GET /proxy", "", "the other service says: user 42"),
        ("GET /events", "", "data: event 5"),
        ("GET /fail", "", "500 Internal Server Error"),
        ("GET /healthz", "", "ok"),
        ("GET /nowhere", "", "404 Not Found"),
    ] {
        let answer = server.ask(request, body);
        assert!(answer.contains(expected), "{request}: {answer}");
    }
    let printed = server.terminate();
    for expected in [
        "Server \"GET /users/{id}\"",
        "Internal \"place order\"",
        "event \"paid\"",
        "Client \"GET\"",
        "client.address=127.0.0.1",
        "error.type=500",
        "metric http.server.request.duration",
        "metric shop.orders 1",
        "flushed",
    ] {
        assert!(printed.contains(expected), "{expected:?} in {printed}");
    }
    assert!(!printed.contains("/healthz\" "), "the filter leaves out health checks");
}

#[test]
fn w3c() {
    let server = Server::start("w3c");
    let own = format!("[{{\"url\": \"http://{}/test\", \"arguments\": []}}]", server.address);
    assert!(server.ask("POST /test", &own).starts_with("HTTP/1.1 200"));
    assert!(server.ask("POST /test", "[]").starts_with("HTTP/1.1 200"));
}
