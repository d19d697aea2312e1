//! From the path a person gave to a loaded app: the app's own synth, or the assembly that is there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use stillwire_deploy::{
    Assembly, CdkApp, Input, LoadOptions, Loaded, SynthError, SynthOptions, Told, fingerprint,
    load, synthesize,
};

use stillwire_model::SystemParameters;
use tokio::task::block_in_place;

use crate::cli::{AppArgs, DevArgs};
use crate::dev::screen::Screen;
use crate::report::{self, hinted};
use crate::settings;

/// What `dev` runs.
#[derive(Debug)]
pub(crate) struct Source {
    input: Input,
    app_dir: PathBuf,
    /// How it was read last.
    last: Mutex<Last>,
}

/// What it takes to read an app.
#[derive(Debug, Clone)]
pub(crate) struct Workshop {
    pub(crate) args: DevArgs,
    /// Where state is kept.
    pub(crate) data: PathBuf,
    /// This program.
    pub(crate) program: PathBuf,
    /// Where environments are made for apps that have none.
    pub(crate) environments: PathBuf,
    /// What calls have put into Parameter Store.
    pub(crate) parameters: Arc<dyn SystemParameters>,
    pub(crate) screen: Screen,
}

/// How an app was read that was not.
const NOT_LOADED: &str = "not loaded";

/// How an app was read.
#[derive(Debug, Clone)]
struct Last {
    /// For the person at the terminal.
    how: &'static str,
    /// The assembly, where it is one that somebody else makes.
    assembly: Option<PathBuf>,
}

impl Source {
    /// Finds out what `path` names.
    pub(crate) fn find(path: &Path) -> Result<Self> {
        let input = Input::find(path)?;
        let beside = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        let app_dir = match &input {
            Input::CdkApp(app) => app.dir.clone(),
            Input::Assembly(assembly) => {
                let full = std::path::absolute(&assembly.dir)?;
                assembly.app_dir.clone().unwrap_or_else(|| beside(&full))
            }
            Input::Template(file) | Input::Serverless(file) | Input::Terraform(file) => {
                beside(&std::path::absolute(file)?)
            }
        };
        let last = Mutex::new(Last { how: NOT_LOADED, assembly: None });
        Ok(Self { input, app_dir, last })
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, how: &'static str, assembly: Option<&Path>) {
        *self.last() = Last { how, assembly: assembly.map(Path::to_owned) };
    }

    /// The assembly that was read last, where it is one that somebody else makes.
    pub(crate) fn foreign_assembly(&self) -> Option<PathBuf> {
        self.last().assembly.clone()
    }

    /// A text that changes when a source does from which the app is synthesized; `None` where it is not, or cannot be told.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        match &self.input {
            Input::CdkApp(app) => block_in_place(|| fingerprint(&app.dir)),
            _ => None,
        }
    }

    /// The folder that holds the app, or the assembly, or the template.
    pub(crate) fn app_dir(&self) -> &Path {
        &self.app_dir
    }

    /// Loads the app, synthesizing it first where that can be done.
    pub(crate) async fn load(
        &self,
        workshop: &Workshop,
        exports: BTreeMap<String, String>,
    ) -> Result<Loaded> {
        let system_parameters = Some(Arc::clone(&workshop.parameters));
        let options = LoadOptions { exports, system_parameters, ..options(&workshop.args.app) };
        let input = match &self.input {
            Input::CdkApp(app) => self.assembly_of(app, workshop).await?,
            other => {
                let assembly = match other {
                    Input::Assembly(assembly) => Some(assembly.dir.as_path()),
                    _ => None,
                };
                self.read("read as it is", assembly);
                other.clone()
            }
        };
        // What is resolved, and compared with its sources, may be much.
        Ok(block_in_place(|| load(&input, &options))?)
    }

    async fn assembly_of(&self, app: &CdkApp, workshop: &Workshop) -> Result<Input> {
        let Workshop { args, data, program, environments, screen, .. } = workshop;
        let there = |dir: &Path| {
            Input::Assembly(Assembly { dir: dir.to_owned(), app_dir: Some(app.dir.clone()) })
        };
        let existing = app.assembly.as_deref();
        match (&app.command, existing) {
            (None, Some(dir)) => {
                self.read("its assembly, as cdk.json names it", Some(dir));
                return Ok(there(dir));
            }
            (Some(_), Some(dir)) if args.no_synth => {
                self.read("its cdk.out, as it is", Some(dir));
                return Ok(there(dir));
            }
            (Some(_), None) if args.no_synth => {
                return Err(hinted(
                    format!("{} has no cdk.out", app.dir.display()),
                    "leave out --no-synth, or run `cdk synth` once",
                ));
            }
            _ => {}
        }
        let last = LastSynth::of(app, data);
        if let (false, Some(dir)) = (args.synth, last.still_valid()) {
            self.read("synthesized before, no source changed since", None);
            return Ok(there(&dir));
        }
        last.forget()?;
        // What is there will do for a start. Afterwards, and where it is asked for, what the app needs is installed.
        let as_it_is = existing.filter(|_| !args.synth && self.last().how == NOT_LOADED);
        let options = SynthOptions {
            program: program.clone(),
            out_dir: last.assembly.clone(),
            environments: as_it_is.is_none().then(|| environments.clone()),
        };
        let command = app.command.as_deref().unwrap_or_default();
        screen.progress(&format!("synthesizing with `{command}` …"));
        let told = |told: Told<'_>| match told {
            Told::Step(text) => screen.progress(text),
            Told::Line(text) if args.house.verbose => screen.progress(&format!("  {text}")),
            Told::Line(_) => {}
        };
        match (synthesize(app, &options, &told).await, as_it_is) {
            (Ok(dir), _) => {
                last.remember()?;
                self.read("synthesized from source", None);
                Ok(there(&dir))
            }
            (Err(SynthError::CdkMissing { reason, hint, .. }), Some(dir)) => {
                screen.progress(&format!(
                    "the CDK is not installed here ({reason}): using {} as it is ({hint})",
                    dir.display()
                ));
                self.read("its cdk.out, as it is", Some(dir));
                Ok(there(dir))
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// The assembly that the app's synth made last, and from which sources.
struct LastSynth {
    assembly: PathBuf,
    record: PathBuf,
    sources: Option<String>,
}

impl LastSynth {
    fn of(app: &CdkApp, data: &Path) -> Self {
        let folder = data.join("synth");
        let sources = fingerprint(&app.dir);
        Self { assembly: folder.join("cdk.out"), record: folder.join("sources"), sources }
    }

    /// The assembly, if it is of the sources as they are now.
    fn still_valid(&self) -> Option<PathBuf> {
        let made_from = fs::read_to_string(&self.record).ok();
        let valid = self.sources.is_some()
            && made_from == self.sources
            && self.assembly.join("manifest.json").exists();
        valid.then(|| self.assembly.clone())
    }

    fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn remember(&self) -> io::Result<()> {
        match &self.sources {
            Some(sources) => fs::write(&self.record, sources),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.input {
            Input::CdkApp(app) => &app.dir,
            Input::Assembly(assembly) => &assembly.dir,
            Input::Template(file) | Input::Serverless(file) | Input::Terraform(file) => file,
        };
        let full = path.canonicalize();
        let name = full.as_ref().unwrap_or(path).file_name().unwrap_or_default();
        let how = self.last().how;
        write!(out, "{} ({how})", name.to_string_lossy())
    }
}

/// What to load, from the command line.
pub(crate) fn options(args: &AppArgs) -> LoadOptions {
    LoadOptions {
        stage: args.stage.clone(),
        stacks: args.stacks.clone(),
        parameters: args.parameters.iter().cloned().collect(),
        parameters_file: args.parameters_file.clone(),
        secrets_file: args.secrets.clone(),
        environment: settings::environment(),
        app_dir: None,
        exports: BTreeMap::new(),
        system_parameters: None,
    }
}

/// The hidden subcommand that stands in for Docker while a CDK app bundles its functions.
pub(crate) fn bundle(arguments: Vec<OsString>) -> ExitCode {
    match stillwire_deploy::bundle::run(arguments) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => report::failure(&error.into()),
    }
}
