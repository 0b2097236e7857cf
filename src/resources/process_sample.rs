//! Readings of this process from the operating system.

/// One reading. A value that the system doesn't tell is `None`.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Seconds in user and in system mode.
    pub(super) cpu: Option<[f64; 2]>,
    /// Voluntary and involuntary context switches.
    pub(super) switches: Option<[u64; 2]>,
    /// Major and minor page faults.
    pub(super) faults: Option<[u64; 2]>,
    /// Bytes of resident memory.
    pub(super) memory: Option<u64>,
    pub(super) virtual_memory: Option<u64>,
    pub(super) threads: Option<i64>,
    pub(super) file_descriptors: Option<u64>,
    /// Bytes read and written.
    pub(super) disk: Option<[u64; 2]>,
    /// Seconds since the process started.
    pub(super) uptime: Option<f64>,
}

impl Sample {
    pub(super) fn read() -> Self {
        #[allow(unused_mut, reason = "each platform fills its part, and Windows has none")]
        let mut sample = Self::default();
        #[cfg(unix)]
        unix::read(&mut sample);
        #[cfg(target_os = "linux")]
        linux::read(&mut sample);
        sample
    }
}

#[cfg(unix)]
mod unix {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeVal,
    };

    use super::Sample;

    pub(super) fn read(sample: &mut Sample) {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return };
        sample.cpu = Some([seconds(usage.user_time()), seconds(usage.system_time())]);
        // `/proc/self/status` has the context switches of the main thread only.
        sample.switches = Some([
            count(usage.voluntary_context_switches()),
            count(usage.involuntary_context_switches()),
        ]);
        sample.faults = Some([count(usage.major_page_faults()), count(usage.minor_page_faults())]);
    }

    #[allow(clippy::unnecessary_cast, reason = "the types differ between platforms")]
    fn seconds(time: TimeVal) -> f64 {
        time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
    }

    #[allow(clippy::useless_conversion, reason = "`c_long` is 32 bits wide on some platforms")]
    fn count(n: std::ffi::c_long) -> u64 {
        u64::try_from(n).unwrap_or(0)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, time::Duration};

    use nix::time::{ClockId, clock_gettime};
    use procfs::{WithCurrentSystemInfo, process::Process};

    use super::Sample;

    pub(super) fn read(sample: &mut Sample) {
        // Before anything below opens a file.
        sample.file_descriptors = file_descriptors();
        let Ok(process) = Process::myself() else { return };
        if let Ok(stat) = process.stat() {
            sample.memory = Some(stat.rss_bytes().get());
            sample.virtual_memory = Some(stat.vsize);
            sample.threads = Some(stat.num_threads);
            sample.uptime = uptime(stat.starttime);
        }
        if let Ok(io) = process.io() {
            sample.disk = Some([io.read_bytes, io.write_bytes]);
        }
    }

    /// Since Linux 6.2 the size of the folder is the number of descriptors.
    fn file_descriptors() -> Option<u64> {
        match fs::metadata(FILE_DESCRIPTORS).ok()?.len() {
            // One of them is that of this listing.
            0 => Some(fs::read_dir(FILE_DESCRIPTORS).ok()?.count().saturating_sub(1) as u64),
            n => Some(n),
        }
    }

    /// The start is counted in ticks since the boot. In a container `/proc/uptime` may be that of
    /// the container, so the kernel's clock is asked.
    fn uptime(started_at: u64) -> Option<f64> {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?).as_secs_f64();
        let started_at = started_at as f64 / procfs::ticks_per_second() as f64;
        Some((now - started_at).max(0.0))
    }

    const FILE_DESCRIPTORS: &str = "/proc/self/fd";
}
