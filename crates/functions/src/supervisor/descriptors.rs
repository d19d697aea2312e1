//! Descriptors that a shell or a service manager left open in the daemon: no function gets them.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::{FdFlags, fcntl_setfd};

/// Has every descriptor but the standard ones closed in programs that are started from now on.
///
/// What this program opens itself is closed there anyway.
pub(super) fn keep() -> io::Result<()> {
    let names = fs::read_dir("/proc/self/fd")?.flatten().map(|entry| entry.file_name());
    let numbers: Vec<i32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        mark(number)?;
    }
    Ok(())
}

#[allow(
    unsafe_code,
    reason = "what was inherited has no owner in this program, so no safe type names it"
)]
fn mark(number: i32) -> io::Result<()> {
    // SAFETY: a flag is set, nothing is closed or kept; a number that is not open any more is refused by the kernel.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    match fcntl_setfd(descriptor, FdFlags::CLOEXEC) {
        // That of the folder that was read.
        Err(rustix::io::Errno::BADF) => Ok(()),
        marked => Ok(marked?),
    }
}
