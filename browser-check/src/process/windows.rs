//! The browser on Windows: in a job object with this process, which the system ends as a whole when
//! this process ends, however it ends.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use windows_sys::Win32::Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::{MAX_MEMORY, Pipes, Printed, arguments};

/// A running browser; it is killed when dropped, and its children with the job.
pub struct Browser {
    child: Child,
    pub printed: Printed,
}

impl Browser {
    /// # Errors
    /// The program cannot be started.
    pub fn start(program: &Path, profile: &Path) -> io::Result<(Self, Pipes)> {
        join_job()?;
        let (from_us, to) = io::pipe()?;
        let (from, to_us) = io::pipe()?;
        let inherited = [from_us.as_raw_handle(), to_us.as_raw_handle()];
        for handle in inherited {
            // SAFETY: the handle belongs to a pipe that lives until the browser has started.
            let set = unsafe {
                SetHandleInformation(handle as HANDLE, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)
            };
            if set == 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let [reads, writes] = inherited.map(|handle| handle as usize);
        let mut child = Command::new(program)
            .args(arguments(profile))
            .arg("--remote-debugging-pipe")
            .arg(format!("--remote-debugging-io-pipes={reads},{writes}"))
            .arg("about:blank")
            .env("TEMP", profile)
            .env("TMP", profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let printed = child.stderr.take().map(Printed::collect);
        let browser = Self {
            child,
            printed: printed.unwrap_or_default(),
        };
        let pipes = Pipes {
            to: Box::new(to),
            from: Box::new(from),
        };
        Ok((browser, pipes))
    }

    /// Ends the browser. Its children end with it, or with the job.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The job limits it.
    #[expect(clippy::unused_self, reason = "the other system measures it")]
    pub fn memory(&self) -> u64 {
        0
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Puts this process, and so everything it starts, into a new job. The job's only handle is never
/// closed: the system closes it with this process, which ends the job.
fn join_job() -> io::Result<()> {
    let limits = {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags =
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_JOB_MEMORY;
        // What is committed, which is more than what is used.
        limits.JobMemoryLimit = usize::try_from(MAX_MEMORY)
            .unwrap_or(usize::MAX)
            .saturating_mul(2);
        limits
    };
    // SAFETY: the arguments are null or point to a value that lives during the call.
    let joined = unsafe {
        let job = CreateJobObjectW(std::ptr::null(), std::ptr::null());
        !job.is_null()
            && SetInformationJobObject(
                job,
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size_of_val(&limits) as u32,
            ) != 0
            && AssignProcessToJobObject(job, GetCurrentProcess()) != 0
    };
    if joined {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
