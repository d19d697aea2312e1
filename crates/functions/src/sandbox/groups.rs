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

/// The controllers that are needed.
const MEMORY: &str = "memory";
/// See [`MEMORY`].
const PIDS: &str = "pids";

/// How the groups of one Stillwire begin; the pid of its supervisor follows.
const PREFIX: &str = "stillwire-";

/// The groups that hold those of environments.
#[derive(Debug)]
pub(crate) struct Groups {
    version: u8,
    /// One in each hierarchy: of version one, memory first.
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
        Self::within(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?, supervisor)
    }

    /// The same, where the kernel says so of this process's groups and mounts.
    fn within(own: &str, mounts: &str, supervisor: u32) -> Result<Self, String> {
        let name = format!("{PREFIX}{supervisor}");
        let first = match unified(own, mounts, supervisor, &name) {
            Ok(parent) => return Ok(Self { version: 2, parents: vec![parent] }),
            Err(reason) => reason,
        };
        let v1 = [MEMORY, PIDS].map(|controller| {
            let above = place(own, mounts, controller)
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
        let most = processes as u64;
        // The last of each says whether it is needed: not every kernel has, or lends, what is not.
        let unified = [
            ("memory.max", bytes, true),
            ("memory.swap.max", 0, false),
            ("memory.oom.group", 1, false),
            ("pids.max", most, true),
        ];
        let memory =
            [("memory.limit_in_bytes", bytes, true), ("memory.memsw.limit_in_bytes", bytes, false)];
        let pids = [("pids.max", most, true)];
        let limits: [&[_]; 2] = if self.version == 2 { [&unified, &[]] } else { [&memory, &pids] };
        for (folder, limits) in group.0.iter().zip(limits) {
            fs::create_dir(folder)?;
            for (file, value, needed) in limits {
                let path = folder.join(file);
                match fs::write(&path, value.to_string()) {
                    Err(error) if *needed => {
                        let text = format!("{}: {error}", path.display());
                        return Err(io::Error::new(error.kind(), text));
                    }
                    _ => {}
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
    if let Some(missing) = [MEMORY, PIDS].into_iter().find(|wanted| !has(wanted)) {
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

    /// A folder that stands in for where groups are mounted; files appear there when they are written.
    struct Stand {
        root: tempfile::TempDir,
        own: &'static str,
    }

    const SUPERVISOR: u32 = 5_000_000;

    impl Stand {
        fn read(&self, name: &str) -> String {
            let path = self.root.path().join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn open(&self) -> Result<Groups, String> {
            let root = self.root.path().display();
            let mounts = format!(
                "30 25 0:26 / {root}/memory rw - cgroup cgroup rw,memory\n\
                 31 25 0:27 / {root}/pids rw - cgroup cgroup rw,pids\n\
                 32 25 0:28 / {root} rw - cgroup2 cgroup2 rw\n"
            );
            Groups::within(self.own, &mounts, SUPERVISOR)
        }

        /// The second version, with a group that was handed to us.
        fn delegated() -> Self {
            let stand = Self { root: tempfile::tempdir().unwrap(), own: "0::/service\n" };
            stand.write("service/cgroup.controllers", "cpu memory pids\n");
            stand.write("service/cgroup.type", "domain\n");
            stand.write("service/cgroup.procs", &format!("{}\n{SUPERVISOR}\n", std::process::id()));
            stand
        }
    }

    #[test]
    fn in_a_delegated_group_of_version_two_each_environment_has_limits() {
        let stand = Stand::delegated();
        // Of a run that was killed; no process has this id.
        let stale = stand.root.path().join("service/stillwire-5000001");
        fs::create_dir(&stale).unwrap();
        let groups = stand.open().unwrap();
        assert_eq!(groups.version(), 2);
        assert!(!stale.exists());
        // No group with limits below it may have processes: ours have one of their own.
        assert_eq!(stand.read("service/stillwire/cgroup.procs"), SUPERVISOR.to_string());
        for group in ["service", "service/stillwire-5000000"] {
            assert_eq!(stand.read(&format!("{group}/cgroup.subtree_control")), "+memory +pids");
        }
        let group = groups.make(7, 128, 40).unwrap();
        let made = "service/stillwire-5000000/7";
        for (file, value) in [
            ("memory.max", (144 * 1024 * 1024).to_string()),
            ("memory.swap.max", "0".to_owned()),
            ("memory.oom.group", "1".to_owned()),
            ("pids.max", "40".to_owned()),
        ] {
            assert_eq!(stand.read(&format!("{made}/{file}")), value, "{file}");
        }
        assert_eq!(group.doors(), [stand.root.path().join(made).join("cgroup.procs")]);
        assert!(groups.make(7, 128, 40).is_err(), "it is there");
    }

    #[test]
    fn a_group_that_is_not_ours_alone_or_lacks_a_controller_has_no_limits_to_give() {
        let stand = Stand::delegated();
        stand.write("service/cgroup.procs", "1\n");
        let reason = stand.open().unwrap_err();
        assert!(reason.contains("holds other processes"), "{reason}");
        // The group at the root may hold processes.
        fs::remove_file(stand.root.path().join("service/cgroup.type")).unwrap();
        assert_eq!(stand.open().unwrap().version(), 2);
        stand.write("service/cgroup.controllers", "cpu pids\n");
        let reason = stand.open().unwrap_err();
        assert!(reason.contains("no controller memory") && reason.contains("Delegate=yes"));
        assert!(reason.contains("; v1: there is no controller memory"), "{reason}");
    }

    #[test]
    fn in_version_one_each_controller_has_its_group() {
        let own = "5:pids:/\n4:cpu,memory:/a\n";
        let stand = Stand { root: tempfile::tempdir().unwrap(), own };
        let groups = stand.open().unwrap();
        assert_eq!(groups.version(), 1);
        let group = groups.make(7, 128, 40).unwrap();
        let bytes = (144 * 1024 * 1024).to_string();
        assert_eq!(stand.read("memory/a/stillwire-5000000/7/memory.limit_in_bytes"), bytes);
        assert_eq!(stand.read("pids/stillwire-5000000/7/pids.max"), "40");
        assert_eq!(group.doors().len(), 2);
    }
}
