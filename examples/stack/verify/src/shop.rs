//! The shop, and its load generator.

use std::{
    collections::BTreeMap,
    env,
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;

use crate::{Part, ask::until, part::ports};

/// The three roles of the shop, as processes.
pub struct Shop {
    pub gateway: Part,
    pub backend: Part,
    pub supplier: Part,
    /// Addresses, `host:port`, of what is scraped: gateway, backend, supplier.
    pub metrics: [String; 3],
    /// The base of the gateway's URLs.
    pub url: String,
    /// The base of the backend's own URLs.
    pub backend_ops: String,
    /// The base of the supplier's URLs.
    pub supplier_url: String,
    /// The address of the backend for gRPC.
    pub backend_url: String,
}

impl Shop {
    /// Starts the roles, and waits until they are ready.
    ///
    /// `environment` is `deployment.environment.name`. `variables` say where telemetry goes.
    pub async fn start(environment: &str, variables: &[(&str, &str)]) -> Self {
        let [grpc, ops, http, front] = ports();
        let address = |port: u16| format!("127.0.0.1:{port}");
        let (backend_url, supplier_url) =
            (format!("http://{}", address(grpc)), format!("http://{}", address(http)));
        let backend = [("LISTEN", &*address(grpc)), ("OPS_LISTEN", &*address(ops))];
        let supplier = [("LISTEN", &*address(http))];
        let shop = Self {
            backend: start("backend", environment, &[&backend, variables].concat()),
            supplier: start("supplier", environment, &[&supplier, variables].concat()),
            gateway: gateway(front, &backend_url, &supplier_url, environment, variables),
            metrics: [address(front), address(ops), address(http)],
            url: format!("http://{}", address(front)),
            backend_ops: format!("http://{}", address(ops)),
            supplier_url,
            backend_url,
        };
        shop.ready().await;
        shop
    }

    /// Starts one more gateway in front of the same backend and supplier. Returns it, and its address.
    pub async fn start_gateway(
        &self,
        environment: &str,
        variables: &[(&str, &str)],
    ) -> (Part, String) {
        let [port] = ports();
        let part = gateway(port, &self.backend_url, &self.supplier_url, environment, variables);
        let address = format!("127.0.0.1:{port}");
        ready(&part, &address).await;
        (part, address)
    }

    async fn ready(&self) {
        let parts = [&self.gateway, &self.backend, &self.supplier];
        for (part, address) in parts.into_iter().zip(&self.metrics) {
            ready(part, address).await;
        }
    }

    /// Starts the load generator against the gateway.
    pub fn load(&self, arguments: &[&str]) -> Load {
        self.load_at(&self.url, arguments)
    }

    /// Starts the load generator against a balancer of gateways.
    pub fn load_at(&self, url: &str, arguments: &[&str]) -> Load {
        let process = Command::new(&PROGRAMS.1)
            .args(["--url", url, "--supplier", &self.supplier_url])
            .args(["--backend-ops", &self.backend_ops])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", PROGRAMS.1));
        Load { output: tokio::task::spawn_blocking(|| process.wait_with_output()) }
    }

    /// Ends the roles with SIGTERM, the gateway first, and checks that each has delivered its telemetry.
    pub async fn terminate(mut self) {
        for (role, part) in [
            ("gateway", &mut self.gateway),
            ("backend", &mut self.backend),
            ("supplier", &mut self.supplier),
        ] {
            let status = part.terminate().await;
            assert!(status.success(), "{role}: {status}\n{}", part.log());
        }
    }
}

fn start(role: &str, environment: &str, variables: &[(&str, &str)]) -> Part {
    let attributes = format!("deployment.environment.name={environment}");
    let mut all = vec![
        ("OTEL_RESOURCE_ATTRIBUTES", attributes),
        // So that tests don't wait for the defaults of 60 and 5 seconds.
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "500".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "500".to_owned()),
    ];
    all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Part::start(&PROGRAMS.0, &[role], &all)
}

fn gateway(
    port: u16,
    backend_url: &str,
    supplier_url: &str,
    environment: &str,
    variables: &[(&str, &str)],
) -> Part {
    let listen = format!("127.0.0.1:{port}");
    let own = [("LISTEN", &*listen), ("BACKEND_URL", backend_url), ("SUPPLIER_URL", supplier_url)];
    start("gateway", environment, &[&own, variables].concat())
}

async fn ready(part: &Part, address: &str) {
    let url = format!("http://{address}/readyz");
    if let Err(last) = until(&url, &[], |answer| answer.status == 200).await {
        panic!("{url}: {last:?}\n{}", part.log());
    }
}

/// A load generator that runs.
pub struct Load {
    output: tokio::task::JoinHandle<std::io::Result<std::process::Output>>,
}

impl Load {
    /// Waits until it has sent all requests.
    pub async fn end(self) -> Sent {
        let output =
            self.output.await.expect("no panic").expect("the output of the load generator");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "load: {}\n{text}", output.status);
        Sent::read(&text)
    }

    /// Tells whether it has sent all requests.
    pub fn has_ended(&self) -> bool {
        self.output.is_finished()
    }
}

/// The answers that a load generator has received.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Their number by method, route and status.
    pub by: BTreeMap<(String, String, String), u64>,
}

impl Sent {
    /// Reads lines like `GET /products/{id} 200 123`.
    fn read(text: &str) -> Self {
        let line = |line: &str| match *line.split_whitespace().collect::<Vec<_>>() {
            [method, route, status, count] => {
                let key = (method.to_owned(), route.to_owned(), status.to_owned());
                Some((key, count.parse().ok()?))
            }
            _ => None,
        };
        let by: BTreeMap<_, _> = text.lines().filter_map(line).collect();
        let sent = Self { by };
        let total = text.lines().find_map(|line| line.strip_prefix("total ")?.trim().parse().ok());
        assert_eq!(total, Some(sent.total()), "the lines add up to the total:\n{text}");
        sent
    }

    /// Returns the number of requests.
    pub fn total(&self) -> u64 {
        self.by.values().sum()
    }

    /// Returns the number of requests with an answer, whatever its status.
    pub fn answered(&self) -> u64 {
        let answered = self.by.iter().filter(|((_, _, status), _)| status != "none");
        answered.map(|(_, count)| count).sum()
    }
}

/// The programs of the shop: `shop` and `load`. Cargo builds them if they are not up to date.
static PROGRAMS: LazyLock<(String, String)> = LazyLock::new(|| {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shop/Cargo.toml");
    let output = Command::new(cargo)
        .args(["build", "--message-format=json", "--manifest-path", manifest])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the shop does not compile");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let program = |name: &str| {
        let artifacts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut programs = artifacts.filter(|artifact| artifact["target"]["name"] == name);
        let path = programs.find_map(|artifact| artifact["executable"].as_str().map(str::to_owned));
        path.unwrap_or_else(|| panic!("cargo builds no program named {name}"))
    };
    (program("shop"), program("load"))
});
