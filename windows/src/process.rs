//! Time, memory and handles of this process.

use std::io;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessHandleCount, GetProcessTimes,
};

/// Intervals of 100 ns, in which Windows counts time, in a second.
const TICKS: f64 = 1e7;
/// Seconds from 1601, where Windows begins, to 1970.
const EPOCH: f64 = 11_644_473_600.0;

#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Of user and system.
    pub cpu_seconds: f64,
    /// Unix time.
    pub start_time_seconds: f64,
    pub resident_bytes: u64,
    /// What is committed.
    pub virtual_bytes: u64,
    pub open_handles: u32,
}

impl Process {
    /// # Errors
    /// Windows does not answer.
    pub fn current() -> io::Result<Self> {
        let mut times = [FILETIME::default(); 4];
        let [created, exited, kernel, user] = &mut times;
        let mut memory = PROCESS_MEMORY_COUNTERS::default();
        let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
        let mut open_handles = 0;
        // SAFETY: the pointers are to values that live during the calls, with their size; the handle of the own
        // process is a constant that need not be closed.
        let succeeded = unsafe {
            let process = GetCurrentProcess();
            GetProcessTimes(process, created, exited, kernel, user) != 0
                && K32GetProcessMemoryInfo(process, &mut memory, size) != 0
                && GetProcessHandleCount(process, &mut open_handles) != 0
        };
        if !succeeded {
            return Err(io::Error::last_os_error());
        }
        let [created, _, kernel, user] = times.map(seconds);
        Ok(Self {
            cpu_seconds: kernel + user,
            start_time_seconds: created - EPOCH,
            resident_bytes: memory.WorkingSetSize as u64,
            virtual_bytes: memory.PagefileUsage as u64,
            open_handles,
        })
    }
}

fn seconds(time: FILETIME) -> f64 {
    let ticks = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    ticks as f64 / TICKS
}
