//! From the command line to an app that answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stillwire_control::{ControlPlane, Home, Kept};
use stillwire_deploy::{Loaded, rewrite_addresses};
use stillwire_front::{Front, Rooms as FrontRooms};
use stillwire_functions::supervisor::Supervisor;
use stillwire_gateway::{Gateway, Ports};
use stillwire_lambda::{Home as LambdaHome, Kept as KeptFunctions};
use stillwire_listen::Capacity;
use stillwire_model::App;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::check;
use crate::clock::SystemClock;
use crate::dev::addresses::Addresses;
use crate::dev::declared::Declared;
use crate::dev::declared_tables::DeclaredTables;
use crate::dev::deployments::Deployments;
use crate::dev::follow::Follower;
use crate::dev::functions::{self, Surroundings, as_deployed};
use crate::dev::host::{Host, Ports as HostPorts};
use crate::dev::live::{Circumstances, Current, Live, Rooms, exports};
use crate::dev::log_files::LogFiles;
use crate::dev::logged::Logged;
use crate::dev::logs::Terminal;
use crate::dev::reach::Reach;
use crate::dev::rooms::{
    Base, Place, Started, authority, event_sources, gateway_config, raise_descriptor_limit, serve,
    start_functions,
};
use crate::dev::screen::Screen;
use crate::dev::stacks::{Sent, Stacks};
use crate::dev::synthesis::{Source, Workshop};
use crate::dev::tables::{self, Tables};
use crate::dev::watch::Watch;
use crate::dev::{Running, STOP_GRACE, Wanted, debug, ready, sdk_calls};
use crate::running::Note;
use crate::settings::Settings;

/// Connections beyond those of clients, for requests of functions: to the AWS endpoint, and to `@connections`.
const REQUESTS_RESERVED: usize = 256;

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
    let source = wanted.app().map(|args| Source::find(&args.app.path)).transpose()?;
    let base = Base::lay(args, settings, source.as_ref(), screen)?;
    let deployments = Deployments::open(&base.data, args.in_memory)?;
    let holdings = deployments.holdings();
    let workshop = wanted.app().map(|args| Workshop {
        args: args.clone(),
        data: base.data.path().to_owned(),
        program: program.to_owned(),
        environments: settings.cache_dir.join("cdk"),
        parameters: Arc::clone(&holdings.parameters),
        screen,
    });
    // From here on, so that no change is missed that comes while all this starts.
    let watch = source.as_ref().and_then(|source| watch(source, screen));
    let loaded = match (&source, &workshop) {
        (Some(source), Some(workshop)) => Some(load(source, workshop).await?),
        _ => None,
    };
    let home = home(loaded.as_ref().map(|loaded| &loaded.app));
    let exported = loaded.as_ref().map(exports).unwrap_or_default();
    let (sent, deployed) = Sent::restore(&deployments.deployed(), &holdings, &exported, screen);
    let mut declared = Declared::by(loaded.iter().chain(&deployed))?;

    let reach = Reach::of(&base.own.listen);
    let authority = authority(&base, &reach, &declared.app)?;
    let (addresses, doors) = Addresses::take(&declared.app, reach.clone(), args.port, &base.data)?;
    rewrite_addresses(&mut declared.app, &|id| addresses.host_of(id));
    let debug = wanted.app().map(|args| args.debug.clone()).unwrap_or_default();
    let debugged = debug::find(&mut declared.app, &debug)?;
    declared.functions = as_deployed(declared.functions, &declared.app);
    let place = Place { declared: &declared, addresses: &addresses, authority: &authority };

    let tables =
        Tables::open(&base.own.tables, settings, &base.data, (&home.account, &home.region))?;
    let roles = tables::roles(&base.own.tables, &declared.app)?;
    tables.provide(&App::default(), &declared.app, screen).await?;
    let declared_tables = DeclaredTables::new(base.kept("declared-tables.json"));
    let given_up = declared_tables.given_up(&declared.app)?;
    tables.remove_gone(given_up.iter(), &declared.app, screen).await;
    declared_tables.note(&declared.app)?;
    let calls_made = base.kept("sdk-calls.json");
    let calls: Vec<_> = declared.sdk_calls.iter().collect();
    sdk_calls::make(&calls, &tables, calls_made.as_deref(), screen).await?;

    let patient = !debugged.is_empty();
    let started =
        start_functions(&base, &place, (&tables, debugged), (supervisor, terminal)).await?;
    let Started { functions, function_log, house, known, invoke, elsewhere } = started;
    let surroundings = Surroundings {
        kept: KeptFunctions::read(base.kept("lambda.json"), base.data.path().join("functions"))?,
        invoke: Arc::clone(&invoke),
        objects: Arc::clone(&holdings.objects),
        home: LambdaHome { account: home.account.clone(), region: home.region.clone() },
        clock: Arc::new(SystemClock),
        drain: base.drain.clone(),
        endpoints: settings.endpoints(),
        delays: base.own.event_delays(),
    };
    let lambda = functions::deploy(Arc::clone(&house), &declared, surroundings);
    let sources = event_sources(&base, &tables, Arc::clone(&invoke), &lambda);

    let connections_max = raise_descriptor_limit();
    tracing::info!(connections_max, "as many connections as the limit on open files allows");
    let config = gateway_config(&base, connections_max, &known, patient)?;
    let access_logs = LogFiles::start("access log", base.data.path().join("access-logs"), None)?;
    let ports = Ports {
        invoke,
        events: Arc::new(lambda.clone()),
        clock: Arc::new(SystemClock),
        tables: tables.stores(),
        access_logs: access_logs.clone(),
    };
    let gateway = Gateway::new(&config, ports).context("cannot start the gateway")?;
    let capacity = Capacity::new(connections_max + REQUESTS_RESERVED);
    serve(&gateway, &place, (doors.apis, doors.domains), &capacity)?;
    let host = Arc::new(Host::new(
        gateway.clone(),
        &declared.app,
        (functions.clone(), known.clone()),
        &addresses,
        (Arc::clone(&authority), capacity),
        HostPorts { record: base.data.path().join("ports.json"), first: addresses.first(), reach },
    ));
    let control = ControlPlane::start(
        Kept::read(base.kept("control-plane.json"))?,
        (&declared.apis, &declared.domains()),
        home.clone(),
        host.clone(),
        Arc::new(SystemClock),
    );
    let logged = Logged { functions: known.clone(), data: base.data.path().to_owned() };
    let services = deployments.serve(&base.data, args.in_memory, Arc::new(logged), &base.drain)?;
    services.values.declare(&declared.values);
    let behind = FrontRooms {
        tables: tables::front(&tables, &base.own, (known, roles.clone()), &home.region)?,
        services: services.whole.clone(),
        objects: Arc::new(services.assets.clone()),
        issued: Arc::new(services.sts.clone()),
        control: Arc::new(control.clone()),
        lambda: Arc::new(lambda.clone()),
        metrics: vec![Arc::new(gateway.clone()), Arc::new(sources.clone())],
    };
    // Functions reach their table and their clients however many clients there are.
    let for_functions = Capacity::new(REQUESTS_RESERVED);
    {
        // Most of what it is asked is asked of the tables.
        let _there = tables.threads().map(Handle::enter);
        let front = Front::new(behind, &home.account, base.own.listen.host.as_deref());
        front.serve(place.door(doors.aws, &for_functions), &base.drain);
    }

    // Everything answers once the functions can start. What they lack is installed first, and told as it goes.
    functions.prepare().await;
    lambda.run_event_sources(Arc::new(sources.clone()));
    sources.settle(SOURCES_SETTLE).await;
    let shown = tables.shown(&base.data);
    screen.addresses(&declared.app, &addresses, source.as_ref(), &shown, began.elapsed());
    let content = ready::content(&declared.app, &addresses, &authority);
    let app_dir = source.as_ref().map_or_else(|| base.data.path(), Source::app_dir);
    let note = Note::leave(settings, app_dir, base.data.path(), content.clone())?;
    let Base { own, data, drain, .. } = base;
    let rooms = Rooms {
        gateway: gateway.clone(),
        functions: functions.clone(),
        house,
        lambda,
        control,
        host,
        tables: tables.clone(),
        values: services.values.clone(),
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
        declared_tables,
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
    if let (Some(source), Some(workshop), Some((watch, seen))) = (source, workshop, watch) {
        let closing = drain.clone();
        drain.spawn("changes of the app", async move {
            tokio::select! {
                () = Follower { live, source, workshop }.follow(watch, seen) => {}
                () = closing.closing() => {}
            }
        });
    }
    let stop_grace = config.stop_spread + STOP_GRACE;
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

/// Reads the app, and tells what of it is to be known.
async fn load(source: &Source, workshop: &Workshop) -> Result<Loaded> {
    let loaded = source.load(workshop, BTreeMap::new()).await?;
    check_not_empty(&loaded.app)?;
    check::strict(&workshop.args.app, &loaded)?;
    workshop.screen.notices(&loaded.notices);
    workshop.screen.resources(&loaded.resources);
    Ok(loaded)
}

/// Watches the sources of the app; and what they are now.
fn watch(source: &Source, screen: Screen) -> Option<(Watch, Option<String>)> {
    match Watch::start(source.app_dir()) {
        Ok(watch) => Some((watch, source.fingerprint())),
        Err(error) => {
            screen.warn(&format!("changes of templates are not noticed: {error}"));
            None
        }
    }
}

/// Where APIs are made that no template declares, and which tables are an app's own: where its first stack is.
fn home(app: Option<&App>) -> Home {
    let first = app.and_then(|app| app.stacks.first());
    Home {
        account: first.map_or_else(|| "000000000000".to_owned(), |stack| stack.account.clone()),
        region: first.map_or_else(|| "us-east-1".to_owned(), |stack| stack.region.clone()),
    }
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
