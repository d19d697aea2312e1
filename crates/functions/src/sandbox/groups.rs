//! Control groups: limits of memory and processes that the kernel keeps, where we may make groups.
//!
//! Both versions are known. The second takes limits only in groups without processes of their own above them, so there it
//! needs a group that was handed to us (systemd: `Delegate=yes`), which holds nobody else.
//!
//! Source: Linux kernel documentation, "Control Group v2", "Memory Resource Controller" and "Process Number Controller" (v1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the kernel keeps for a process besides its memory: tables of pages, buffers of pipes and sockets.
///
/// Choice: so that a function that stays below its memory is not ended for what it does not see.
const KERNEL_MB: u64 = 16;

/// How the groups of one Stillwire begin; the pid of its supervisor follows.
const PREFIX: &str = "stillwire-";

/// The groups that hold those of environments.
#[derive(Debug)]
pub(crate) struct Groups {
    version: u8,
    /// One in each hierarchy.
    parents: Vec<PathBuf>,
}

/// The groups of one environment. Dropping it removes them, once nothing is in them.
#[derive(Debug)]
pub(crate) struct Group(Vec<PathBuf>);

impl Groups {
    /// Makes them, below the groups of this process. Disk work: not for the reactor.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn open(supervisor: u32) -> Result<Self, String> {
        let read =
            |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
        let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mountinfo")?);
        let name = format!("{PREFIX}{supervisor}");
        let first = match unified(&own, &mounts, supervisor, &name) {
            Ok(parent) => return Ok(Self { version: 2, parents: vec![parent] }),
            Err(reason) => reason,
        };
        let v1 = ["memory", "pids"].map(|controller| {
            let above = place(&own, &mounts, controller)
                .ok_or_else(|| format!("there is no controller {controller}"))?;
            clear(&above);
            let parent = above.join(&name);
            fs::create_dir_all(&parent)
                .map_err(|error| format!("{}: {error}", parent.display()))?;
            Ok(parent)
        });
        match v1.into_iter().collect::<Result<Vec<_>, String>>() {
            Ok(parents) => Ok(Self { version: 1, parents }),
            Err(second) => Err(format!("v2: {first}; v1: {second}")),
        }
    }

    /// Removes all of them, at the end of everything in them. Disk work: not for the reactor.
    pub(crate) fn end(&self) {
        self.parents.iter().for_each(|parent| remove_all(parent));
    }

    pub(crate) fn version(&self) -> u8 {
        self.version
    }

    /// Makes those of an environment. Disk work: not for the reactor.
    pub(crate) fn make(&self, id: u64, memory_mb: u32, processes: usize) -> io::Result<Group> {
        let group = Group(self.parents.iter().map(|parent| parent.join(id.to_string())).collect());
        let bytes = (u64::from(memory_mb) + KERNEL_MB) * 1024 * 1024;
        for folder in &group.0 {
            fs::create_dir(folder)?;
            for (file, value, needed) in [
                ("memory.max", bytes, true),
                ("memory.swap.max", 0, false),
                ("memory.limit_in_bytes", bytes, true),
                ("memory.memsw.limit_in_bytes", bytes, false),
                ("pids.max", processes as u64, true),
            ] {
                let path = folder.join(file);
                if !path.exists() {
                    continue; // of another version or controller
                }
                let written = fs::write(&path, value.to_string());
                if needed {
                    written.map_err(|error| {
                        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                    })?;
                }
            }
        }
        Ok(group)
    }
}

impl Group {
    /// The files that take a process in.
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        self.0.iter().map(|folder| folder.join("cgroup.procs")).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.iter().for_each(|folder| remove(folder));
    }
}

/// Removes a group and those in it.
fn remove_all(parent: &Path) {
    let inner = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
    inner.filter(|path| path.is_dir()).for_each(|group| remove(&group));
    remove(parent);
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir(folder) {
        tracing::debug!(folder = %folder.display(), %error, "a control group is left");
    }
}

/// The group for all of ours in the second version.
fn unified(own: &str, mounts: &str, supervisor: u32, name: &str) -> Result<PathBuf, String> {
    let above = place(own, mounts, "").ok_or("it is not mounted")?;
    let file = |name: &str| {
        let path = above.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let controllers = file("cgroup.controllers")?;
    let has = |wanted: &str| controllers.split_whitespace().any(|name| name == wanted);
    if let Some(missing) = ["memory", "pids"].into_iter().find(|wanted| !has(wanted)) {
        return Err(format!(
            "it has no controller {missing} here; systemd hands them on with Delegate=yes"
        ));
    }
    clear(&above);
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let ours = [std::process::id(), supervisor];
    let processes = file("cgroup.procs")?;
    let is_ours = |pid: &str| pid.parse().is_ok_and(|pid| ours.contains(&pid));
    // The group at the root may hold processes; it alone has no such file.
    if above.join("cgroup.type").exists() {
        if !processes.split_whitespace().all(is_ours) {
            return Err(format!("its group {} holds other processes", above.display()));
        }
        let daemon = above.join("stillwire");
        fs::create_dir_all(&daemon).map_err(|error| format!("{}: {error}", daemon.display()))?;
        for pid in ours {
            write(daemon.join("cgroup.procs"), &pid.to_string())?;
        }
    }
    write(above.join("cgroup.subtree_control"), "+memory +pids")?;
    let parent = above.join(name);
    fs::create_dir_all(&parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    write(parent.join("cgroup.subtree_control"), "+memory +pids")?;
    Ok(parent)
}

/// Removes groups of runs that were killed.
fn clear(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove_all(&entry.path());
        }
    }
}

/// The folder of this process's group; the controller without a name is version two.
///
/// A line of `own` is `NUMBER:CONTROLLERS:PATH`. One of `mounts` has the mount's root in field 4 and its place in field 5,
/// and after ` - ` the type and the options, which in version one name the controllers.
fn place(own: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let mut fields = after.split(' ');
        let (kind, options) = (fields.next()?, fields.nth(1)?);
        let fits = match controller {
            "" => kind == "cgroup2",
            name => kind == "cgroup" && options.split(',').any(|option| option == name),
        };
        let below = Path::new(path).strip_prefix(root).ok()?;
        fits.then(|| Path::new(at).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "5:pids:/\n4:cpu,memory:/service/a\n0::/user.slice/b\n";
    const MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,cpu,memory
31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 25 0:28 /user.slice /sys/fs/cgroup/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn the_own_group_is_found_in_either_version() {
        let found = |controller| place(OWN, MOUNTS, controller);
        assert_eq!(found("memory"), Some("/sys/fs/cgroup/memory/service/a".into()));
        assert_eq!(found("pids"), Some("/sys/fs/cgroup/pids/".into()));
        assert_eq!(found(""), Some("/sys/fs/cgroup/unified/b".into()));
        assert_eq!(found("rdma"), None);
    }
}
