//! Metrics of the process: CPU time, memory, threads, files.

use opentelemetry::{KeyValue, metrics::MeterProvider};

use super::{
    Observation,
    collection::{self, Metric, Point, Points, signed, single},
    process_sample::Sample,
    resource_names::process as names,
};
use crate::convention::emit;

/// Reports the resources that this process uses, read once per collection.
///
/// Call it once per provider. The set-up calls it for `with_process_metrics`. [`runtime`](super::runtime) is its counterpart for tokio.
///
/// # Example
///
/// ```
/// use tower_telemetry::opentelemetry_sdk::metrics::SdkMeterProvider;
/// use tower_telemetry::resources;
///
/// let meter_provider = SdkMeterProvider::default();
/// resources::process(&meter_provider);
/// ```
///
/// # What is emitted
///
/// | instrument | kind | unit | where | |
/// |---|---|---|---|---|
/// | `process.cpu.time` | counter | `s` | Unix | by `cpu.mode`: `user`, `system` |
/// | `process.context_switches` | counter | `{context_switch}` | Unix | by `process.context_switch.type`: `voluntary`, `involuntary`; of all threads |
/// | `process.paging.faults` | counter | `{fault}` | Unix | by `system.paging.fault.type`: `major`, `minor` |
/// | `process.memory.usage` | up-down counter | `By` | Linux | resident |
/// | `process.memory.virtual` | up-down counter | `By` | Linux | |
/// | `process.thread.count` | up-down counter | `{thread}` | Linux | |
/// | `process.unix.file_descriptor.count` | up-down counter | `{file_descriptor}` | Linux | |
/// | `process.disk.io` | counter | `By` | Linux | by `disk.io.direction`: `read`, `write`; bytes that reached the storage layer |
/// | `process.uptime` | gauge | `s` | Linux | since the process started |
///
/// A value that the system refuses to tell is left out, as `process.disk.io` in some containers.
/// `process.cpu.utilization` is the rate of `process.cpu.time` divided by the number of CPUs; the
/// backend computes it, because two readers would disturb each other's intervals.
/// `process.network.io` and `process.disk.operations` aren't reported: Linux counts them per
/// network namespace and per system call, not per process and disk.
///
/// # Cardinality
///
/// At most 13 series.
///
/// # Global provider
///
/// Pass `&*opentelemetry::global::meter_provider()` after it was installed. Instruments of the
/// no-op provider that is there before never report.
pub fn process<P>(meter_provider: &P) -> Observation
where
    P: MeterProvider + ?Sized,
{
    let meter = meter_provider.meter_with_scope(emit::scope());
    collection::observe(&meter, &[], metrics(), Sample::read)
}

fn metrics() -> Vec<Metric<Sample>> {
    vec![
        Metric {
            name: names::CPU_TIME,
            unit: "s",
            description: "CPU time used, by mode.",
            points: Points::Seconds(|s| pair(s.cpu, names::CPU_MODE, ["user", "system"])),
        },
        Metric {
            name: names::CONTEXT_SWITCHES,
            unit: "{context_switch}",
            description: "Context switches of all threads, by type.",
            points: Points::Counter(|s| {
                pair(s.switches, names::CONTEXT_SWITCH_TYPE, ["voluntary", "involuntary"])
            }),
        },
        Metric {
            name: names::PAGING_FAULTS,
            unit: "{fault}",
            description: "Page faults, by whether a page was read from a disk.",
            points: Points::Counter(|s| {
                pair(s.faults, names::PAGING_FAULT_TYPE, ["major", "minor"])
            }),
        },
        Metric {
            name: names::MEMORY_USAGE,
            unit: "By",
            description: "Physical memory in use.",
            points: Points::UpDownCounter(|s| single(s.memory.map(signed))),
        },
        Metric {
            name: names::MEMORY_VIRTUAL,
            unit: "By",
            description: "Virtual memory committed.",
            points: Points::UpDownCounter(|s| single(s.virtual_memory.map(signed))),
        },
        Metric {
            name: names::THREAD_COUNT,
            unit: "{thread}",
            description: "Threads of the process.",
            points: Points::UpDownCounter(|s| single(s.threads)),
        },
        Metric {
            name: names::FILE_DESCRIPTOR_COUNT,
            unit: "{file_descriptor}",
            description: "Open file descriptors.",
            points: Points::UpDownCounter(|s| single(s.file_descriptors.map(signed))),
        },
        Metric {
            name: names::DISK_IO,
            unit: "By",
            description: "Bytes read from and written to the storage layer.",
            points: Points::Counter(|s| pair(s.disk, names::DISK_IO_DIRECTION, ["read", "write"])),
        },
        Metric {
            name: names::UPTIME,
            unit: "s",
            description: "Time since the process started.",
            points: Points::Gauge(|s| single(s.uptime)),
        },
    ]
}

fn pair<N>(values: Option<[N; 2]>, key: &'static str, names: [&'static str; 2]) -> Vec<Point<N>> {
    let points = values.into_iter().flatten().zip(names);
    points.map(|(value, name)| (value, Some(KeyValue::new(key, name)))).collect()
}
