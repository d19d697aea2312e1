//! `stillwire dev`: an app, live on this machine. `stillwire serve`: the same for what is deployed.
//!
//! | file | what it does |
//! | --- | --- |
//! | `start`, `rooms` | reads the app, takes its ports, opens its tables, starts its functions, and only then lets clients in |
//! | `synthesis`, `declared` | what is read: the app, from its source or assembly; all that is declared |
//! | `watch`, `follow`, `change`, `live` | a source changes: that is noticed, read, told, and what runs becomes what it says |
//! | `deployments`, `stacks`, `logged` | what deploy tools speak to; the stacks that they send; logs as they read them |
//! | `addresses`, `reach`, `host` | which API is where; APIs that are served besides |
//! | `functions`, `variables`, `elsewhere`, `debug` | what functions get, and where they run |
//! | `tables`, `data_dir` | where tables and other state are kept |
//! | `screen`, `logs`, `function_logs`, `log_files`, `ready` | what people and programs see |

mod addresses;
pub(crate) mod change;
mod data_dir;
mod debug;
mod declared;
mod declared_tables;
mod deployments;
mod elsewhere;
mod follow;
pub(crate) mod function_logs;
mod functions;
mod host;
mod live;
mod log_files;
mod logged;
mod logs;
mod reach;
mod ready;
mod rooms;
mod screen;
mod sdk_calls;
mod stacks;
mod start;
pub(crate) mod synthesis;
mod tables;
mod variables;
mod watch;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stillwire_drain::Drain;
use stillwire_eventsources::EventSources;
use stillwire_functions::Functions;
use stillwire_functions::supervisor::Supervisor;
use stillwire_gateway::Gateway;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{DevArgs, HouseArgs, ServeArgs};
use crate::dev::data_dir::DataDir;
use crate::dev::function_logs::FunctionLog;
use crate::dev::log_files::LogFiles;
use crate::dev::logs::Terminal;
use crate::dev::screen::Screen;
use crate::dev::start::start;
use crate::dev::tables::Tables;
use crate::settings::Settings;

/// How long a stop waits for clients, invocations and `$disconnect`s, beside the time over which clients are sent
/// away. A second ^C does not wait.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What is to run.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// An app, from its source.
    App(DevArgs),
    /// Only what is deployed.
    Deployments(ServeArgs),
}

impl Wanted {
    /// Where and how it is held.
    fn house(&self) -> &HouseArgs {
        match self {
            Self::App(args) => &args.house,
            Self::Deployments(args) => &args.house,
        }
    }

    /// The app, where one is run from its source.
    fn app(&self) -> Option<&DevArgs> {
        match self {
            Self::App(args) => Some(args),
            Self::Deployments(_) => None,
        }
    }
}

/// Runs the command.
pub(crate) fn run(wanted: &Wanted) -> Result<ExitCode> {
    let settings = Settings::read();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    // First of all, while this process is small and has one thread: it starts all others.
    let supervisor =
        Supervisor::launch(&program, &["supervise"]).context("cannot start the supervisor")?;
    let runtime = Builder::new_multi_thread().worker_threads(workers()).enable_all().build()?;
    let ended = runtime.block_on(serve(wanted, &settings, supervisor, &program));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Threads for everything that waits for nothing but sockets.
///
/// Functions want the other cores, and handing a message from thread to thread costs more than serving it.
fn workers() -> usize {
    (available_parallelism().map_or(1, usize::from) / 2).max(1)
}

async fn serve(
    wanted: &Wanted,
    settings: &Settings,
    supervisor: Supervisor,
    program: &Path,
) -> Result<ExitCode> {
    let screen = Screen::new(settings.no_color);
    let terminal = Terminal::start(wanted.house().verbose, settings)?;
    let running = tokio::select! {
        started = start(wanted, settings, supervisor, program, screen, &terminal) => {
            started.inspect_err(|_| terminal.finish())?
        }
        stopped = interrupted() => {
            stopped?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let ended = tokio::select! {
        stopped = interrupted() => stopped.map(|()| ExitCode::SUCCESS)?,
        () = running.tables.failed() => {
            // What was acknowledged is kept; what comes now might not be.
            Screen::disk_failed();
            ExitCode::FAILURE
        }
    };
    Screen::stopping(running.gateway.connections());
    tokio::select! {
        () = running.stop() => {}
        again = interrupted() => again?,
    }
    if let Some(path) = &wanted.house().ready_file {
        ready::remove(path)?;
    }
    terminal.finish();
    Ok(ended)
}

/// An app that answers. Its data folder is free again, and its tables are closed, when this is gone.
struct Running {
    gateway: Gateway,
    stop_grace: Duration,
    sources: EventSources,
    functions: Functions,
    drain: Drain,
    access_logs: Arc<LogFiles>,
    function_log: Arc<FunctionLog>,
    tables: Tables,
    _data: DataDir,
}

/// Waits for ^C or a polite request to end.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

impl Running {
    /// Clients leave first, then their functions, then everything else.
    async fn stop(&self) {
        // What event sources have begun runs to its end meanwhile.
        let (mut late, sources) =
            tokio::join!(self.gateway.stop(self.stop_grace), self.sources.stop(self.stop_grace));
        late.extend(sources);
        if !late.is_empty() {
            tracing::warn!(?late, "stopped before these were done");
        }
        self.functions.stop(Duration::from_secs(1)).await;
        self.drain.finish(Duration::from_secs(1)).await;
        self.access_logs.finish();
        self.function_log.finish();
    }
}

/// Where everything listens.
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((LOOPBACK, port))
}
