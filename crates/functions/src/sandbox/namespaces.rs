//! Name spaces of users, mounts, processes, System V objects and host names, for one process and all it starts.
//!
//! Source: Linux manual pages, `namespaces(7)`, `user_namespaces(7)`, `pid_namespaces(7)`.

use std::fs;
use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

/// Without a name space of users these need the rights of root.
const PLAIN: UnshareFlags = UnshareFlags::NEWNS
    .union(UnshareFlags::NEWPID)
    .union(UnshareFlags::NEWIPC)
    .union(UnshareFlags::NEWUTS);

/// Leaves the name spaces of the machine. The next process that is started is the first of its own.
pub(super) fn leave() -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    match unshare(PLAIN | UnshareFlags::NEWUSER) {
        Ok(()) => {
            // The same ids inside as outside: files belong to whom they belong.
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1", user = user.as_raw()))?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1", group = group.as_raw()))?;
        }
        // Root can do without.
        Err(error) if user.is_root() => unshare(PLAIN).map_err(|_| error)?,
        Err(error) => {
            return Err(io::Error::new(
                error.kind(),
                format!(
                    "a name space of users ({error}); allow them (`sysctl user.max_user_namespaces`, \
                     `kernel.apparmor_restrict_unprivileged_userns`, or the container's own profile)"
                ),
            ));
        }
    }
    keep_mounting()
}

/// The one right that the next program needs to lay out its mounts survives an `exec` only this way, unless it is root.
fn keep_mounting() -> io::Result<()> {
    let now = rustix::thread::capabilities(None)?;
    let inheritable = CapabilitySet::SYS_ADMIN;
    rustix::thread::set_capabilities(None, CapabilitySets { inheritable, ..now })?;
    Ok(rustix::thread::configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?)
}

/// Gives up every right, for good: with `no_new_privs` no program brings any back.
pub(super) fn drop_rights() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

#[expect(
    deprecated,
    reason = "unsound only for FILES, with threads; this process has one and keeps its files"
)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// Whether the kernel counts processes by name space of users.
///
/// Source: Linux 5.14, "Count rlimits in each user namespace". Before that a limit counts all of the user's processes.
pub(super) fn counts_processes() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    // Root is never counted.
    version >= (5, 14) && !rustix::process::geteuid().is_root()
}
