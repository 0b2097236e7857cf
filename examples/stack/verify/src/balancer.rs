//! A plain balancer of connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::ask::get;

/// Gives each new connection to the next target that is ready.
pub struct Balancer {
    /// `host:port`
    pub address: String,
    _tasks: JoinSet<()>,
}

/// A target of a balancer.
struct Target {
    /// `host:port`
    address: String,
    /// A URL that answers 200 if the target is ready. Without one, it is always asked.
    readiness: Option<String>,
    is_ready: AtomicBool,
}

impl Balancer {
    /// Starts it in front of targets: `host:port`, and the path that tells whether they are ready.
    pub async fn start(targets: &[String], readiness: Option<&str>) -> Self {
        let targets: Arc<[_]> = targets
            .iter()
            .map(|address| Target {
                address: address.clone(),
                readiness: readiness.map(|path| format!("http://{address}{path}")),
                is_ready: AtomicBool::new(true),
            })
            .collect();
        let mut tasks = JoinSet::new();
        for number in 0..targets.len() {
            tasks.spawn(watch(targets.clone(), number));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener").to_string();
        tasks.spawn(serve(listener, targets));
        Self { address, _tasks: tasks }
    }

    /// Returns the base of its URLs.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Asks a target again and again whether it is ready.
async fn watch(targets: Arc<[Target]>, number: usize) {
    let target = &targets[number];
    while let Some(url) = &target.readiness {
        target.is_ready.store(get(url, &[]).await.status == 200, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await; // between two questions
    }
}

async fn serve(listener: TcpListener, targets: Arc<[Target]>) {
    let next = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    while let Ok((mut inbound, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        for _ in 0..targets.len() {
            let target = &targets[next.fetch_add(1, Ordering::Relaxed) % targets.len()];
            if !target.is_ready.load(Ordering::Relaxed) {
                continue;
            }
            if let Ok(mut outbound) = TcpStream::connect(&target.address).await {
                connections.spawn(async move {
                    let _ = copy_bidirectional(&mut inbound, &mut outbound).await;
                });
                break;
            }
        }
    }
}
