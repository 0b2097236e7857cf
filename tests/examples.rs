//! The examples run, as a stranger would run them.

#[path = "debian/mod.rs"]
mod debian;
#[path = "receiver/mod.rs"]
mod receiver;

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
    ends_by_itself("hyper_client", &[" retry 2 200 ", "the answer: b\"up\""]);
}

#[test]
fn reqwest() {
    ends_by_itself("reqwest", &["\nGET /users/{id} → ", "the answer: Ada", " connection_refused "]);
}

#[test]
fn tonic() {
    ends_by_itself("tonic", &[" NOT_FOUND ", " CANCELLED "]);
}

/// A server that is ended by this test, whatever happens in it.
struct Server {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Server {
    fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    fn start_with(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = example(name);
        command.env("PORT", "0").envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // From here on it is ended, whatever is wrong with its first line.
        let mut server = Self { child, stdout, address: String::new() };
        let mut line = String::new();
        server.stdout.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).expect("the first line names the address");
        server.address = address.split(['/', '.', '\n']).take(4).collect::<Vec<_>>().join(".");
        server
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

const REQUESTS: [(&str, &str, &str); 9] = [
    ("GET /users/7", "", "user 7"),
    ("POST /orders", "{\"amount\": 3}", "ordered"),
    ("GET /proxy", "", "the other service says: user 42"),
    ("GET /events", "", "data: event 5"),
    ("GET /fail", "", "500 Internal Server Error"),
    ("GET /healthz", "", "ok"),
    ("GET /readyz", "", "ready"),
    ("GET /nowhere", "", "404 Not Found"),
    ("GET /metrics", "", "http_server_request_duration_seconds_count{"),
];

fn ask_all(server: &Server) {
    for (request, body, expected) in REQUESTS {
        let answer = server.ask(request, body);
        assert!(answer.contains(expected), "{request}: {answer}");
    }
}

/// Without a word from the environment, to the console.
#[test]
fn axum() {
    let server = Server::start("axum");
    ask_all(&server);
    let metrics = server.ask("GET /metrics", "");
    let body = metrics.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(debian::promtool_on(body).unwrap_or_default(), "");
    let printed = server.terminate();
    for expected in [
        "\nGET /users/{id} 200 ",
        "\nPOST /orders 201 ",
        "\n└ place order ",
        " · paid shop.payment.method=invoice\n",
        "\n└ GET → 127.0.0.1:",
        "\n  └ GET /users/{id} 200 ",
        "\nGET /fail 500 ",
        "\nshop.orders  ",
        "\nflushed\n",
    ] {
        assert!(printed.contains(expected), "{expected:?} in {printed}");
    }
    assert!(!printed.contains("\nGET /healthz"), "the filter leaves out health checks");
    // Each request's line is within its span. The trace of the events lasts longer than a line waits.
    let lines = printed.lines().filter(|line| line.contains("INFO axum: answered"));
    let within = lines.filter(|line| line.starts_with(' ')).count();
    assert_eq!(within, 6, "{printed}");
    let events = |text: &str| printed.lines().find(|line| line.contains(text)).unwrap();
    let id = events("GET /events 200 ").rsplit(' ').next().unwrap();
    assert!(events("route=\"/events\"").ends_with(id), "{printed}");
}

/// With an endpoint, there.
#[test]
fn axum_exports() {
    let receiver = receiver::Receiver::start();
    for protocol in ["grpc", "http/protobuf"] {
        let server = Server::start_with(
            "axum",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
            ],
        );
        let before = receiver.received();
        ask_all(&server);
        let printed = server.terminate();
        assert!(!printed.contains("\nspan ") && !printed.contains("\nmetric "), "{printed}");
        let received = receiver.received();
        // Two servers' and a client's for `/proxy`, two for `/orders`, one for each of the rest.
        assert_eq!(received.spans().len() - before.spans().len(), 9);
        // One for each request, the filtered one too, which has no span.
        assert_eq!(received.log_records().len() - before.log_records().len(), 8);
        assert!(!received.metrics("shop.orders").is_empty());
        let attributes = &received.resource().attributes;
        assert_eq!(receiver::attribute(attributes, "service.name").unwrap(), "shop");
        let environment = receiver::attribute(attributes, "deployment.environment.name");
        assert_eq!(environment.unwrap(), "test");
    }
}

#[test]
fn w3c() {
    let server = Server::start("w3c");
    let own = format!("[{{\"url\": \"http://{}/test\", \"arguments\": []}}]", server.address);
    assert!(server.ask("POST /test", &own).starts_with("HTTP/1.1 200"));
    assert!(server.ask("POST /test", "[]").starts_with("HTTP/1.1 200"));
}
