//! What Linux says of processes: CPU time, memory, and the children this one waited for.

use std::time::Duration;

/// CPU time of this process, all threads.
pub fn cpu() -> Duration {
    clock(rustix::time::ClockId::ProcessCPUTime)
}

/// CPU time of this thread.
pub fn thread_cpu() -> Duration {
    clock(rustix::time::ClockId::ThreadCPUTime)
}

fn clock(id: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(id);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// CPU time of a process, in steps of 10 ms; none once it is gone.
pub fn cpu_of(pid: u32) -> Option<Duration> {
    fields(&format!("/proc/{pid}/stat")).map(|it| ticks(it[0] + it[1]))
}

/// CPU time of the children this process waited for, in steps of 10 ms.
pub fn cpu_of_children() -> Duration {
    fields("/proc/self/stat").map_or(Duration::ZERO, |it| ticks(it[2] + it[3]))
}

/// utime, stime, cutime, cstime of proc_pid_stat(5). The name before them may hold anything but ends at the last ')'.
fn fields(path: &str) -> Option<[u64; 4]> {
    let text = std::fs::read_to_string(path).ok()?;
    let numbers: Vec<u64> = text
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .skip(11)
        .take(4)
        .map_while(|it| it.parse().ok())
        .collect();
    numbers.try_into().ok()
}

/// USER_HZ is 100 on every architecture Rust runs Linux on.
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 10)
}

/// Memory of a process, in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident now.
    pub now: f64,
    /// The most that was resident since the start or [`forget_peak`].
    pub peak: f64,
    /// Resident and not backed by a file.
    pub own: f64,
}

pub fn memory(pid: u32) -> Memory {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib: f64 = line.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
        kib / 1024.0
    };
    Memory { now: of("VmRSS:"), peak: of("VmHWM:"), own: of("RssAnon:") }
}

/// Resident memory in MiB with shared pages divided among those who share them.
pub fn share_of(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|it| it.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Lets the peak start again from what is resident now.
pub fn forget_peak(pid: u32) {
    // Refused for processes of others, which none of these is.
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}
