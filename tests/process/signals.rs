//! Signals as supervisors send them: twice, to the process and to its group.

use std::{
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{Process, block_on, client, example, receiver::Receiver};

const RUNS: usize = 50;

/// The number of processes at a time.
const AT_ONCE: usize = 5;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Load {
    Idle,
    SlowRequests,
}

/// Two SIGTERMs, 2 ms apart.
fn twice(load: Load) {
    runs(|receiver| {
        let mut process = Process::spawn(graceful(receiver, example("graceful")));
        process.wait_until_it_serves();
        let requests = requests(&mut process, load);
        let script = "kill -TERM $0; sleep 0.002; kill -TERM $0 2> /dev/null";
        let pid = process.child.id().to_string();
        let _ = Command::new("sh").args(["-c", script, &pid]).status().unwrap();
        ends_well(process, requests, receiver, load);
        true
    });
}

/// `timeout 1` signals its child and then its group, itself among it.
fn by_timeout(load: Load) {
    runs(|receiver| {
        let began = Instant::now();
        let mut command = graceful(receiver, "timeout".into());
        command.args(["--preserve-status", "1"]).arg(example("graceful"));
        let mut process = Process::spawn(command);
        // A machine that is too busy to start and ask within a second proves nothing.
        if !process.serves() || began.elapsed() > Duration::from_millis(700) {
            return false;
        }
        let requests = requests(&mut process, load);
        ends_well(process, requests, receiver, load);
        true
    });
}

#[test]
fn two_signals_to_an_idle_server() {
    twice(Load::Idle);
}

#[test]
fn two_signals_to_a_loaded_server() {
    twice(Load::SlowRequests);
}

#[test]
fn timeout_of_an_idle_server() {
    by_timeout(Load::Idle);
}

#[test]
fn timeout_of_a_loaded_server() {
    by_timeout(Load::SlowRequests);
}

fn graceful(receiver: &Receiver, program: std::path::PathBuf) -> Command {
    let mut command = Command::new(program);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()).env("RUST_LOG", "info");
    command
}

/// Runs until it was done often enough.
fn runs(run: impl Fn(&Receiver) -> bool + Sync) {
    static ONE_TEST: Mutex<()> = Mutex::new(());
    let _alone = ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner);
    let (done, started) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < RUNS {
                    let started = started.fetch_add(1, Ordering::Relaxed);
                    assert!(started < 10 * RUNS, "the machine is too busy for this test");
                    if run(&Receiver::start()) {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

type Requests = Option<thread::JoinHandle<Vec<String>>>;

/// Sends slow requests, and returns once they are in progress.
fn requests(process: &mut Process, load: Load) -> Requests {
    if load == Load::Idle {
        return None;
    }
    let url = format!("{}/slow", process.url);
    let requests = thread::spawn(move || {
        block_on(async {
            let client = client();
            let ask = async || match client.get(&url).send().await {
                Ok(response) => response.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            let (one, two, three) = tokio::join!(ask(), ask(), ask());
            vec![one, two, three]
        })
    });
    process.wait_for("slow begins", 3);
    Some(requests)
}

/// All requests are answered, their spans arrive, and the process succeeds.
fn ends_well(mut process: Process, requests: Requests, receiver: &Receiver, load: Load) {
    let answers = requests.map(|requests| requests.join().unwrap()).unwrap_or_default();
    let status = process.child.wait().unwrap();
    process.printed.extend(process.lines.iter());
    assert!(answers.iter().all(|answer| answer == "slow\n"), "{load:?}: {answers:?}");
    assert!(status.success(), "{load:?}: {status}: {:#?}", process.printed);
    assert_eq!(receiver.received().spans().len(), answers.len(), "{load:?}");
}

/// Values that a platform sets for all its services do not stop one of them.
#[test]
fn unsupported_values_are_ignored() {
    let examples: &[&str] =
        if cfg!(feature = "prometheus") { &["graceful", "axum"] } else { &["graceful"] };
    for name in examples {
        let receiver = Receiver::start();
        let mut command = graceful(&receiver, example(name));
        command.envs([
            ("OTEL_PROPAGATORS", "tracecontext,baggage,xray"),
            ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_ENDPONT", "http://localhost:1"),
        ]);
        let mut process = Process::spawn(command);
        process.wait_until_it_serves();
        let path = if *name == "axum" { "/users/7" } else { "/fast" };
        let url = format!("{}{path}", process.url);
        let status = block_on(async { client().get(&url).send().await.unwrap().status() });
        assert_eq!(status, 200, "{name}");
        let pid = process.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = process.child.wait().unwrap();
        process.printed.extend(process.lines.iter());
        assert!(status.success(), "{name}: {:#?}", process.printed);
        for expected in [
            "for OTEL_PROPAGATORS: expected a list of tracecontext, baggage, b3, b3multi, none;",
            "for OTEL_TRACES_SAMPLER: expected one of always_on,",
            "OTEL_EXPORTER_OTLP_ENDPONT is not a known variable: is OTEL_EXPORTER_OTLP_ENDPOINT",
        ] {
            let count = process.printed.iter().filter(|line| line.contains(expected)).count();
            assert_eq!(count, 1, "{name}: {expected}: {:#?}", process.printed);
        }
        assert!(!receiver.received().spans().is_empty(), "{name}");
    }
}
