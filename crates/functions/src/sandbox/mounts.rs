//! What an environment sees of the file system: its own `/tmp`, an empty place where others keep their things, and within
//! those only what it may read.
//!
//! Rules for files deny what is read or written, but not a connection to somebody's socket; what cannot be seen cannot be
//! asked. Whoever lays out the mounts is the first process of new name spaces.
//!
//! Source: Linux manual pages, `mount_namespaces(7)`, `open_tree(2)`, `move_mount(2)`.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    mount_remount, move_mount, open_tree,
};

use super::Confinement;

/// Where a function finds its own folder for temporary files.
pub(super) const TMP: &str = "/tmp";
/// Memory that processes share by name.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";

/// Folders of people and of other programs: what lies there is no function's.
const OTHERS: [&str; 9] =
    ["/home", "/root", "/run", "/var/tmp", "/var/lib", "/mnt", "/media", "/srv", "/boot"];

/// Names in places that are empty otherwise.
const EMPTY: &CStr = c"size=1m,mode=755";
/// As large as what containers get.
const SHARED: &CStr = c"size=64m,mode=1777";

const HARMLESS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What comes to a place.
enum Place {
    /// Its own folder.
    Tmp(OwnedFd),
    /// Shared memory.
    Shared,
    /// Nothing.
    Empty,
    /// What was there before something above it was covered.
    Same(OwnedFd),
    /// Another name of such a place.
    Link(PathBuf),
}

/// Lays out the mounts of this process's own name space; gives whether it has a `/proc` of its own.
pub(super) fn lay_out(confinement: &Confinement) -> io::Result<bool> {
    // Nothing of this reaches the machine.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let mut places = BTreeMap::from([
        (PathBuf::from(TMP), Place::Tmp(taken(&confinement.tmp, false)?)),
        (PathBuf::from(SHARED_MEMORY), Place::Shared),
    ]);
    let wanted: Vec<PathBuf> =
        confinement.readable.iter().chain(&resolver()).filter_map(real).collect();
    let hidden = confinement.hidden.iter().map(AsRef::as_ref);
    for path in OTHERS.iter().map(Path::new).chain(hidden).filter_map(real) {
        // What is asked for by name is not hidden, and a folder that holds the system is none of one person.
        if path.is_dir() && !wanted.contains(&path) && !Path::new(TMP).starts_with(&path) {
            places.entry(path).or_insert(Place::Empty);
        }
    }
    let covers: Vec<PathBuf> = places.keys().cloned().collect();
    let covered = |path: &Path| covers.iter().any(|at| path != *at && path.starts_with(at));
    for path in wanted {
        if covered(&path) {
            let same = Place::Same(taken(&path, true)?);
            places.insert(path, same);
        }
    }
    // Interpreters are often installed below a link (`current`), which is covered with what is around it.
    for name in confinement.readable.iter().filter(|name| covered(name)) {
        if let Some(path) = real(name).filter(|path| path != name) {
            places.entry(name.clone()).or_insert(Place::Link(path));
        }
    }
    // What lies in an empty place is hidden already.
    let nearest = |path: &Path| path.ancestors().skip(1).find_map(|above| places.get(above));
    let is_open = |place: &Place| matches!(place, Place::Same(_) | Place::Link(_));
    let shown = |path: &Path| nearest(path).is_none_or(is_open);
    let twice: Vec<PathBuf> = places
        .iter()
        .filter(|(path, place)| matches!(place, Place::Empty) && !shown(path))
        .map(|(path, _)| path.clone())
        .collect();
    places.retain(|path, _| !twice.contains(path));
    // A map of paths has a folder before what lies in it.
    for (path, place) in &places {
        put(path, place).map_err(|error| at(path, &error))?;
    }
    for path in places.iter().filter(|(_, place)| matches!(place, Place::Empty)).map(|(p, _)| p) {
        let sealed = MountFlags::RDONLY | MountFlags::NOEXEC | HARMLESS;
        mount_remount(path, sealed, c"").map_err(|error| at(path, &error.into()))?;
    }
    // A container's `/proc` may be such that no other is allowed; what it shows of others cannot be opened from here.
    let flags = HARMLESS | MountFlags::NOEXEC;
    Ok(mount(c"proc", c"/proc", c"proc", flags, None).is_ok())
}

fn put(path: &Path, place: &Place) -> io::Result<()> {
    let tmpfs = |options: &CStr| mount(c"tmpfs", path, c"tmpfs", HARMLESS, options);
    match place {
        Place::Empty => tmpfs(EMPTY)?,
        Place::Shared if path.is_dir() => tmpfs(SHARED)?,
        Place::Shared => {}
        Place::Tmp(tree) => attach(tree, path)?,
        Place::Same(tree) => {
            attach(tree, path)?;
            seal(path)?;
        }
        // It is there where something around it is.
        Place::Link(_) if fs::symlink_metadata(path).is_ok() => {}
        Place::Link(to) => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            std::os::unix::fs::symlink(to, path)?;
        }
    }
    Ok(())
}

/// A tree of files as it is now, to be put elsewhere.
fn taken(path: &Path, whole: bool) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let flags = if whole { flags | OpenTreeFlags::AT_RECURSIVE } else { flags };
    open_tree(rustix::fs::CWD, path, flags).map_err(|error| at(path, &error.into()))
}

/// Makes a mount read-only; what else it was is not ours to change.
///
/// Rules for files would not do: they go by folders, and this may lie within the one that may be written.
fn seal(path: &Path) -> io::Result<()> {
    let now = rustix::fs::statvfs(path)?.f_flag;
    let kept = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let kept = kept.into_iter().filter(|(was, _)| now.contains(*was)).map(|(_, flag)| flag);
    let flags = kept.fold(MountFlags::BIND | MountFlags::RDONLY, MountFlags::union);
    Ok(mount_remount(path, flags, c"")?)
}

fn attach(tree: &OwnedFd, path: &Path) -> io::Result<()> {
    let is_dir =
        fs::metadata(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(tree)))?.is_dir();
    if is_dir {
        fs::create_dir_all(path)?;
    } else if !path.exists() {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::File::create(path)?;
    }
    Ok(move_mount(tree, c"", rustix::fs::CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Where names are looked up, if that is a link to a place that is covered.
fn resolver() -> Option<PathBuf> {
    real(Path::new("/etc/resolv.conf"))
}

fn real(path: impl AsRef<Path>) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the mount at {} ({error})", path.display()))
}
