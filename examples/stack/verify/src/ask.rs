//! Questions by HTTP that are repeated until the answer is as wanted.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The time that a part has to give the wanted answer. A search for all traces of a test takes long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30));
    // Each question has a connection of its own, because each test has a runtime of its own, and a connection
    // ends with its runtime.
    client.pool_max_idle_per_host(0).build().expect("a client without TLS")
});

/// An answer: its status, and its text.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    /// Returns the JSON document, or null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Asks once. Returns an answer of status 0 if there is none.
pub async fn get(url: &str, query: &[(&str, &str)]) -> Answer {
    answer(CLIENT.get(url).query(query)).await
}

/// Sends a `PUT` with a body.
pub async fn put(url: &str, body: &str) -> Answer {
    answer(CLIENT.put(url).body(body.to_owned())).await
}

/// Sends a `POST` without a body.
pub(crate) async fn post(url: &str) -> Answer {
    answer(CLIENT.post(url)).await
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            Answer { status, text: answer.text().await.unwrap_or_default() }
        }
        Err(error) => Answer { status: 0, text: error.to_string() },
    }
}

/// Asks until the answer is as wanted, for two minutes at most. Returns the last answer.
pub(crate) async fn until(
    url: &str,
    query: &[(&str, &str)],
    is_wanted: impl Fn(&Answer) -> bool,
) -> Result<Answer, Answer> {
    let mut last = Answer { status: 0, text: String::new() };
    let found = until_true(PATIENCE, async || {
        last = get(url, query).await;
        is_wanted(&last)
    });
    match found.await {
        true => Ok(last),
        false => Err(last),
    }
}

/// Repeats a question until it is answered by true. Returns false if that takes longer than `patience`.
pub async fn until_true(patience: Duration, mut question: impl AsyncFnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if question().await {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await; // between two questions
    }
}
