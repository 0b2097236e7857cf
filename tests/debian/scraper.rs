//! A real Prometheus, from Debian's package, that scrapes on the loopback interface.

use std::{
    fs, io,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::debian::installed;

/// Runs until it is dropped.
pub(crate) struct Scraper {
    process: Child,
    folder: PathBuf,
    url: String,
    client: reqwest::Client,
}

impl Scraper {
    /// Starts Prometheus with these `scrape_configs`. Returns None, loudly, if it is not installed.
    pub(crate) fn start(scrape_configs: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut prometheus = installed("prometheus")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-telemetry-scraper-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("prometheus.yml");
        fs::write(&config, format!("scrape_configs:\n{scrape_configs}")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = prometheus
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        Some(Self { process, folder, url: format!("http://{address}/api/v1"), client })
    }

    /// Asks until the answer is as wanted, for a minute at most, and returns the answer's `data`.
    pub(crate) async fn until(
        &self,
        path: &str,
        query: &[(&str, &str)],
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let url = format!("{}/{path}", self.url);
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = match self.client.get(&url).query(query).send().await {
                Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            if is_wanted(&answer["data"]) {
                return answer["data"].clone();
            }
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "{path} {query:?}: {answer}\n{}", log());
            tokio::time::sleep(Duration::from_millis(100)).await; // between two questions
        }
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        let _: io::Result<_> = self.process.kill().and_then(|()| self.process.wait());
        let _ = fs::remove_dir_all(&self.folder);
    }
}
