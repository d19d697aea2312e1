//! The program: commands, and the only place where the rooms meet.

mod check;
mod cli;
mod clock;
mod config;
mod connect;
mod credentials;
mod deploy;
mod dev;
mod invoke;
mod keys;
mod logs;
mod report;
mod running;
mod settings;
mod style;
mod tables;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    // What Stillwire starts of itself; not for people, and not worth parsing a command line for.
    match std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) {
        Some("supervise") => return stillwire_functions::supervisor::run(),
        Some("enter") => return stillwire_functions::supervisor::enter(),
        Some("bundle") => return dev::synthesis::bundle(std::env::args_os().skip(2).collect()),
        _ => {}
    }
    let ran = match Cli::parse().command {
        Command::Dev(args) => dev::run(&dev::Wanted::App(args)),
        Command::Serve(args) => dev::run(&dev::Wanted::Deployments(args)),
        Command::Deploy(args) => deploy::deploy(&args),
        Command::Diff(args) => deploy::diff(&args),
        Command::Destroy(args) => deploy::destroy(&args),
        Command::List(args) => deploy::list(&args),
        Command::Env(args) => deploy::env(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Invoke(args) => invoke::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Tables(args) => tables::run(&args),
        Command::Check(args) => check::run(&args),
    };
    ran.unwrap_or_else(|error| report::failure(&error))
}
