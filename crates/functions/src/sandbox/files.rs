//! What a strict sandbox may read, execute and write: rules that the process gives itself (Landlock).
//!
//! Source: Linux kernel documentation, "Landlock: unprivileged access control".

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::Confinement;

/// The newest version of the rules that is asked for; an older kernel gives what it has.
const ABI_WANTED: ABI = ABI::V6;

/// The system's programs, libraries, and what those read: nothing that is somebody's.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/java",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/java",
    "/etc/pki/tls",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/static/ssl",
    "/etc/timezone",
];

/// Devices that hold nothing.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Applies the rules to this process and all that descends from it, for good; gives the version of them that the
/// kernel has.
pub(super) fn apply(confinement: &Confinement) -> io::Result<u32> {
    let read = AccessFs::from_read(ABI_WANTED);
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI_WANTED))
        .map_err(io::Error::other)?
        .scope(Scope::from_all(ABI_WANTED))
        .map_err(io::Error::other)?
        .create()
        .map_err(io::Error::other)?;
    for path in SYSTEM.iter().map(Path::new).chain(confinement.readable.iter().map(AsRef::as_ref)) {
        rules = allow(rules, path, read)?;
    }
    for device in DEVICES {
        rules = allow(rules, device.as_ref(), AccessFs::from_file(ABI_WANTED))?;
    }
    for folder in writable(confinement) {
        rules = allow(rules, &folder, AccessFs::from_all(ABI_WANTED))?;
    }
    let status = rules.restrict_self().map_err(io::Error::other)?;
    match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi }
            if status.ruleset != RulesetStatus::NotEnforced =>
        {
            let known = u32::try_from(effective_abi as i32).unwrap_or_default();
            Ok(kernel_abi.and_then(|newer| newer.try_into().ok()).unwrap_or(known))
        }
        LandlockStatus::NotEnabled => Err(io::Error::other(
            "this kernel has it switched off; add `landlock` to the list `lsm=` of its command line",
        )),
        _ => Err(io::Error::other("this kernel has none; Linux 5.13 and newer can")),
    }
}

/// Adds a rule; what is not there needs none.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    // A file takes no rights of folders.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI_WANTED) };
    rules.add_rule(PathBeneath::new(opened, access)).map_err(io::Error::other)
}

fn writable(confinement: &Confinement) -> Vec<PathBuf> {
    if confinement.layers.namespaces {
        vec![super::mounts::TMP.into(), super::mounts::SHARED_MEMORY.into()]
    } else {
        vec![confinement.tmp.clone()]
    }
}
