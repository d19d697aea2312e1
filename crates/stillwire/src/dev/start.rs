//! From the command line to an app that answers.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stillwire_control::{ControlPlane, Home, Kept};
use stillwire_deploy::rewrite_addresses;
use stillwire_drain::Drain;
use stillwire_eventsources::{EventSources, Ports as SourcePorts};
use stillwire_front::{Front, Rooms as FrontRooms};
use stillwire_functions::supervisor::Supervisor;
use stillwire_functions::{Config as FunctionsConfig, Functions, NoSandbox, Sandbox, usual_places};
use stillwire_gateway::{Config as GatewayConfig, Gateway, Keys, Ports};
use stillwire_lambda::{Home as LambdaHome, Kept as KeptFunctions};
use stillwire_listen::{Authority, Capacity, Door, system_bundle};
use stillwire_model::limits::FUNCTION_PROCESSES_MAX;
use stillwire_model::{App, Clock as _};
use stillwire_outbound::Outbound;
use tokio::time::Instant;

use crate::check;
use crate::cli::HouseArgs;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::dev::addresses::Addresses;
use crate::dev::data_dir::DataDir;
use crate::dev::declared::Declared;
use crate::dev::deployments::Deployments;
use crate::dev::follow::Follower;
use crate::dev::function_logs::FunctionLog;
use crate::dev::functions::{self, FunctionHouse, Known, Surroundings, as_deployed};
use crate::dev::host::Host;
use crate::dev::live::{Circumstances, Current, Live, Rooms, exports};
use crate::dev::log_files::LogFiles;
use crate::dev::logged::Logged;
use crate::dev::logs::Terminal;
use crate::dev::screen::Screen;
use crate::dev::stacks::{Sent, Stacks};
use crate::dev::synthesis::{Source, Workshop};
use crate::dev::tables::{self, Tables};
use crate::dev::variables::Variables;
use crate::dev::watch::Watch;
use crate::dev::{Running, STOP_GRACE, Wanted, debug, elsewhere, ready, sdk_calls};
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

/// How long a start waits for event sources to find where they begin: what is written after it is theirs.
const SOURCES_SETTLE: Duration = Duration::from_secs(5);

/// Starts everything.
pub(super) async fn start(
    wanted: &Wanted,
    settings: &Settings,
    supervisor: Supervisor,
    program: &Path,
    screen: Screen,
    terminal: &Arc<Terminal>,
) -> Result<Running> {
    let (began, args) = (Instant::now(), wanted.house());
    if let Some(path) = &args.ready_file {
        ready::remove(path)?; // one that is there is of an earlier run
    }
    let connections_max = raise_descriptor_limit();
    tracing::info!(connections_max, "as many connections as the limit on open files allows");
    let source = wanted.app().map(|args| Source::find(&args.app.path)).transpose()?;
    let app_dir = source.as_ref().map_or_else(|| Path::new("."), Source::app_dir);
    let own = Config::read(args.config.as_deref(), app_dir)?;
    let usual = match &source {
        Some(source) => source.app_dir().join(".stillwire"),
        None => settings.state_dir.join("serve"),
    };
    let data = DataDir::open(args, usual)?;
    let deployments = Deployments::open(&data, args.in_memory)?;
    let holdings = deployments.holdings();
    let workshop = wanted.app().map(|args| Workshop {
        args: args.clone(),
        data: data.path().to_owned(),
        program: program.to_owned(),
        environments: settings.cache_dir.join("cdk"),
        parameters: Arc::clone(&holdings.parameters),
        screen,
    });
    let mut loaded = None;
    if let (Some(source), Some(workshop)) = (&source, &workshop) {
        let read = source.load(workshop, BTreeMap::new()).await?;
        check_not_empty(&read.app)?;
        check::strict(&workshop.args.app, &read)?;
        screen.notices(&read.notices);
        screen.resources(&read.resources);
        loaded = Some(read);
    }
    let home = home(loaded.as_ref().map(|loaded| &loaded.app));
    let exported = loaded.as_ref().map(exports).unwrap_or_default();
    let (sent, deployed) = Sent::restore(&deployments.deployed(), &holdings, &exported, screen);
    let mut declared = Declared::by(loaded.iter().chain(&deployed))?;

    let authority = authority(settings, &declared.app, &data)?;
    let (addresses, doors) = Addresses::take(&declared.app, args.port, &data)?;
    rewrite_addresses(&mut declared.app, &|id| addresses.host_of(id));
    let debug = wanted.app().map(|args| args.debug.clone()).unwrap_or_default();
    let debugged = debug::find(&mut declared.app, &debug)?;
    declared.functions = as_deployed(declared.functions, &declared.app);
    let app = &declared.app;
    let kept_functions = KeptFunctions::read(
        (!args.in_memory).then(|| data.path().join("lambda.json")),
        data.path().join("functions"),
    )?;
    let kept = Kept::read((!args.in_memory).then(|| data.path().join("control-plane.json")))?;

    let tables = Tables::open(&own.tables, settings, &data, (&home.account, &home.region))?;
    let roles = tables::roles(&own.tables, app)?;
    tables.provide(&App::default(), app, screen).await?;
    let calls_made = (!args.in_memory).then(|| data.path().join("sdk-calls.json"));
    sdk_calls::make(&declared.sdk_calls, &tables, calls_made.as_deref(), screen).await?;

    let drain = Drain::new();
    let clock = Arc::new(SystemClock);
    let config = FunctionsConfig {
        debug: debugged.clone(),
        sandbox: sandbox(args, &own.functions),
        ..functions_config(settings, &own.functions, &data, &addresses, app)?
    };
    let function_log = FunctionLog::start(Arc::clone(terminal), data.path())?;
    let functions =
        Functions::start(config, supervisor, function_log.clone(), clock.clone(), drain.clone())?;
    match functions.isolation().await {
        Ok(isolation) => isolation.iter().for_each(|isolation| screen.isolation(isolation)),
        Err(none) => return Err(no_sandbox(&none)),
    }
    let there = elsewhere::find(app, &own)?;
    let known = Known::default();
    let house = Arc::new(FunctionHouse::new(
        functions.clone(),
        known.clone(),
        Variables::new(app, &addresses, &authority, settings, &tables),
        there.keys().cloned().collect(),
    ));
    let (invoke, elsewhere) =
        elsewhere::invoker(Arc::new(functions.clone()), there, settings, &drain)?;
    let surroundings = Surroundings {
        kept: kept_functions,
        invoke: Arc::clone(&invoke),
        objects: Arc::clone(&holdings.objects),
        home: LambdaHome { account: home.account.clone(), region: home.region.clone() },
        clock: clock.clone(),
        drain: drain.clone(),
        endpoints: settings.endpoints(),
        delays: own.event_delays(),
    };
    let lambda = functions::deploy(Arc::clone(&house), &declared, surroundings);

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
    let config = GatewayConfig {
        patient: !debugged.is_empty(),
        ..gateway_config(&own, settings, connections_max, &known)?
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
    let host = Arc::new(Host::new(
        gateway.clone(),
        (app, known.clone()),
        &addresses,
        (Arc::clone(&authority), capacity),
        ports,
    ));
    let control = ControlPlane::start(
        kept,
        (&declared.apis, &declared.domains()),
        home.clone(),
        host.clone(),
        Arc::new(SystemClock),
    );
    let logged = Logged { functions: known.clone(), data: data.path().to_owned() };
    let services = deployments.serve(&data, args.in_memory, Arc::new(logged), &drain)?;
    let behind = FrontRooms {
        tables: tables::front(&tables, &own, (known, roles.clone()), &home.region)?,
        services: services.whole.clone(),
        objects: Arc::new(services.assets.clone()),
        issued: Arc::new(services.sts.clone()),
        control: Arc::new(control.clone()),
        lambda: Arc::new(lambda.clone()),
        metrics: Arc::new(gateway.clone()),
    };
    Front::new(behind, &home.account).serve(door(doors.aws, &for_functions), &drain);

    // Everything answers once the functions can start. What they lack is installed first, and told as it goes.
    functions.prepare().await;
    lambda.run_event_sources(Arc::new(sources.clone()));
    sources.settle(SOURCES_SETTLE).await;
    screen.addresses(app, &addresses, source.as_ref(), &tables.shown(&data), began.elapsed());
    let content = ready::content(app, &addresses, &authority);
    let note = Note::leave(
        settings,
        source.as_ref().map_or_else(|| data.path(), Source::app_dir),
        data.path(),
        content.clone(),
    )?;
    let stop_grace = config.stop_spread + STOP_GRACE;
    let rooms = Rooms {
        gateway: gateway.clone(),
        functions: functions.clone(),
        house,
        lambda,
        control,
        host,
        tables: tables.clone(),
        roles,
        elsewhere,
        authority,
        drain: drain.clone(),
    };
    let circumstances = Circumstances {
        settings: settings.clone(),
        own,
        debug,
        ready_file: args.ready_file.clone(),
        sdk_calls: calls_made,
        screen,
    };
    let current = Current { source: loaded, deployed, declared, addresses, note };
    let live = Arc::new(Live::new(rooms, circumstances, current));
    let stacks = Arc::new(Stacks::new(sent, Arc::clone(&live), holdings, drain.clone()));
    // Reading what was deployed waits for the disk.
    tokio::task::spawn_blocking(move || services.deploy_to(stacks)).await?;
    if let Some(path) = &args.ready_file {
        ready::write(path, &content)?;
    }
    if let (Some(source), Some(workshop)) = (source, workshop) {
        follow(Follower { live, source, workshop }, &drain);
    }
    Ok(Running {
        gateway,
        stop_grace,
        sources,
        functions,
        drain,
        access_logs,
        function_log,
        tables,
        _data: data,
    })
}

/// Follows the sources of the app, until the end.
fn follow(follower: Follower, drain: &Drain) {
    let watch = match Watch::start(follower.source.app_dir()) {
        Ok(watch) => watch,
        Err(error) => {
            let note = format!("changes of templates are not noticed: {error}");
            return follower.workshop.screen.warn(&note);
        }
    };
    let closing = drain.clone();
    drain.spawn("changes of the app", async move {
        tokio::select! {
            () = follower.follow(watch) => {}
            () = closing.closing() => {}
        }
    });
}

/// The local authority, which vouches for the custom domains of the app too.
fn authority(settings: &Settings, app: &App, data: &DataDir) -> Result<Arc<Authority>> {
    let mut authority = Authority::open(&settings.state_dir, SystemClock.epoch_millis())?;
    let names: Vec<_> = app.domains().map(|domain| domain.name.to_string()).collect();
    if !names.is_empty() {
        authority.vouch_for(names, data.path().join("ca-bundle.pem"))?;
    }
    Ok(Arc::new(authority))
}

fn gateway_config(
    own: &Config,
    settings: &Settings,
    connections_max: usize,
    known: &Known,
) -> Result<GatewayConfig> {
    Ok(GatewayConfig {
        connections_max,
        shards: 1,
        stop_spread: own.stop.spread.map_or(Duration::ZERO, |spread| spread.0),
        connection: own.limits(),
        stages: own.stages(),
        signed: own.signed(),
        keys: Keys::new(own.keys()?, Arc::new(known.clone())),
        endpoints: settings.endpoints(),
        patient: false,
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
fn sandbox(args: &HouseArgs, own: &config::Functions) -> Sandbox {
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

/// Where APIs are made that no template declares, and which tables are an app's own: where its first stack is.
fn home(app: Option<&App>) -> Home {
    let first = app.and_then(|app| app.stacks.first());
    Home {
        account: first.map_or_else(|| "000000000000".to_owned(), |stack| stack.account.clone()),
        region: first.map_or_else(|| "us-east-1".to_owned(), |stack| stack.region.clone()),
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
