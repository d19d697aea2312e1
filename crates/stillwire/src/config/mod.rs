//! `stillwire.toml`: what an operator may set that no template can say.
//!
//! It stands beside the app, or where `--config` says. Without it every limit is API Gateway's own.

mod listen;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::Deserialize;
use stillwire_gateway::engine::ConnectionLimits;
use stillwire_gateway::{Key, SignedStages};
use stillwire_lambda::Delays;
use stillwire_model::StageName;

use self::values::{Liftable, Size};
use crate::keys;
use crate::report::hinted;

pub(crate) use self::listen::Listen;
pub(crate) use self::values::Time;

/// The name of the file beside an app.
const FILE_NAME: &str = "stillwire.toml";

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the file sets.
#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// What one connection may do.
    #[serde(default)]
    limits: Limits,
    /// What differs in a stage.
    #[serde(default)]
    stages: BTreeMap<String, Stage>,
    /// How functions run.
    #[serde(default)]
    pub(crate) functions: Functions,
    /// Where Stillwire listens.
    #[serde(default)]
    pub(crate) listen: Listen,
    /// How Stillwire stops.
    #[serde(default)]
    pub(crate) stop: Stop,
    /// How `@connections` is served, in stages that say nothing else.
    #[serde(default)]
    management: Management,
    /// How functions are invoked.
    #[serde(default)]
    lambda: LambdaSection,
    /// Where tables are kept.
    #[serde(default)]
    pub(crate) tables: Tables,
    /// The access keys that callers sign with. They are read one by one, so that no error shows a secret.
    #[serde(default)]
    keys: BTreeMap<String, toml::Value>,
}

/// How `@connections` is served.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Management {
    /// Whether its requests must be signed.
    #[serde(default)]
    signatures: Option<Signatures>,
}

/// Whether requests must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Signatures {
    /// They need not be.
    Off,
    /// They must be, with a key that is known.
    Verify,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    management: Management,
}

/// How functions run.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Functions {
    /// How many environments there may be, of all functions together.
    pub(crate) environments: Option<u32>,
    /// How long an environment may be idle before it is ended.
    pub(crate) idle_timeout: Option<Time>,
    /// Whether environments are forked from templates.
    pub(crate) templates: Option<bool>,
    /// Processes and threads that an environment may have.
    pub(crate) processes: Option<u32>,
    /// How far environments are kept from everything else.
    pub(crate) sandbox: Option<Sandbox>,
    /// What functions in a strict sandbox may read besides what they are known to need.
    #[serde(default)]
    pub(crate) readable: Vec<PathBuf>,
}

/// How far functions are kept from everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sandbox {
    /// From crashes of each other.
    Usual,
    /// From all that they have no business with.
    Strict,
}

/// How functions are invoked.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LambdaSection {
    /// How long an event waits before a function that failed is tried again, the first and the second time.
    #[serde(default)]
    retry_delays: Option<[Time; 2]>,
    /// How long an event that was throttled waits the first time.
    #[serde(default)]
    throttle_delay: Option<Time>,
    /// Functions that run elsewhere, by their names or logical ids.
    #[serde(default)]
    elsewhere: BTreeMap<String, FunctionElsewhere>,
}

/// Where a function runs that does not run here.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct FunctionElsewhere {
    /// The Lambda API to ask; that of AWS in the function's region, unless set.
    pub(crate) endpoint: Option<String>,
    /// Its name or ARN there; its name here, unless set.
    pub(crate) function: Option<String>,
}

/// Where tables are kept, and who may use them.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Tables {
    /// Here, on another server, or on AWS.
    pub(crate) mode: Option<TableMode>,
    /// The other server.
    pub(crate) endpoint: Option<String>,
    /// What requests to the tables here must be signed with.
    pub(crate) signatures: Option<TableSignatures>,
    /// Whether functions may do only what the policies of their roles allow.
    #[serde(default)]
    pub(crate) enforce_iam: bool,
    /// When a write is acknowledged.
    #[serde(default)]
    pub(crate) durability: TableDurability,
}

/// When a write to the tables here is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TableDurability {
    /// Once it is on the disk.
    #[default]
    Commit,
    /// Once the system has it, which puts it on the disk a moment later.
    Interval,
}

/// Where tables are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TableMode {
    /// In files beside the app.
    Embedded,
    /// On another server that speaks the DynamoDB API.
    External,
    /// On AWS.
    Aws,
}

/// What requests to tables must be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TableSignatures {
    /// Nothing.
    Off,
    /// Any key.
    Presence,
    /// A key that is known.
    Verify,
}

/// How Stillwire stops.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    /// Over which time clients are sent away, so that they do not all come back at once.
    #[serde(default)]
    pub(crate) spread: Option<Time>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Limits {
    idle_timeout: Option<Liftable<Time>>,
    lifetime: Option<Liftable<Time>>,
    frame: Option<Liftable<Size>>,
    message: Option<Liftable<Size>>,
    binary: Option<bool>,
    message_timeout: Option<Liftable<Time>>,
    ping_interval: Option<Liftable<Time>>,
    control_frames_per_second: Option<Liftable<u32>>,
    in_flight: Option<u32>,
    outbox: Option<Size>,
    outbox_messages: Option<u32>,
    stall_timeout: Option<Time>,
    compression: Option<bool>,
}

/// Without the secrets.
impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the file that is named, or the one beside the app where there is one.
    pub(crate) fn read(named: Option<&Path>, app_dir: &Path) -> Result<Self> {
        let beside = app_dir.join(FILE_NAME);
        if named.is_none() && !beside.exists() {
            return Ok(Self::default());
        }
        let file = named.unwrap_or(&beside);
        let size =
            std::fs::metadata(file).map_err(|error| unreadable(file, &error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(unreadable(file, "it is larger than 1 MiB"));
        }
        let text =
            std::fs::read_to_string(file).map_err(|error| unreadable(file, &error.to_string()))?;
        let config: Self = toml::from_str(&text).map_err(|error| wrong(file, &error))?;
        for stage in config.stages.keys() {
            StageName::parse(stage).map_err(|error| wrong(file, &error))?;
        }
        let keys = config.keys().map_err(|error| wrong(file, &error))?;
        config.listen.check(keys.is_empty()).map_err(|error| wrong(file, &error))?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self { listen: config.listen.below(folder), ..config })
    }

    /// Functions that run elsewhere, by their names or logical ids.
    pub(crate) fn elsewhere(&self) -> &BTreeMap<String, FunctionElsewhere> {
        &self.lambda.elsewhere
    }

    /// The keys that callers sign with.
    pub(crate) fn keys(&self) -> Result<BTreeMap<String, Key>, keys::InvalidKey> {
        self.keys.iter().map(|(name, value)| Ok((name.clone(), keys::read(name, value)?))).collect()
    }

    /// How long events wait before they are tried again.
    pub(crate) fn event_delays(&self) -> Delays {
        let usual = Delays::default();
        Delays {
            retry: self.lambda.retry_delays.map_or(usual.retry, |times| times.map(|time| time.0)),
            throttle: self.lambda.throttle_delay.map_or(usual.throttle, |time| time.0),
        }
    }

    /// What a connection may do, of stages that say nothing else.
    pub(crate) fn limits(&self) -> ConnectionLimits {
        self.limits.over(ConnectionLimits::default())
    }

    /// What a connection may do in stages that say something else.
    pub(crate) fn stages(&self) -> BTreeMap<StageName, ConnectionLimits> {
        let named = |(name, stage): (&String, &Stage)| {
            Some((StageName::parse(name).ok()?, stage.limits.over(self.limits())))
        };
        self.stages.iter().filter_map(named).collect()
    }

    /// Where requests to `@connections` must be signed.
    pub(crate) fn signed(&self) -> SignedStages {
        let is_signed = |said: Signatures| said == Signatures::Verify;
        let named = |(name, stage): (&String, &Stage)| {
            Some((StageName::parse(name).ok()?, is_signed(stage.management.signatures?)))
        };
        SignedStages {
            usual: self.management.signatures.is_some_and(is_signed),
            stages: self.stages.iter().filter_map(named).collect(),
        }
    }
}

fn unreadable(file: &Path, why: &str) -> anyhow::Error {
    hinted(
        format!("cannot read {}: {why}", file.display()),
        "--config names another file; without one, every limit is API Gateway's own",
    )
}

fn wrong(file: &Path, error: &dyn fmt::Display) -> anyhow::Error {
    let text = error.to_string();
    hinted(
        format!("{} is not right:\n{}", file.display(), text.trim_end()),
        "docs/reference/configuration.md lists all settings",
    )
}

impl Limits {
    /// These limits, where they are set, over those that hold without them.
    fn over(&self, mut limits: ConnectionLimits) -> ConnectionLimits {
        let Self {
            idle_timeout,
            lifetime,
            frame,
            message,
            binary,
            message_timeout,
            ping_interval,
            control_frames_per_second,
            in_flight,
            outbox,
            outbox_messages,
            stall_timeout,
            compression,
        } = self.clone();
        let time = |time: Liftable<Time>| time.0.map(|time| time.0);
        let size = |size: Liftable<Size>| size.0.map_or(usize::MAX, |size| size.0);
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        set(&mut limits.idle_timeout, idle_timeout.map(time));
        set(&mut limits.lifetime_max, lifetime.map(time));
        set(&mut limits.frame_bytes_max, frame.map(size));
        set(&mut limits.message_bytes_max, message.map(size));
        set(&mut limits.binary, binary);
        set(&mut limits.message_timeout, message_timeout.map(time));
        set(&mut limits.ping_interval, ping_interval.map(time));
        let controls = control_frames_per_second.map(|controls| controls.0.unwrap_or(u32::MAX));
        set(&mut limits.controls_per_second_max, controls);
        set(&mut limits.in_flight_max, in_flight.map(|most| count(most).max(1)));
        set(&mut limits.outbox_bytes_max, outbox.map(|size| size.0));
        set(&mut limits.outbox_messages_max, outbox_messages.map(|most| count(most).max(1)));
        set(&mut limits.stall_timeout, stall_timeout.map(|time| time.0));
        set(&mut limits.compression, compression);
        limits
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn without_a_word_every_limit_is_the_services_own() {
        let config = parse("").unwrap();
        assert_eq!(config.limits(), ConnectionLimits::default());
        assert!(config.stages().is_empty());
    }

    #[test]
    fn a_stage_differs_from_the_rest_and_the_rest_from_the_service() {
        let config = parse(
            "[limits]\nidle-timeout = \"1h\"\nmessage = \"1MB\"\nframe = 65536\nbinary = true\n\
             [stages.prod.limits]\nidle-timeout = \"off\"\nping-interval = \"30s\"\nlifetime = \"off\"\n",
        )
        .unwrap();
        let usual = config.limits();
        assert_eq!(usual.idle_timeout, Some(Duration::from_hours(1)));
        assert_eq!((usual.message_bytes_max, usual.frame_bytes_max), (1 << 20, 65_536));
        let stages = config.stages();
        let prod = &stages[&StageName::parse("prod").unwrap()];
        assert_eq!((prod.idle_timeout, prod.lifetime_max), (None, None));
        assert_eq!(prod.ping_interval, Some(Duration::from_secs(30)));
        assert!(prod.binary, "what the stage does not say is as usual");
    }

    #[test]
    fn a_stage_says_itself_whether_posts_must_be_signed() {
        let signed = |text: &str| {
            let signed = parse(text).unwrap().signed();
            let stages = signed.stages.into_iter().map(|(name, signed)| (name.to_string(), signed));
            (signed.usual, stages.collect::<Vec<_>>())
        };
        assert_eq!(signed("[stages.dev.limits]\nbinary = true\n"), (false, vec![]));
        let text = "[management]\nsignatures = \"verify\"\n\
                    [stages.dev.management]\nsignatures = \"off\"\n";
        assert_eq!(signed(text), (true, vec![("dev".to_owned(), false)]));
        let text = "[stages.prod.management]\nsignatures = \"verify\"\n";
        assert_eq!(signed(text), (false, vec![("prod".to_owned(), true)]));
    }

    #[test]
    fn what_cannot_be_understood_is_said_with_its_place() {
        for (text, expected) in [
            ("[limits]\nidle-timout = \"1h\"\n", "unknown field `idle-timout`"),
            ("[limits]\nidle-timeout = \"1 fortnight\"\n", "is not a time such as"),
            ("[limits]\nidle-timeout = 600\n", "600 is not a time"),
            ("[limits]\nmessage = -1\n", "-1 is not a size"),
            ("[limits]\noutbox = \"off\"\n", "is not a size"),
            ("[stages.dev.management]\nsignatures = \"on\"\n", "unknown variant `on`"),
            ("[limits\n", "line 1"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("at line"), "{error}");
        }
    }
}
