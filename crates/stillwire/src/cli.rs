//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Sandbox, Time};

/// Runs serverless WebSocket applications: holds the connections, calls the functions.
#[derive(Debug, Parser)]
#[command(name = "stillwire", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an app on this machine: its WebSocket APIs, functions and tables.
    Dev(DevArgs),
    /// Run what is deployed to it, by the CDK, CloudFormation's, SAM's or Terraform's own commands: nothing at first.
    Serve(ServeArgs),
    /// Deploy an app to a Stillwire that runs, here or elsewhere.
    Deploy(DeployArgs),
    /// Show what deploying an app would change.
    Diff(DiffArgs),
    /// Take stacks away that were deployed.
    Destroy(DestroyArgs),
    /// List the stacks that are deployed.
    List(ListArgs),
    /// Print the environment in which the CDK's, SAM's and other commands deploy to a Stillwire that runs.
    Env(EnvArgs),
    /// Talk to a WebSocket API, by hand or from a script.
    Connect(ConnectArgs),
    /// Call a function of an app that runs, and print its result.
    Invoke(InvokeArgs),
    /// Show what functions wrote.
    Logs(LogsArgs),
    /// List the tables of an app that runs; look into them and change them.
    Tables(TablesArgs),
    /// Validate an app and list what Stillwire does with each of its resources.
    Check(CheckArgs),
}

/// Which app, and which part of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct AppArgs {
    /// A CDK app (a folder with cdk.json), a cloud assembly (cdk.out), a service of the Serverless Framework
    /// (serverless.yml), a plan or state of Terraform, or a CloudFormation or SAM template.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Only the stacks of this stage (`dev` is `dev/Chat`, or an API stage of that name).
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// Only these stacks, as the CDK selects them (`dev/Chat`, `dev/*`, `**`). May be repeated.
    #[arg(long = "stack", value_name = "PATTERN")]
    pub(crate) stacks: Vec<String>,
    /// The value of a template parameter. May be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) parameters: Vec<(String, String)>,
    /// A file with values of template parameters: NAME: VALUE, or the AWS CLI's list of `ParameterKey`.
    #[arg(long, value_name = "FILE")]
    pub(crate) parameters_file: Option<PathBuf>,
    /// A file with what Parameter Store (`ssm`) and Secrets Manager (`secretsmanager`) hold.
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// Fail when a resource would do something on AWS that does not happen here.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    #[command(flatten)]
    pub(crate) house: HouseArgs,
    /// Run the app's synth even when no source changed since the last one.
    #[arg(long, conflicts_with = "no_synth")]
    pub(crate) synth: bool,
    /// Use the cdk.out that is there; do not run the app's synth.
    #[arg(long)]
    pub(crate) no_synth: bool,
    /// Let a function wait for a debugger, by its name or logical id. May be repeated [port: from 5678 on for Python,
    /// from 9229 on for Node.js].
    #[arg(long, value_name = "FUNCTION[=PORT]")]
    pub(crate) debug: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) house: HouseArgs,
}

/// Where and how everything is held that runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct HouseArgs {
    /// The port of the first API; further APIs follow it, the AWS endpoint is just below. 0 takes free ports [default: the one
    /// that the app had, else 7800, or 7900, 8000 … where other apps run].
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Where tables and other state are kept [default: .stillwire beside the app; for `serve`, a folder of the user's].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep nothing: tables in memory, other state in a temporary folder.
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) in_memory: bool,
    /// Write all addresses to this file, as JSON, once everything answers.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Limits and other settings of this machine [default: stillwire.toml beside the app, where there is one].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How far functions are kept from everything else; `strict` takes all that the kernel offers [default: usual].
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub(crate) sandbox: Option<Sandbox>,
    /// Show every line: the start and end of each invocation, and Stillwire's own log.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// Which Stillwire is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct ToArgs {
    /// The AWS endpoint of a Stillwire [default: of the one that runs here]. On another machine it takes a key of its `[keys]`,
    /// as the environment or a profile of AWS has it.
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// The app, where several run and this is the folder of none.
    #[arg(long, value_name = "PATH", conflicts_with = "to")]
    pub(crate) app: Option<PathBuf>,
    /// The account of apps that name none [default: of what runs there, or 000000000000].
    #[arg(long, value_name = "DIGITS")]
    pub(crate) account: Option<String>,
    /// The region of apps that name none [default: of what runs there, or us-east-1].
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
}

/// What is sent.
#[derive(Debug, Clone, Args)]
pub(crate) struct SentArgs {
    /// A CDK app (a folder with cdk.json), a cloud assembly (cdk.out), or a CloudFormation or SAM template.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Only the stacks of this stage (`dev` is `dev/Chat`).
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// Only these stacks, as the CDK selects them (`dev/Chat`, `dev/*`, `**`). May be repeated.
    #[arg(long = "stack", value_name = "PATTERN")]
    pub(crate) stacks: Vec<String>,
    /// The name of the stack, where there is one [default: as samconfig.toml says, or the template's own name].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The value of a template parameter; without it, the one that is deployed stays. May be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Use the cdk.out that is there; do not run the app's synth.
    #[arg(long)]
    pub(crate) no_synth: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) app: SentArgs,
    #[command(flatten)]
    pub(crate) to: ToArgs,
    /// Print a line of JSON for each stack: its result and its outputs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) app: SentArgs,
    #[command(flatten)]
    pub(crate) to: ToArgs,
    /// Fail when anything differs.
    #[arg(long)]
    pub(crate) fail: bool,
    /// Print a line of JSON for each stack.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// The names of the stacks, as `stillwire list` shows them.
    #[arg(required = true, value_name = "STACK")]
    pub(crate) stacks: Vec<String>,
    #[command(flatten)]
    pub(crate) to: ToArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) to: ToArgs,
    /// Print a line of JSON for each stack.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    pub(crate) to: ToArgs,
    /// Print the variables as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// Print the list as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<TablesCommand>,
    /// The app, where several run [default: the one in this folder, or the only one].
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) app: Option<PathBuf>,
    /// The AWS endpoint of a Stillwire, or of any server that speaks the DynamoDB API.
    #[arg(long, value_name = "URL", conflicts_with = "app", global = true)]
    pub(crate) endpoint: Option<String>,
    /// Where the tables are [default: the region of the app's tables].
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) region: Option<String>,
    /// Print the list as lines of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TablesCommand {
    /// Print items, one line of JSON each.
    Scan {
        /// The table: its logical id (STACK/ID where several stacks have it), name or ARN.
        table: String,
        /// At most so many.
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u64>,
        /// Print values with their types, as DynamoDB does.
        #[arg(long)]
        typed: bool,
    },
    /// Print one item.
    Get {
        /// The table: its logical id (STACK/ID where several stacks have it), name or ARN.
        table: String,
        /// The key, as JSON; its value alone where the table has one key attribute.
        key: String,
        /// Keys and items have values with their types, as in DynamoDB.
        #[arg(long)]
        typed: bool,
    },
    /// Put one item, in place of one with the same key.
    Put {
        /// The table: its logical id (STACK/ID where several stacks have it), name or ARN.
        table: String,
        /// The item, as JSON; - reads standard input.
        item: String,
        /// The item has values with their types, as in DynamoDB.
        #[arg(long)]
        typed: bool,
    },
    /// Delete one item.
    Delete {
        /// The table: its logical id (STACK/ID where several stacks have it), name or ARN.
        table: String,
        /// The key, as JSON; its value alone where the table has one key attribute.
        key: String,
        /// The key has values with their types, as in DynamoDB.
        #[arg(long)]
        typed: bool,
    },
    /// Write all items, one line of JSON each: {"Item": …} with types, so that nothing is lost.
    Export {
        /// The table: its logical id (STACK/ID where several stacks have it), name or ARN.
        table: String,
        /// The file [default: standard output].
        file: Option<PathBuf>,
    },
    /// Copy all tables, as they are at one moment, into a folder; the app runs on.
    Snapshot {
        /// The folder.
        folder: PathBuf,
    },
    /// Put the items of an export, or plain items, one line of JSON each.
    Import {
        /// The table: its logical id (STACK/ID where several stacks have it), name or ARN.
        table: String,
        /// The file [default: standard input].
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The address: ws://… or wss://…
    pub(crate) url: String,
    /// A header of the handshake. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A sub-protocol to offer. May be repeated.
    #[arg(short = 's', long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// Send this message and leave after the wait. May be repeated.
    #[arg(short = 'x', long = "execute", value_name = "MESSAGE")]
    pub(crate) messages: Vec<String>,
    /// How long to listen after the last message, in seconds, when not at a terminal or with -x.
    #[arg(short = 'w', long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub(crate) wait: f64,
    /// Print every event as a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Trust the certificate authorities in this PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InvokeArgs {
    /// The function: its logical id (STACK/ID where several stacks have it), name or ARN.
    pub(crate) function: String,
    /// The event, as JSON; @FILE reads a file, - reads standard input.
    #[arg(default_value = "{}")]
    pub(crate) event: String,
    /// A version or alias.
    #[arg(long, value_name = "NAME")]
    pub(crate) qualifier: Option<String>,
    /// Do not wait: the function runs when there is room, and again where it fails.
    #[arg(long)]
    pub(crate) r#async: bool,
    /// Print the end of the log as well, on standard error.
    #[arg(long, conflicts_with = "async")]
    pub(crate) tail: bool,
    /// Print status, version, payload and log as a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The app, where several run and this is the folder of none.
    #[arg(long, value_name = "PATH", conflicts_with = "endpoint")]
    pub(crate) app: Option<PathBuf>,
    /// The address of the Lambda API, instead of that of an app that runs here.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Only this function, by name, logical id or ARN.
    pub(crate) function: Option<String>,
    /// Go on with what is written from now on.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How far back to begin: 90s, 10m, 2h.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub(crate) since: Duration,
    /// Print every line as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The app, where several run and this is the folder of none.
    #[arg(long, value_name = "PATH")]
    pub(crate) app: Option<PathBuf>,
    /// The data folder of the app, which need not run.
    #[arg(long, value_name = "DIR", conflicts_with = "app")]
    pub(crate) data_dir: Option<PathBuf>,
}

fn time(text: &str) -> Result<Duration, String> {
    Time::parse(text).map(|time| time.0).ok_or_else(|| "write it as 90s, 10m or 2h".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
