//! Where the app's tables are kept: here, on another server, or on AWS.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use stillwire_awswire::{Credentials, iso_millis};
use stillwire_front::{Roles, TableAuth};
use stillwire_listen::system_bundle;
use stillwire_model::{App, Clock as _, DeletionPolicy, LOCAL_KEYS, Table, TableStores};
use stillwire_outbound::Outbound;
use stillwire_tables::{
    Config as EngineConfig, Durability, Engine, ProvisionError, Provisioned, Remote, There,
    provision, remove, set_aside,
};

use tokio::runtime::Handle;

use crate::clock::SystemClock;
use crate::config::{self, Config, TableDurability, TableMode, TableSignatures};
use crate::dev::data_dir::DataDir;
use crate::dev::functions::Known;
use crate::dev::screen::Screen;
use crate::report::hinted;
use crate::settings::Settings;

/// The variable that names a DynamoDB-compatible server. Source: AWS SDK reference, "Service-specific endpoints".
const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The tables of a running app.
#[derive(Debug, Clone)]
pub(crate) enum Tables {
    /// In files of its own.
    Here(Engine),
    /// On another server.
    Elsewhere {
        /// The way there.
        remote: Remote,
        /// Where that is; AWS itself if nothing is named.
        endpoint: Option<String>,
        /// The keys that functions get for it.
        keys: Credentials,
    },
}

impl Tables {
    /// Opens them.
    pub(crate) fn open(
        own: &config::Tables,
        settings: &Settings,
        data: &DataDir,
        home: (&str, &str),
    ) -> Result<Self> {
        let variable = settings.services.get(ENDPOINT);
        let endpoint = own.endpoint.as_ref().or(variable).cloned();
        let mode = own.mode.unwrap_or(match endpoint {
            Some(_) => TableMode::External,
            None => TableMode::Embedded,
        });
        if own.enforce_iam && mode != TableMode::Embedded {
            return Err(hinted(
                "stillwire.toml: [tables] enforce-iam is for tables that are kept here",
                "leave it out: who keeps the tables decides who may use them",
            ));
        }
        let endpoint = match mode {
            TableMode::Embedded => {
                return Ok(Self::Here(Engine::open(EngineConfig {
                    folder: data.path().to_owned(),
                    account: home.0.to_owned(),
                    region: home.1.to_owned(),
                    durability: match own.durability {
                        _ if data.keeps_nothing() => Durability::Memory,
                        TableDurability::Commit => Durability::Commit,
                        TableDurability::Interval => Durability::Interval,
                    },
                    clock: Arc::new(SystemClock),
                })?));
            }
            TableMode::Aws => None,
            TableMode::External if endpoint.is_none() => {
                return Err(hinted(
                    "stillwire.toml: [tables] mode = \"external\" needs the address of a server",
                    format!("set endpoint = \"http://localhost:8000\" beside it, or {ENDPOINT}"),
                ));
            }
            TableMode::External => endpoint,
        };
        let keys = match (settings.keys.find(), &endpoint) {
            (Ok(keys), _) => keys,
            // A server of the user's own may take any.
            (Err(_), Some(_)) => Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret),
            (Err(problem), None) => {
                return Err(hinted(
                    format!("the tables are to be on AWS ([tables] mode = \"aws\"), but {problem}"),
                    "set the variables, or AWS_PROFILE",
                ));
            }
        };
        let remote = Remote::new(There {
            endpoint: endpoint.clone(),
            keys: keys.clone(),
            outbound: Outbound::new(system_bundle().as_deref()),
            clock: Arc::new(SystemClock),
        });
        Ok(Self::Elsewhere { remote, endpoint, keys })
    }

    /// Makes the app's tables what it declares, but for those that `before` declared just so.
    pub(crate) async fn provide(&self, before: &App, app: &App, screen: Screen) -> Result<()> {
        for table in app.tables().filter(|table| !before.tables().any(|other| other == *table)) {
            match self.provide_one(table, screen).await? {
                Provisioned::Created | Provisioned::Existing => {}
                Provisioned::Changed(changes) => {
                    screen.progress(&format!("table {}: {}", table.name, changes.join("; ")));
                }
            }
        }
        Ok(())
    }

    async fn provide_one(&self, table: &Table, screen: Screen) -> Result<Provisioned> {
        let engine = match self {
            Self::Here(engine) => engine,
            Self::Elsewhere { remote, .. } => {
                return Ok(provision(remote.store("", region(table)).as_ref(), table).await?);
            }
        };
        match engine.provision(table).await {
            Err(ProvisionError::Fixed { which, existing, declared, .. }) => {
                let aside = format!("{}-{}", table.name, stamp(SystemClock.epoch_millis()));
                let store = self.stores().store(account(table), region(table));
                let items = set_aside(store.as_ref(), table, &aside).await?;
                screen.warn(&format!(
                    "{which} is now declared with {declared} instead of {existing}: it begins empty, and its {items} \
                     items until now are in the table {aside}"
                ));
                Ok(engine.provision(table).await?)
            }
            provisioned => Ok(provisioned?),
        }
    }

    /// Removes those of the tables `before` that `app` does not declare, but for those whose data are to stay.
    pub(crate) async fn remove_gone(
        &self,
        before: impl Iterator<Item = &Arc<Table>>,
        app: &App,
        screen: Screen,
    ) {
        for table in before.filter(|table| !app.tables().any(|new| new.arn == table.arn)) {
            let name = &table.name;
            if table.deletion_policy == DeletionPolicy::Retain {
                screen.progress(&format!("table {name} is declared no more: its data stay"));
                continue;
            }
            let Self::Here(_) = self else {
                screen.warn(&format!("table {name} is declared no more: remove it where it is"));
                continue;
            };
            let store = self.stores().store(account(table), region(table));
            match remove(store.as_ref(), table).await {
                Ok(()) => screen.progress(&format!("table {name} is removed with its data")),
                Err(error) => {
                    screen.warn(&format!("table {name} is declared no more, and stays: {error}"));
                }
            }
        }
    }

    /// The stores.
    pub(crate) fn stores(&self) -> Arc<dyn TableStores> {
        match self {
            Self::Here(engine) => Arc::new(engine.clone()),
            Self::Elsewhere { remote, .. } => Arc::new(remote.clone()),
        }
    }

    /// The variables by which functions of a region find their tables, where those are not here.
    pub(crate) fn variables(&self, region: &str) -> BTreeMap<String, String> {
        let Self::Elsewhere { endpoint, keys, .. } = self else { return BTreeMap::new() };
        let at = |service: &str| match endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://{service}.{region}.amazonaws.com"),
        };
        let mut variables = BTreeMap::from([
            (ENDPOINT.to_owned(), at("dynamodb")),
            (format!("{ENDPOINT}_STREAMS"), at("streams.dynamodb")),
            ("AWS_ACCESS_KEY_ID".to_owned(), keys.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), keys.secret.clone()),
        ]);
        if let Some(token) = &keys.session_token {
            variables.insert("AWS_SESSION_TOKEN".to_owned(), token.clone());
        }
        variables
    }

    /// The threads that what is kept here is read and written on.
    pub(crate) fn threads(&self) -> Option<&Handle> {
        match self {
            Self::Here(engine) => Some(engine.threads()),
            Self::Elsewhere { .. } => None,
        }
    }

    /// Resolves once what is kept here can be trusted no more.
    pub(crate) async fn failed(&self) {
        match self {
            Self::Here(engine) => engine.failed().await,
            Self::Elsewhere { .. } => std::future::pending().await,
        }
    }

    /// What they are, in a few words.
    pub(crate) fn shown(&self, data: &DataDir) -> String {
        match self {
            Self::Here(_) => format!("in {}", data.shown()),
            Self::Elsewhere { endpoint: Some(endpoint), .. } => format!("at {endpoint}"),
            Self::Elsewhere { endpoint: None, .. } => "on AWS".to_owned(),
        }
    }
}

fn account(table: &Table) -> &str {
    table.arn.split(':').nth(4).unwrap_or_default()
}

fn region(table: &Table) -> &str {
    table.arn.split(':').nth(3).unwrap_or_default()
}

/// A time as part of a name: `2025-02-04T09-12-33`.
fn stamp(epoch_millis: u64) -> String {
    let text = iso_millis(epoch_millis).replace(':', "-");
    text.split('.').next().unwrap_or_default().to_owned()
}

/// The endpoint's side of tables: who may use them.
pub(crate) fn front(
    tables: &Tables,
    own: &Config,
    (functions, roles): (Known, Option<Roles>),
    region: &str,
) -> Result<stillwire_front::Tables> {
    // A policy is about APIs: a key that has one opens nothing else.
    let free = own.keys()?.into_iter().filter(|(_, key)| key.policy.is_none());
    let secrets = free.map(|(name, key)| (name, key.secret)).collect();
    Ok(stillwire_front::Tables {
        stores: tables.stores(),
        auth: match own.tables.signatures {
            None | Some(TableSignatures::Presence) => TableAuth::Presence,
            Some(TableSignatures::Off) => TableAuth::Off,
            Some(TableSignatures::Verify) => TableAuth::Verify,
        },
        secrets,
        functions: Arc::new(functions),
        roles,
        region: region.into(),
        clock: Arc::new(SystemClock),
    })
}

/// What the roles of the app's functions may do, where that is enforced. What cannot be judged is told.
pub(crate) fn roles(own: &config::Tables, app: &App) -> Result<Option<Roles>> {
    if !own.enforce_iam {
        return Ok(None);
    }
    for role in app.roles() {
        for policy in &role.unknown_policies {
            tracing::warn!(role = %role.arn, policy, "what this policy allows is not known here: nothing");
        }
        for condition in Roles::not_evaluated(role) {
            tracing::warn!(
                role = %role.arn, condition,
                "this condition is not evaluated here: a statement with it allows nothing, and denies what it names"
            );
        }
    }
    for function in app.functions() {
        if app.roles().all(|role| role.arn != function.role) {
            let (function, role) = (function.name(), &function.role);
            tracing::warn!(function, %role, "its role is not part of the app: it may do everything to tables");
        }
    }
    Roles::new(app.roles()).map(Some).map_err(|error| {
        hinted(error.to_string(), "mend the template, or leave out [tables] enforce-iam")
    })
}
