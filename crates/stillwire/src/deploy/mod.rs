//! `stillwire deploy`, `diff`, `destroy`, `list` and `env`: apps sent to a Stillwire that runs, here or elsewhere, by the same
//! APIs that the CDK's and SAM's own commands use.
//!
//! | file | what it does |
//! | --- | --- |
//! | `target` | which Stillwire is meant, and with which keys |
//! | `client`, `answer` | requests to its services, and what they answer |
//! | `source` | what is sent: the app synthesized, its stacks and their uploads |
//! | `archive` | folders as archives |
//! | `stack` | one stack: uploaded, planned, executed, followed to its end |
//! | `env`, `list`, `destroy` | the commands of those names |

mod answer;
mod archive;
mod client;
mod destroy;
mod env;
mod list;
mod source;
mod stack;
mod target;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use tokio::runtime::Builder;

use crate::cli::{DeployArgs, DestroyArgs, DiffArgs, EnvArgs, ListArgs};
use crate::deploy::stack::{Deployment, Outcome};
use crate::deploy::target::Target;
use crate::settings::Settings;
use crate::style::Style;

/// Runs a command on a runtime of its own.
fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// `stillwire deploy`.
pub(crate) fn deploy(args: &DeployArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let style = Style::of(&io::stderr(), settings.no_color);
    block_on(async {
        let target = Target::find(&args.to, &settings)?;
        let sources = source::read(&args.app, &settings, style).await?;
        let mut out = io::stdout().lock();
        for package in &sources.packages {
            let deployment =
                Deployment { target: &target, package, given: &sources.parameters, style };
            let done = deployment.deploy().await?;
            let word = if done.outcome == Outcome::Same { "no changes" } else { "deployed" };
            if args.json {
                let outputs: serde_json::Map<_, _> =
                    done.outputs.into_iter().map(|(key, value)| (key, value.into())).collect();
                let line = json!({ "stack": package.name, "result": word, "outputs": outputs });
                writeln!(out, "{line}")?;
                continue;
            }
            writeln!(io::stderr(), "{} {}: {word}", style.green("✓"), package.display_name)?;
            for (key, value) in &done.outputs {
                writeln!(out, "{}.{key} = {value}", package.name)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// `stillwire diff`. With `--fail` the exit code is 1 where anything differs.
pub(crate) fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let style = Style::of(&io::stderr(), settings.no_color);
    block_on(async {
        let target = Target::find(&args.to, &settings)?;
        let sources = source::read(&args.app, &settings, style).await?;
        let mut out = io::stdout().lock();
        let mut differs = false;
        for package in &sources.packages {
            let deployment =
                Deployment { target: &target, package, given: &sources.parameters, style };
            let changes = deployment.plan().await?;
            differs |= !changes.is_empty();
            if args.json {
                let changes: Vec<_> = changes.iter().map(answer::Change::json).collect();
                writeln!(out, "{}", json!({ "stack": package.name, "changes": changes }))?;
                continue;
            }
            writeln!(out, "{}", package.display_name)?;
            if changes.is_empty() {
                writeln!(out, "  no differences")?;
            }
            for change in &changes {
                writeln!(out, "  {change}")?;
            }
        }
        Ok(if args.fail && differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

/// `stillwire destroy`.
pub(crate) fn destroy(args: &DestroyArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let style = Style::of(&io::stderr(), settings.no_color);
    block_on(async {
        let target = Target::find(&args.to, &settings)?;
        destroy::run(&target, &args.stacks, style).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `stillwire list`.
pub(crate) fn list(args: &ListArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    block_on(async {
        let target = Target::find(&args.to, &settings)?;
        list::run(&target, args.json, Style::of(&io::stdout(), settings.no_color)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `stillwire env`.
pub(crate) fn env(args: &EnvArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    env::run(&Target::find(&args.to, &settings)?, args.json)?;
    Ok(ExitCode::SUCCESS)
}
