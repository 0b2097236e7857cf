//! Names on the wire of the metrics in this folder.

pub(super) use crate::convention::names::{ERROR_TYPE, SERVER_PORT};

pub(crate) const POOL_NAME: &str = "db.client.connection.pool.name";
pub(super) const CONNECTION_STATE: &str = "db.client.connection.state";
pub(super) const CONNECTION_COUNT: &str = "db.client.connection.count";
pub(super) const CONNECTION_IDLE_MAX: &str = "db.client.connection.idle.max";
pub(super) const CONNECTION_IDLE_MIN: &str = "db.client.connection.idle.min";
pub(super) const CONNECTION_LIMIT: &str = "db.client.connection.limit";
pub(super) const CONNECTION_PENDING: &str = "db.client.connection.pending_requests";
pub(super) const CONNECTION_TIMEOUTS: &str = "db.client.connection.timeouts";
pub(super) const CONNECTION_CREATE_TIME: &str = "db.client.connection.create_time";
pub(super) const CONNECTION_WAIT_TIME: &str = "db.client.connection.wait_time";
pub(super) const CONNECTION_USE_TIME: &str = "db.client.connection.use_time";

pub(super) const CLIENT_CONNECTION_CREATE_TIME: &str = "http.client.connection.create_time";

pub(super) const SERVER_OPEN_CONNECTIONS: &str = "http.server.open_connections";
pub(super) const SERVER_CONNECTION_DURATION: &str = "http.server.connection.duration";

pub(super) const SERVICE_NAME: &str = "tower.service.name";
pub(super) const SERVICE_WAITING: &str = "tower.service.waiting";
pub(super) const SERVICE_WAIT_DURATION: &str = "tower.service.wait.duration";
pub(super) const SERVICE_REJECTED: &str = "tower.service.rejected";

#[cfg(feature = "hyper")]
pub(super) mod client {
    pub(in crate::resources) use crate::convention::names::{SERVER_ADDRESS, SERVER_PORT};

    pub(in crate::resources) const CONNECTION_DURATION: &str = "http.client.connection.duration";
    pub(in crate::resources) const CONNECTION_REUSED: &str = "http.client.connection.reused";
    pub(in crate::resources) const CONNECTION_STATE: &str = "http.connection.state";
    pub(in crate::resources) const CONNECTION_WAIT_TIME: &str = "http.client.connection.wait_time";
    pub(in crate::resources) const OPEN_CONNECTIONS: &str = "http.client.open_connections";
}

#[cfg(feature = "process")]
pub(super) mod process {
    pub(in crate::resources) const CPU_MODE: &str = "cpu.mode";
    pub(in crate::resources) const CPU_TIME: &str = "process.cpu.time";
    pub(in crate::resources) const CONTEXT_SWITCHES: &str = "process.context_switches";
    pub(in crate::resources) const CONTEXT_SWITCH_TYPE: &str = "process.context_switch.type";
    pub(in crate::resources) const DISK_IO: &str = "process.disk.io";
    pub(in crate::resources) const DISK_IO_DIRECTION: &str = "disk.io.direction";
    pub(in crate::resources) const FILE_DESCRIPTOR_COUNT: &str =
        "process.unix.file_descriptor.count";
    pub(in crate::resources) const MEMORY_USAGE: &str = "process.memory.usage";
    pub(in crate::resources) const MEMORY_VIRTUAL: &str = "process.memory.virtual";
    pub(in crate::resources) const PAGING_FAULTS: &str = "process.paging.faults";
    pub(in crate::resources) const PAGING_FAULT_TYPE: &str = "system.paging.fault.type";
    pub(in crate::resources) const THREAD_COUNT: &str = "process.thread.count";
    pub(in crate::resources) const UPTIME: &str = "process.uptime";
}

#[cfg(feature = "tokio")]
pub(super) mod tokio {
    pub(in crate::resources) const RUNTIME_NAME: &str = "tokio.runtime.name";
    pub(in crate::resources) const WORKERS: &str = "tokio.runtime.workers";
    pub(in crate::resources) const ALIVE_TASKS: &str = "tokio.runtime.tasks.alive";
    pub(in crate::resources) const GLOBAL_QUEUE_DEPTH: &str = "tokio.runtime.global_queue.depth";
    pub(in crate::resources) const BUSY_TIME: &str = "tokio.runtime.worker.busy.time";
    pub(in crate::resources) const PARKS: &str = "tokio.runtime.worker.parks";
}

#[cfg(all(feature = "tokio", tokio_unstable))]
pub(super) mod tokio_unstable {
    pub(in crate::resources) const BLOCKING_THREADS: &str = "tokio.runtime.blocking.threads";
    pub(in crate::resources) const BLOCKING_THREADS_IDLE: &str =
        "tokio.runtime.blocking.threads.idle";
    pub(in crate::resources) const BLOCKING_QUEUE_DEPTH: &str =
        "tokio.runtime.blocking.queue.depth";
    pub(in crate::resources) const LOCAL_QUEUE_DEPTH: &str = "tokio.runtime.local_queue.depth";
    pub(in crate::resources) const SPAWNED_TASKS: &str = "tokio.runtime.tasks.spawned";
    pub(in crate::resources) const REMOTE_SCHEDULES: &str = "tokio.runtime.remote_schedules";
    pub(in crate::resources) const FORCED_YIELDS: &str = "tokio.runtime.forced_yields";
    pub(in crate::resources) const POLLS: &str = "tokio.runtime.worker.polls";
    pub(in crate::resources) const STEALS: &str = "tokio.runtime.worker.steals";
    pub(in crate::resources) const OVERFLOWS: &str = "tokio.runtime.worker.overflows";
}

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::{attribute, metric};

    use super::*;

    #[test]
    fn names_are_those_of_the_conventions() {
        let rows = [
            (POOL_NAME, attribute::DB_CLIENT_CONNECTION_POOL_NAME),
            (CONNECTION_STATE, attribute::DB_CLIENT_CONNECTION_STATE),
            (CONNECTION_COUNT, metric::DB_CLIENT_CONNECTION_COUNT),
            (CONNECTION_IDLE_MAX, metric::DB_CLIENT_CONNECTION_IDLE_MAX),
            (CONNECTION_IDLE_MIN, metric::DB_CLIENT_CONNECTION_IDLE_MIN),
            (CONNECTION_PENDING, metric::DB_CLIENT_CONNECTION_PENDING_REQUESTS),
            (CONNECTION_TIMEOUTS, metric::DB_CLIENT_CONNECTION_TIMEOUTS),
            (CONNECTION_CREATE_TIME, metric::DB_CLIENT_CONNECTION_CREATE_TIME),
            (CONNECTION_WAIT_TIME, metric::DB_CLIENT_CONNECTION_WAIT_TIME),
            (CONNECTION_USE_TIME, metric::DB_CLIENT_CONNECTION_USE_TIME),
            // The published constants don't have it yet.
            (CONNECTION_LIMIT, "db.client.connection.limit"),
            (ERROR_TYPE, attribute::ERROR_TYPE),
            (SERVER_PORT, attribute::SERVER_PORT),
        ];
        for (ours, published) in rows {
            assert_eq!(ours, published);
        }
    }

    #[cfg(feature = "hyper")]
    #[test]
    fn names_of_clients_are_those_of_the_conventions() {
        let rows = [
            (client::CONNECTION_DURATION, metric::HTTP_CLIENT_CONNECTION_DURATION),
            (client::OPEN_CONNECTIONS, metric::HTTP_CLIENT_OPEN_CONNECTIONS),
            (client::CONNECTION_STATE, attribute::HTTP_CONNECTION_STATE),
            (client::SERVER_ADDRESS, attribute::SERVER_ADDRESS),
        ];
        for (ours, published) in rows {
            assert_eq!(ours, published);
        }
    }

    #[cfg(feature = "process")]
    #[test]
    fn names_of_the_process_are_those_of_the_conventions() {
        let rows = [
            (process::CPU_MODE, attribute::CPU_MODE),
            (process::CPU_TIME, metric::PROCESS_CPU_TIME),
            (process::CONTEXT_SWITCHES, metric::PROCESS_CONTEXT_SWITCHES),
            (process::CONTEXT_SWITCH_TYPE, attribute::PROCESS_CONTEXT_SWITCH_TYPE),
            (process::DISK_IO, metric::PROCESS_DISK_IO),
            (process::DISK_IO_DIRECTION, attribute::DISK_IO_DIRECTION),
            (process::FILE_DESCRIPTOR_COUNT, metric::PROCESS_UNIX_FILE_DESCRIPTOR_COUNT),
            (process::MEMORY_USAGE, metric::PROCESS_MEMORY_USAGE),
            (process::MEMORY_VIRTUAL, metric::PROCESS_MEMORY_VIRTUAL),
            (process::PAGING_FAULTS, metric::PROCESS_PAGING_FAULTS),
            (process::PAGING_FAULT_TYPE, attribute::SYSTEM_PAGING_FAULT_TYPE),
            (process::THREAD_COUNT, metric::PROCESS_THREAD_COUNT),
            (process::UPTIME, metric::PROCESS_UPTIME),
        ];
        for (ours, published) in rows {
            assert_eq!(ours, published);
        }
    }
}
