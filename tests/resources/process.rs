//! Compares the reported metrics with `/proc` and `ps`, read at the same time.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    hint::black_box,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tower_telemetry::resources;

use crate::support::{Metrics, QUIET};

#[test]
fn every_name_has_its_kind_and_unit() {
    let metrics = Metrics::new();
    resources::process(&metrics.provider);
    let lines: Vec<_> = metrics.collect().into_keys().collect();
    let expected = [
        "process.context_switches{process.context_switch.type=involuntary} counter {context_switch}",
        "process.context_switches{process.context_switch.type=voluntary} counter {context_switch}",
        "process.cpu.time{cpu.mode=system} counter s",
        "process.cpu.time{cpu.mode=user} counter s",
        "process.disk.io{disk.io.direction=read} counter By",
        "process.disk.io{disk.io.direction=write} counter By",
        "process.memory.usage{} up-down By",
        "process.memory.virtual{} up-down By",
        "process.paging.faults{system.paging.fault.type=major} counter {fault}",
        "process.paging.faults{system.paging.fault.type=minor} counter {fault}",
        "process.thread.count{} up-down {thread}",
        "process.unix.file_descriptor.count{} up-down {file_descriptor}",
        "process.uptime{} gauge s",
    ];
    assert_eq!(lines, expected);
}

/// A number that grows, read before and after: the one between lies between.
#[test]
fn counters_lie_between_two_readings_of_proc() {
    let metrics = Metrics::new();
    resources::process(&metrics.provider);
    let start = Instant::now();
    while proc().user < 0.1 {
        black_box((0..1000).sum::<u64>());
        assert!(start.elapsed() < Duration::from_secs(30), "no CPU time to be had");
    }
    thread::spawn(|| (0..50).for_each(|_| thread::yield_now())).join().unwrap();
    let before = proc();
    let values = metrics.values();
    let after = proc();
    let rows: [Row; 6] = [
        ("process.cpu.time{cpu.mode=user}", |p| p.user, 0.011),
        ("process.cpu.time{cpu.mode=system}", |p| p.system, 0.011),
        ("process.paging.faults{system.paging.fault.type=minor}", |p| p.minor, 0.0),
        ("process.paging.faults{system.paging.fault.type=major}", |p| p.major, 0.0),
        ("process.disk.io{disk.io.direction=read}", |p| p.read, 0.0),
        ("process.disk.io{disk.io.direction=write}", |p| p.written, 0.0),
    ];
    for (name, of, slack) in rows {
        let (from, value, to) = (of(&before), values[name], of(&after));
        assert!(from - slack <= value && value <= to + slack, "{name}: {from} {value} {to}");
    }
    assert!(values["process.cpu.time{cpu.mode=user}"] >= 0.09);
}

#[test]
fn context_switches_are_those_of_all_threads() {
    let metrics = Metrics::new();
    resources::process(&metrics.provider);
    let name = "process.context_switches{process.context_switch.type=voluntary}";
    let before = metrics.values()[name];
    // Each hand-over blocks both threads.
    let (there, here) = std::sync::mpsc::sync_channel(0);
    let other = thread::spawn(move || (0..1000).for_each(|n| there.send(n).unwrap()));
    assert_eq!(here.iter().count(), 1000);
    other.join().unwrap();
    // The other thread has ended, and `/proc/self/task` has forgotten it.
    assert!(metrics.values()[name] >= before + 500.0);
}

#[test]
fn memory_threads_and_uptime_are_those_of_ps_and_proc() {
    let _quiet = QUIET.blocking_write();
    let metrics = Metrics::new();
    resources::process(&metrics.provider);
    let ballast = black_box(vec![1_u8; 64 << 20]);
    let values = metrics.values();
    let ps = Command::new("ps")
        .args(["-o", "rss=,vsz=,nlwp=,etimes=", "-p", &std::process::id().to_string()])
        .output()
        .expect("ps is installed");
    let ps: Vec<f64> = String::from_utf8(ps.stdout)
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let rows = [
        // Other tests of this process come and go meanwhile.
        ("process.memory.usage{}", ps[0] * 1024.0, (64 << 20) as f64),
        ("process.memory.virtual{}", ps[1] * 1024.0, (1_u64 << 30) as f64),
        ("process.thread.count{}", ps[2], 16.0),
        ("process.uptime{}", ps[3], 1.5),
    ];
    for (name, expected, slack) in rows {
        assert!((values[name] - expected).abs() <= slack, "{name}: {} {expected}", values[name]);
    }
    assert!(values["process.memory.usage{}"] >= ballast.len() as f64);
    drop(ballast);
}

#[test]
fn file_descriptors_are_counted() {
    let _quiet = QUIET.blocking_write();
    let metrics = Metrics::new();
    resources::process(&metrics.provider);
    let count = || metrics.values()["process.unix.file_descriptor.count{}"];
    let before = count();
    // More than other tests open meanwhile.
    let files: Vec<_> = (0..500).map(|_| File::open("/proc/self/stat").unwrap()).collect();
    let with_files = count();
    assert!((with_files - before - 500.0).abs() < 60.0, "{before} {with_files}");
    let listed = fs::read_dir("/proc/self/fd").unwrap().count() as f64;
    assert!((with_files - listed).abs() < 60.0, "{with_files} {listed}");
    drop(files);
    assert!(count() < with_files - 400.0);
}

/// A name, its number in `/proc`, and how much coarser that is.
type Row = (&'static str, fn(&Proc) -> f64, f64);

struct Proc {
    user: f64,
    system: f64,
    minor: f64,
    major: f64,
    read: f64,
    written: f64,
}

fn proc() -> Proc {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may have spaces: the third field and on.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let field = |number: usize| fields[number - 3].parse::<f64>().unwrap();
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let io = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<f64>().unwrap()
    };
    Proc {
        minor: field(10),
        major: field(12),
        user: field(14) / 100.0,
        system: field(15) / 100.0,
        read: io("read_bytes:"),
        written: io("write_bytes:"),
    }
}
