//! The attributes of the resource that are detected: host, process and container.

use std::env;
#[cfg(target_os = "linux")]
use std::fs;

use opentelemetry::KeyValue;
use opentelemetry_resource_detectors::{ContainerResourceDetector, ProcessResourceDetector};
use opentelemetry_sdk::resource::ResourceDetector;

use super::TelemetryBuilder;

impl TelemetryBuilder {
    /// Adds what can be found out about host, process and container to the resource. Default: off.
    ///
    /// | attribute | value |
    /// |---|---|
    /// | `host.name` | the name of the host, in a container that of the container (Linux, Windows) |
    /// | `host.arch` | `amd64`, `arm64` and others of the conventions, else Rust's name |
    /// | `os.type` | `linux`, `darwin`, `windows` and others of the conventions, else Rust's name |
    /// | `process.pid` | the number of the process |
    /// | `process.executable.name` | the file name of the program |
    /// | `process.runtime.name`, `.version`, `.description` | `rustc`, and the version of the compiler |
    /// | `container.id` | the id that the control groups (version 1) or the mounts (version 2) name (Linux) |
    ///
    /// An attribute that can't be found out is absent. The files of `/proc` are read once, and no program is run.
    /// Command lines are left out, because they may hold secrets. The attributes describe resources:
    /// they multiply no series within a process, but each process has values of its own.
    ///
    /// Later calls of [`with_attribute`](Self::with_attribute) and
    /// [`with_resource`](Self::with_resource) override them, and so does the environment. In Kubernetes
    /// the downward API knows more (`k8s.pod.name` and others) and passes it on by
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn with_detected_attributes(mut self) -> Self {
        let name = env::current_exe().ok();
        let name = name.as_deref().and_then(|path| path.file_name()?.to_str());
        self.attributes
            .extend([KeyValue::new("host.arch", arch()), KeyValue::new("os.type", os())]);
        self.attributes.extend(host_name().map(|name| KeyValue::new("host.name", name)));
        let name = name.map(|name| KeyValue::new("process.executable.name", name.to_owned()));
        self.attributes.extend(name);
        let process = ProcessResourceDetector.detect();
        let is_public = |attribute: &KeyValue| attribute.key.as_str() != "process.command_args";
        let process = super::resource::known(&process).filter(is_public);
        self.attributes.extend(process);
        self.with_resource(ContainerResourceDetector.detect())
    }
}

/// Returns the conventions' name of the architecture.
fn arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// Returns the conventions' name of the operating system.
fn os() -> &'static str {
    match env::consts::OS {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

/// opentelemetry-resource-detectors runs `hostname` for it, which slim images don't have.
#[cfg(target_os = "linux")]
fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn host_name() -> Option<String> {
    env::var("COMPUTERNAME").ok().filter(|name| !name.is_empty())
}
