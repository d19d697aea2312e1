//! The rooms of a house, each as it starts.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Result;
use stillwire_drain::Drain;
use stillwire_eventsources::{EventSources, Ports as SourcePorts};
use stillwire_functions::supervisor::Supervisor;
use stillwire_functions::{Config as FunctionsConfig, Functions, NoSandbox, Sandbox, usual_places};
use stillwire_gateway::{Config as GatewayConfig, Gateway, Keys};
use stillwire_lambda::{Elsewhere, Lambda};
use stillwire_listen::{Authority, Capacity, Door, system_bundle};
use stillwire_model::limits::FUNCTION_PROCESSES_MAX;
use stillwire_model::{App, Clock as _, FunctionArn, Invoke};
use stillwire_outbound::Outbound;

use crate::cli::HouseArgs;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::dev::addresses::{Addresses, Taken};
use crate::dev::data_dir::DataDir;
use crate::dev::declared::Declared;
use crate::dev::elsewhere;
use crate::dev::function_logs::FunctionLog;
use crate::dev::functions::{FunctionHouse, Known};
use crate::dev::logs::Terminal;
use crate::dev::reach::Reach;
use crate::dev::screen::Screen;
use crate::dev::synthesis::Source;
use crate::dev::tables::Tables;
use crate::dev::variables::Variables;
use crate::settings::Settings;

/// Descriptors that are not for clients: functions, tables, files.
const DESCRIPTORS_RESERVED: u64 = 1536;

/// Environments of all functions together.
const ENVIRONMENTS_MAX: usize = 64;

/// How long an environment may be idle before it is ended.
const ENVIRONMENT_IDLE: Duration = Duration::from_mins(5);

/// What everything stands on.
pub(super) struct Base<'a> {
    pub(super) args: &'a HouseArgs,
    pub(super) settings: &'a Settings,
    /// Limits and other settings of this machine.
    pub(super) own: Config,
    pub(super) data: DataDir,
    pub(super) drain: Drain,
    pub(super) screen: Screen,
}

impl<'a> Base<'a> {
    pub(super) fn lay(
        args: &'a HouseArgs,
        settings: &'a Settings,
        source: Option<&Source>,
        screen: Screen,
    ) -> Result<Self> {
        let app_dir = source.map_or_else(|| Path::new("."), Source::app_dir);
        let own = Config::read(args.config.as_deref(), app_dir)?;
        let usual = match source {
            Some(_) => app_dir.join(".stillwire"),
            None => settings.state_dir.join("serve"),
        };
        let data = DataDir::open(args, usual)?;
        Ok(Self { args, settings, own, data, drain: Drain::new(), screen })
    }

    /// A file of the data folder, where anything is to be kept.
    pub(super) fn kept(&self, name: &str) -> Option<PathBuf> {
        (!self.args.in_memory).then(|| self.data.path().join(name))
    }
}

/// What is declared, and where it is served.
pub(super) struct Place<'a> {
    pub(super) declared: &'a Declared,
    pub(super) addresses: &'a Addresses,
    pub(super) authority: &'a Authority,
}

impl Place<'_> {
    pub(super) fn door(&self, listeners: Taken, capacity: &Capacity) -> Door {
        Door { listeners, tls: Arc::clone(&self.authority.tls), capacity: capacity.clone() }
    }
}

/// Functions that can be called.
pub(super) struct Started {
    pub(super) functions: Functions,
    pub(super) function_log: Arc<FunctionLog>,
    pub(super) house: Arc<FunctionHouse>,
    pub(super) known: Known,
    pub(super) invoke: Arc<dyn Invoke>,
    pub(super) elsewhere: Option<Elsewhere>,
}

pub(super) async fn start_functions(
    base: &Base<'_>,
    place: &Place<'_>,
    (tables, debugged): (&Tables, BTreeMap<FunctionArn, u16>),
    (supervisor, terminal): (Supervisor, &Arc<Terminal>),
) -> Result<Started> {
    let Place { declared, addresses, authority } = place;
    let config = FunctionsConfig {
        debug: debugged,
        sandbox: sandbox(base.args, &base.own.functions),
        ..functions_config(base, addresses, &declared.app)?
    };
    let function_log = FunctionLog::start(Arc::clone(terminal), base.data.path())?;
    let (clock, drain) = (Arc::new(SystemClock), base.drain.clone());
    let functions = Functions::start(config, supervisor, function_log.clone(), clock, drain)?;
    match functions.isolation().await {
        Ok(isolation) => isolation.iter().for_each(|isolation| base.screen.isolation(isolation)),
        Err(none) => return Err(no_sandbox(&none)),
    }
    let there = elsewhere::find(&declared.app, &base.own)?;
    let known = Known::default();
    let house = Arc::new(FunctionHouse::new(
        functions.clone(),
        known.clone(),
        Variables::new(&declared.app, addresses, authority, base.settings, tables),
        there.keys().cloned().collect(),
    ));
    let (invoke, elsewhere) =
        elsewhere::invoker(Arc::new(functions.clone()), there, base.settings, &base.drain)?;
    Ok(Started { functions, function_log, house, known, invoke, elsewhere })
}

pub(super) fn event_sources(
    base: &Base<'_>,
    tables: &Tables,
    invoke: Arc<dyn Invoke>,
    lambda: &Lambda,
) -> EventSources {
    let ports = SourcePorts {
        invoke,
        tables: tables.stores(),
        destinations: Arc::new(lambda.clone()),
        clock: Arc::new(SystemClock),
        outbound: Outbound::new(system_bundle().as_deref()),
        endpoints: base.settings.endpoints(),
    };
    EventSources::new(base.kept("event-sources"), ports)
}

/// Serves what is declared, at the doors that were taken for it.
pub(super) fn serve(
    gateway: &Gateway,
    place: &Place<'_>,
    (apis, domains): (Vec<Taken>, Vec<Taken>),
    capacity: &Capacity,
) -> Result<()> {
    let Place { declared, addresses, .. } = place;
    for (api, taken) in declared.app.apis().zip(apis) {
        let host = addresses.host_of(&api.id).unwrap_or_default();
        gateway.serve(Arc::clone(api), &host, place.door(taken, capacity))?;
    }
    for (domain, taken) in declared.app.domains().zip(domains) {
        let host = addresses.host_of_domain(&domain.name).unwrap_or_default();
        gateway.serve_domain(Arc::clone(domain), &host, place.door(taken, capacity))?;
    }
    Ok(())
}

/// The local authority, which vouches for the custom domains of the app too, and for the name of this machine.
pub(super) fn authority(base: &Base<'_>, reach: &Reach, app: &App) -> Result<Arc<Authority>> {
    let authority = Authority::open(&base.settings.state_dir, SystemClock.epoch_millis())?;
    authority.trust_in(base.data.path())?;
    if let Some((certificate, key)) = base.own.listen.certificate() {
        authority.present(certificate, key)?;
    }
    let domains = app.domains().map(|domain| domain.name.to_string());
    let names: Vec<_> = domains.chain(reach.name().map(str::to_owned)).collect();
    authority.vouch_for(&names)?;
    Ok(Arc::new(authority))
}

pub(super) fn gateway_config(
    base: &Base<'_>,
    connections_max: usize,
    known: &Known,
    patient: bool,
) -> Result<GatewayConfig> {
    let own = &base.own;
    Ok(GatewayConfig {
        connections_max,
        shards: 1,
        stop_spread: own.stop.spread.map_or(Duration::ZERO, |spread| spread.0),
        connection: own.limits(),
        stages: own.stages(),
        signed: own.signed(),
        keys: Keys::new(own.keys()?, Arc::new(known.clone())),
        endpoints: base.settings.endpoints(),
        patient,
    })
}

pub(super) fn functions_config(
    base: &Base<'_>,
    addresses: &Addresses,
    app: &App,
) -> Result<FunctionsConfig> {
    let Base { settings, data, .. } = base;
    let own = &base.own.functions;
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
pub(super) fn sandbox(args: &HouseArgs, own: &config::Functions) -> Sandbox {
    match args.sandbox.or(own.sandbox) {
        None | Some(config::Sandbox::Usual) => Sandbox::Usual,
        Some(config::Sandbox::Strict) => Sandbox::Strict,
    }
}

pub(super) fn no_sandbox(none: &NoSandbox) -> anyhow::Error {
    crate::report::hinted(
        none.to_string(),
        "it takes name spaces of users or Landlock (Linux 5.13 or newer with `landlock` in `lsm=`); \
         in a container, its own profile has to allow them. `--sandbox usual` runs functions without",
    )
}

/// Raises the limit on open files to what the operator allows; gives how many connections fit.
pub(super) fn raise_descriptor_limit() -> usize {
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
