//! `stillwire dev`: an app, live on this machine.
//!
//! Reads the app, takes its ports, opens its tables, starts its functions, and only then lets clients in.

mod addresses;
mod data_dir;
mod debug;
mod elsewhere;
pub(crate) mod function_logs;
mod functions;
mod host;
mod log_files;
mod logs;
mod ready;
mod screen;
pub(crate) mod synthesis;
mod tables;
mod variables;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stillwire_control::{ControlPlane, Home, Kept};
use stillwire_deploy::rewrite_addresses;
use stillwire_drain::Drain;
use stillwire_eventsources::{EventSources, Ports as SourcePorts};
use stillwire_front::{Front, Rooms};
use stillwire_functions::supervisor::Supervisor;
use stillwire_functions::{Config as FunctionsConfig, Functions, NoSandbox, Sandbox, usual_places};
use stillwire_gateway::{Config as GatewayConfig, Gateway, Keys, Ports};
use stillwire_lambda::{Home as LambdaHome, Kept as KeptFunctions};
use stillwire_listen::{Authority, Capacity, Door, system_bundle};
use stillwire_model::limits::FUNCTION_PROCESSES_MAX;
use stillwire_model::{App, Clock as _};
use stillwire_outbound::Outbound;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::cli::DevArgs;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::dev::addresses::Addresses;
use crate::dev::data_dir::DataDir;
use crate::dev::function_logs::FunctionLog;
use crate::dev::functions::{FunctionHouse, Known, Surroundings};
use crate::dev::host::Host;
use crate::dev::log_files::LogFiles;
use crate::dev::logs::Terminal;
use crate::dev::screen::Screen;
use crate::dev::synthesis::Source;
use crate::dev::tables::Tables;
use crate::dev::variables::Variables;
use crate::running::Note;
use crate::settings::Settings;

/// Descriptors that are not for clients: functions, tables, files.
const DESCRIPTORS_RESERVED: u64 = 1536;

/// Connections beyond those of clients, for requests of functions: to the AWS endpoint, and to `@connections`.
const REQUESTS_RESERVED: usize = 256;

/// Environments of all functions together.
const ENVIRONMENTS_MAX: usize = 64;

/// How long an environment may be idle before it is ended.
const ENVIRONMENT_IDLE: Duration = Duration::from_mins(5);

/// How long a stop waits for clients, invocations and `$disconnect`s, beside the time over which clients are sent
/// away. A second ^C does not wait.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) fn run(args: &DevArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    // First of all, while this process is small and has one thread: it starts all others.
    let supervisor =
        Supervisor::launch(&program, &["supervise"]).context("cannot start the supervisor")?;
    let runtime = Builder::new_multi_thread().worker_threads(workers()).enable_all().build()?;
    let ended = runtime.block_on(serve(args, &settings, supervisor, &program));
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
    args: &DevArgs,
    settings: &Settings,
    supervisor: Supervisor,
    program: &Path,
) -> Result<ExitCode> {
    let screen = Screen::new(settings.no_color);
    let terminal = Terminal::start(args.verbose, settings)?;
    let running = tokio::select! {
        started = start(args, settings, supervisor, program, screen, &terminal) => {
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
    if let Some(path) = &args.ready_file {
        ready::remove(path)?;
    }
    terminal.finish();
    Ok(ended)
}

/// How long a start waits for event sources to find where they begin: what is written after it is theirs.
const SOURCES_SETTLE: Duration = Duration::from_secs(5);

/// An app that answers. Its data folder is free again, and its tables are closed, when this is gone.
struct Running {
    gateway: Gateway,
    stop_grace: Duration,
    sources: EventSources,
    functions: Functions,
    drain: Drain,
    access_logs: Arc<LogFiles>,
    function_log: Arc<FunctionLog>,
    _note: Note,
    tables: Tables,
    _data: DataDir,
}

async fn start(
    args: &DevArgs,
    settings: &Settings,
    supervisor: Supervisor,
    program: &Path,
    screen: Screen,
    terminal: &Arc<Terminal>,
) -> Result<Running> {
    let began = Instant::now();
    if let Some(path) = &args.ready_file {
        ready::remove(path)?; // one that is there is of an earlier run
    }
    let connections_max = raise_descriptor_limit();
    tracing::info!(connections_max, "as many connections as the limit on open files allows");
    let source = Source::find(&args.app.path)?;
    let own = Config::read(args.config.as_deref(), source.app_dir())?;
    let data = DataDir::open(args, source.app_dir())?;
    let mut loaded = source.load(args, &data, program, screen).await?;
    screen.notices(&loaded.notices);

    let mut authority = Authority::open(&settings.state_dir, SystemClock.epoch_millis())?;
    let names: Vec<_> = loaded.app.domains().map(|domain| domain.name.to_string()).collect();
    if !names.is_empty() {
        authority.vouch_for(names, data.path().join("ca-bundle.pem"))?;
    }
    let authority = Arc::new(authority);
    let (addresses, doors) = Addresses::take(&loaded.app, args.port, &data)?;
    rewrite_addresses(&mut loaded.app, &|id| addresses.host_of(id));
    let debugged = debug::find(&mut loaded.app, &args.debug)?;
    let app = loaded.app;
    let kept_functions = KeptFunctions::read(
        (!args.in_memory).then(|| data.path().join("lambda.json")),
        data.path().join("functions"),
    )?;
    let kept = Kept::read((!args.in_memory).then(|| data.path().join("control-plane.json")))?;

    let home = home(&app);
    let tables = Tables::open(&own.tables, settings, &data, (&home.account, &home.region))?;
    let roles = tables::roles(&own.tables, &app)?;
    tables.provide(&app, screen).await?;

    let drain = Drain::new();
    let clock = Arc::new(SystemClock);
    let config = FunctionsConfig {
        debug: debugged.clone(),
        sandbox: sandbox(args, &own.functions),
        ..functions_config(settings, &own.functions, &data, &addresses, &app)?
    };
    let function_log = FunctionLog::start(Arc::clone(terminal), data.path())?;
    let functions =
        Functions::start(config, supervisor, function_log.clone(), clock.clone(), drain.clone())?;
    match functions.isolation().await {
        Ok(isolation) => isolation.iter().for_each(|isolation| screen.isolation(isolation)),
        Err(none) => return Err(no_sandbox(&none)),
    }
    let there = elsewhere::find(&app, &own)?;
    let known = Known::default();
    let house = FunctionHouse {
        functions: functions.clone(),
        variables: Variables::new(&app, &addresses, &authority, settings, &tables),
        known: known.clone(),
        elsewhere: there.keys().cloned().collect(),
    };
    let invoke = elsewhere::invoker(Arc::new(functions.clone()), there, settings, &drain)?;
    let surroundings = Surroundings {
        kept: kept_functions,
        invoke: Arc::clone(&invoke),
        home: LambdaHome { account: home.account.clone(), region: home.region.clone() },
        clock: clock.clone(),
        drain: drain.clone(),
        endpoints: settings.endpoints(),
        delays: own.event_delays(),
    };
    let lambda = functions::deploy(house, loaded.functions, &app, surroundings);

    let stop_spread = own.stop.spread.map_or(Duration::ZERO, |spread| spread.0);
    let config = GatewayConfig {
        connections_max,
        shards: 1,
        stop_spread,
        connection: own.limits(),
        stages: own.stages(),
        signed: own.signed(),
        keys: Keys::new(own.keys()?, Arc::new(known.clone())),
        endpoints: settings.endpoints(),
        patient: !debugged.is_empty(),
    };
    let access_logs = LogFiles::start("access log", data.path().join("access-logs"), None)?;
    let ports = SourcePorts {
        invoke: Arc::clone(&invoke),
        tables: tables.stores(),
        destinations: Arc::new(lambda.clone()),
        clock: clock.clone(),
        outbound: Outbound::new(system_bundle().as_deref()),
        endpoints: settings.endpoints(),
    };
    let sources =
        EventSources::new((!args.in_memory).then(|| data.path().join("event-sources")), ports);
    let ports = Ports {
        invoke,
        events: Arc::new(lambda.clone()),
        clock,
        tables: tables.stores(),
        access_logs: access_logs.clone(),
    };
    let gateway = Gateway::new(&config, ports).context("cannot start the gateway")?;
    // Functions reach their table and their clients however many clients there are.
    let for_functions = Capacity::new(REQUESTS_RESERVED);
    let capacity = Capacity::new(connections_max + REQUESTS_RESERVED);
    let door = |listener, capacity: &Capacity| {
        let tls = Arc::clone(&authority.tls);
        Door { listener, tls, capacity: capacity.clone() }
    };
    for (api, listener) in app.apis().zip(doors.apis) {
        let host = addresses.host_of(&api.id).unwrap_or_default();
        gateway.serve(Arc::clone(api), &host, door(listener, &capacity))?;
    }
    for (domain, listener) in app.domains().zip(doors.domains) {
        let host = addresses.host_of_domain(&domain.name).unwrap_or_default();
        gateway.serve_domain(Arc::clone(domain), &host, door(listener, &capacity))?;
    }
    let ports = (data.path().join("ports.json"), args.port);
    let host = Host::new(
        gateway.clone(),
        (&app, known.clone()),
        &addresses,
        (Arc::clone(&authority), capacity),
        ports,
    );
    let domains: Vec<_> = app.domains().map(|domain| domain.definition()).collect();
    let control = ControlPlane::start(
        kept,
        (&loaded.definitions, &domains),
        home.clone(),
        Arc::new(host),
        Arc::new(SystemClock),
    );
    let rooms = Rooms {
        tables: tables::front(&tables, &own, (known, roles), &home.region)?,
        control: Arc::new(control),
        lambda: Arc::new(lambda.clone()),
        metrics: Arc::new(gateway.clone()),
    };
    Front::new(rooms, &home.account).serve(door(doors.aws, &for_functions), &drain);

    // Everything answers once the functions can start. What they lack is installed first, and told as it goes.
    functions.prepare().await;
    lambda.run_event_sources(Arc::new(sources.clone()));
    sources.settle(SOURCES_SETTLE).await;
    screen.addresses(&app, &addresses, &source, &tables.shown(&data), began.elapsed());
    let content = ready::content(&app, &addresses, &authority);
    let note = Note::leave(settings, source.app_dir(), data.path(), content.clone())?;
    if let Some(path) = &args.ready_file {
        ready::write(path, &content)?;
    }
    Ok(Running {
        gateway,
        stop_grace: stop_spread + STOP_GRACE,
        sources,
        functions,
        drain,
        access_logs,
        function_log,
        _note: note,
        tables,
        _data: data,
    })
}

fn functions_config(
    settings: &Settings,
    own: &config::Functions,
    data: &DataDir,
    addresses: &Addresses,
    app: &App,
) -> Result<FunctionsConfig> {
    let path = settings.path.as_deref().map(OsStr::new);
    Ok(FunctionsConfig {
        cache_dir: settings.cache_dir.clone(),
        work_dir: data.work_dir()?,
        places: usual_places(path, Some(&settings.home)),
        cores: available_parallelism().map_or(2, usize::from),
        environments_max: own.environments.map_or(ENVIRONMENTS_MAX, |max| max as usize),
        idle_timeout: own.idle_timeout.map_or(ENVIRONMENT_IDLE, |time| time.0),
        debug: BTreeMap::new(),
        templates: own.templates.unwrap_or(true),
        sandbox: Sandbox::Usual,
        readable: own.readable.clone(),
        // What is kept for people and by this program itself; functions get the files of it that they need.
        hidden: vec![
            settings.home.clone(),
            settings.state_dir.clone(),
            settings.cache_dir.clone(),
            data.path().to_owned(),
        ],
        processes_max: own.processes.map_or(FUNCTION_PROCESSES_MAX, |most| most as usize),
        hosts: addresses.hosts(app),
        aws: addresses.aws(),
        reload: true,
    })
}

/// The command line says more than the file.
fn sandbox(args: &DevArgs, own: &config::Functions) -> Sandbox {
    match args.sandbox.or(own.sandbox) {
        None | Some(config::Sandbox::Usual) => Sandbox::Usual,
        Some(config::Sandbox::Strict) => Sandbox::Strict,
    }
}

fn no_sandbox(none: &NoSandbox) -> anyhow::Error {
    crate::report::hinted(
        none.to_string(),
        "it takes name spaces of users or Landlock (Linux 5.13 or newer with `landlock` in `lsm=`); \
         in a container, its own profile has to allow them. `--sandbox usual` runs functions without",
    )
}

/// Where APIs are made that no template declares: where the app's first stack is.
fn home(app: &App) -> Home {
    let first = app.stacks.first();
    Home {
        account: first.map_or_else(|| "000000000000".to_owned(), |stack| stack.account.clone()),
        region: first.map_or_else(|| "us-east-1".to_owned(), |stack| stack.region.clone()),
    }
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

/// Raises the limit on open files to what the operator allows; gives how many connections fit.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it cannot be raised the old limit stands.
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let room = current.unwrap_or(1 << 20).saturating_sub(DESCRIPTORS_RESERVED).clamp(64, 1 << 20);
    usize::try_from(room).unwrap_or(64)
}

/// Where everything listens.
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((LOOPBACK, port))
}

/// Whether the app has anything to serve.
fn check_not_empty(app: &App) -> Result<()> {
    if app.apis().next().is_some() {
        return Ok(());
    }
    Err(crate::report::hinted(
        "there is no WebSocket API in what was loaded",
        "`stillwire check` lists every resource; --stage and --stack may leave it out",
    ))
}
