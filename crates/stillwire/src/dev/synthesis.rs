//! From the path a person gave to a loaded app: the app's own synth, or the assembly that is there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use stillwire_deploy::{
    Assembly, CdkApp, Input, LoadOptions, Loaded, SynthError, SynthOptions, fingerprint, load,
    synthesize,
};

use crate::cli::{AppArgs, DevArgs};
use crate::dev::data_dir::DataDir;
use crate::dev::screen::Screen;
use crate::report::{self, hinted};

/// What `dev` runs.
#[derive(Debug)]
pub(crate) struct Source {
    input: Input,
    app_dir: PathBuf,
    /// How it was read, for the person at the terminal.
    how: std::sync::OnceLock<&'static str>,
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
            Input::Template(file) => beside(&std::path::absolute(file)?),
        };
        Ok(Self { input, app_dir, how: std::sync::OnceLock::new() })
    }

    /// The folder that holds the app, or the assembly, or the template.
    pub(crate) fn app_dir(&self) -> &Path {
        &self.app_dir
    }

    /// Loads the app, synthesizing it first where that can be done.
    pub(crate) async fn load(
        &self,
        args: &DevArgs,
        data: &DataDir,
        program: &Path,
        screen: Screen,
    ) -> Result<Loaded> {
        let options = options(&args.app);
        let input = match &self.input {
            Input::CdkApp(app) => self.assembly_of(app, args, data, program, screen).await?,
            other => {
                self.how.set("read as it is").ok();
                other.clone()
            }
        };
        Ok(load(&input, &options)?)
    }

    async fn assembly_of(
        &self,
        app: &CdkApp,
        args: &DevArgs,
        data: &DataDir,
        program: &Path,
        screen: Screen,
    ) -> Result<Input> {
        let there = |dir: &Path| {
            Input::Assembly(Assembly { dir: dir.to_owned(), app_dir: Some(app.dir.clone()) })
        };
        let existing = app.assembly.as_deref();
        match (&app.command, existing) {
            (None, Some(dir)) => {
                self.how.set("its assembly, as cdk.json names it").ok();
                return Ok(there(dir));
            }
            (Some(_), Some(dir)) if args.no_synth => {
                self.how.set("its cdk.out, as it is").ok();
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
            self.how.set("synthesized before, no source changed since").ok();
            return Ok(there(&dir));
        }
        last.forget()?;
        let options = SynthOptions { program: program.to_owned(), out_dir: last.assembly.clone() };
        let command = app.command.as_deref().unwrap_or_default();
        screen.progress(&format!("synthesizing with `{command}` …"));
        let told = |line: &str| {
            if args.verbose {
                screen.progress(&format!("  {line}"));
            }
        };
        match (synthesize(app, &options, &told).await, existing) {
            (Ok(dir), _) => {
                last.remember()?;
                self.how.set("synthesized from source").ok();
                Ok(there(&dir))
            }
            (Err(SynthError::CdkMissing { reason, hint, .. }), Some(dir)) => {
                screen.progress(&format!(
                    "the CDK is not installed here ({reason}): using {} as it is ({hint})",
                    dir.display()
                ));
                self.how.set("its cdk.out, as it is").ok();
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
    fn of(app: &CdkApp, data: &DataDir) -> Self {
        let folder = data.path().join("synth");
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
            Input::Template(file) => file,
        };
        let full = path.canonicalize();
        let name = full.as_ref().unwrap_or(path).file_name().unwrap_or_default();
        let how = self.how.get().copied().unwrap_or("not loaded");
        write!(out, "{} ({how})", name.to_string_lossy())
    }
}

/// What to load, from the command line.
pub(crate) fn options(args: &AppArgs) -> LoadOptions {
    LoadOptions {
        stage: args.stage.clone(),
        stacks: args.stacks.clone(),
        parameters: args.parameters.iter().cloned().collect(),
        app_dir: None,
        exports: BTreeMap::new(),
    }
}

/// The hidden subcommand that stands in for Docker while a CDK app bundles its functions.
pub(crate) fn bundle(arguments: Vec<OsString>) -> ExitCode {
    match stillwire_deploy::bundle::run(arguments) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => report::failure(&error.into()),
    }
}
