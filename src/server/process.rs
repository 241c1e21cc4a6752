//! What the process takes of the machine, as the kernel tells it (proc(5)).
//!
//! Invariant: it is read when somebody asks, and costs a few system calls.

use bellhop_actors::metrics::Process;
use procfs::process::{LimitValue, Process as Own};
use procfs::{ProcResult, WithCurrentSystemInfo};

pub(crate) fn take() -> ProcResult<Process> {
    let own = Own::myself()?;
    let (stat, limits) = (own.stat()?, own.limits()?);
    let max_open_files = match limits.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    };
    let ticks = procfs::ticks_per_second();
    let started = procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks as f64;
    Ok(Process {
        cpu_seconds: (stat.utime + stat.stime) / ticks,
        resident_bytes: stat.rss_bytes().get(),
        virtual_bytes: stat.vsize,
        threads: stat.num_threads.unsigned_abs(),
        open_files: own.fd_count()? as u64,
        max_open_files,
        started_unix: started,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let taken = take().expect("this is Linux");
        assert!(taken.resident_bytes > 100_000 && taken.threads >= 1 && taken.open_files >= 3, "{taken:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs_f64();
        assert!((0.0..86_400.0).contains(&(now - taken.started_unix + 2.0)), "{taken:?} at {now}");
    }
}
