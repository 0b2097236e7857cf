//! Alertmanager, and a receiver of its notifications.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::post};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    Part,
    ask::until_true,
    part::{new_folder, ports},
};

/// Debian's Alertmanager.
pub struct Alertmanager {
    part: Part,
    /// `host:port`
    pub address: String,
}

impl Alertmanager {
    /// Starts it with a configuration.
    pub fn start(config: &str) -> Self {
        let [port] = ports();
        let path = new_folder().join("alertmanager.yml");
        fs::write(&path, config).expect("a configuration of Alertmanager");
        let address = format!("127.0.0.1:{port}");
        let arguments = [
            &*format!("--config.file={}", path.display()),
            &*format!("--web.listen-address={address}"),
            "--storage.path={folder}/data",
            // No cluster.
            "--cluster.listen-address=",
        ];
        Self { part: Part::start("/usr/bin/prometheus-alertmanager", &arguments, &[]), address }
    }

    /// Returns what it has written so far.
    pub fn log(&self) -> String {
        self.part.log()
    }
}

/// A webhook that keeps the notifications that Alertmanager sends.
pub struct Notifications {
    pub url: String,
    received: Arc<Mutex<Vec<Value>>>,
    server: JoinHandle<()>,
}

impl Notifications {
    pub async fn start() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let list = received.clone();
        let keep = async move |body: String| {
            let document: Value = serde_json::from_str(&body).unwrap_or_default();
            let mut alerts = document["alerts"].as_array().cloned().unwrap_or_default();
            for alert in &mut alerts {
                alert["receiver"] = document["receiver"].clone();
            }
            list.lock().expect("no panic while locked").extend(alerts);
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let app = Router::new().fallback(post(keep));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self { url: format!("http://{address}/"), received, server }
    }

    /// Returns the names of the alerts that were notified so far.
    pub fn names(&self) -> BTreeSet<String> {
        let received = self.received.lock().expect("no panic while locked");
        let names = received.iter().filter_map(|alert| alert["labels"]["alertname"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Returns a notified alert with this name and status (`firing`, `resolved`), once there is one.
    pub async fn until(&self, name: &str, status: &str) -> Value {
        let find = || {
            let received = self.received.lock().expect("no panic while locked");
            let is_it =
                |alert: &&Value| alert["labels"]["alertname"] == name && alert["status"] == status;
            received.iter().rfind(is_it).cloned()
        };
        let arrived = until_true(Duration::from_secs(60), async || find().is_some());
        assert!(arrived.await, "no {name} is {status}: {:?}", self.received.lock());
        find().expect("it has arrived")
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.server.abort();
    }
}
