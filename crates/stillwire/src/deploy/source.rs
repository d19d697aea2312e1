//! What is sent: an app synthesized where it has to be, its stacks and their uploads.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use anyhow::{Result, bail};
use stillwire_deploy::{
    Assembly, Input, Package, SynthError, SynthOptions, Told, package, synthesize,
};
use tempfile::TempDir;

use crate::cli::SentArgs;
use crate::settings::Settings;
use crate::style::Style;

/// An app, as it is sent.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Its stacks, in the order in which they are deployed.
    pub(crate) packages: Vec<Package>,
    /// The values of parameters that the person gives.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The assembly, where it was made for this.
    _assembly: Option<TempDir>,
}

/// Reads what a path names.
pub(crate) async fn read(args: &SentArgs, settings: &Settings, style: Style) -> Result<Sources> {
    let (mut input, mut made) = (Input::find(&args.path)?, None);
    if let Input::CdkApp(app) = &input
        && let Some(command) = &app.command
        && !args.no_synth
    {
        let folder = tempfile::tempdir()?;
        let options = SynthOptions {
            program: std::env::current_exe()?,
            out_dir: folder.path().join("cdk.out"),
            environments: Some(settings.cache_dir.join("cdk")),
        };
        say(style, &format!("synthesizing with `{command}` …"));
        let told = |told: Told<'_>| {
            if let Told::Step(text) = told {
                say(style, text);
            }
        };
        match (synthesize(app, &options, &told).await, &app.assembly) {
            (Ok(dir), _) => {
                input = Input::Assembly(Assembly { dir, app_dir: Some(app.dir.clone()) });
                made = Some(folder);
            }
            (Err(SynthError::CdkMissing { reason, .. }), Some(dir)) => {
                let text = format!(
                    "the CDK is not installed here ({reason}): {} is sent as it is",
                    dir.display()
                );
                say(style, &text);
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    let mut packages = package(&input, args.stage.as_deref(), &args.stacks)?;
    if let Some(name) = &args.name {
        match packages.as_mut_slice() {
            [only] => {
                only.display_name.clone_from(name);
                only.name.clone_from(name);
            }
            _ => bail!("--name is for one stack, and these are {}", packages.len()),
        }
    }
    let parameters = args.parameters.iter().cloned().collect();
    Ok(Sources { packages, parameters, _assembly: made })
}

/// Progress, for the person at the terminal.
pub(crate) fn say(style: Style, text: &str) {
    // Who closed the output wants to know no more.
    writeln!(io::stderr(), "{}", style.dim(text)).ok();
}
