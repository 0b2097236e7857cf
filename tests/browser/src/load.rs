//! Load on the service.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

const CONNECTIONS: u32 = 8;
const BATCH: usize = 10;

/// Sends `rate` requests a second for `time`, or as many as the machine can. Returns the number of answers.
///
/// Requests are sent in batches over a few connections, so that the load costs less than the answers.
pub async fn load(address: &str, rate: u32, time: Duration) -> usize {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(connection(address.to_owned(), rate / CONNECTIONS, time));
    }
    connections.join_all().await.into_iter().sum()
}

async fn connection(address: String, rate: u32, time: Duration) -> usize {
    let mut socket = TcpStream::connect(&address).await.expect("the service listens");
    socket.set_nodelay(true).expect("a TCP connection has this option");
    let user = format!("GET /users/7 HTTP/1.1\r\nhost: {address}\r\nuser-agent: load\r\n\r\n");
    let fail = format!("GET /fail HTTP/1.1\r\nhost: {address}\r\nuser-agent: load\r\n\r\n");
    let batches = [user.repeat(BATCH), format!("{}{fail}", user.repeat(BATCH - 1))];
    let mut ticks = interval(Duration::from_secs(1) * BATCH as u32 / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + time;
    let mut answers = 0;
    let mut buffer = Vec::new();
    for number in 0.. {
        ticks.tick().await;
        if Instant::now() >= end {
            break;
        }
        // One request of a hundred fails.
        let batch = &batches[usize::from(number % 10 == 9)];
        socket.write_all(batch.as_bytes()).await.expect("the service reads");
        buffer.clear();
        while count(&buffer, b"\r\n\r\n") < BATCH {
            let read = socket.read_buf(&mut buffer).await.expect("the service answers");
            assert!(read > 0, "the service closed the connection");
        }
        answers += BATCH;
    }
    answers
}

/// Returns the number of occurrences of a text that does not overlap itself in heads.
fn count(buffer: &[u8], text: &[u8]) -> usize {
    buffer.windows(text.len()).filter(|window| *window == text).count()
}
