//! SSM parameters, among them the one that says that the CDK's bootstrapping was done.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stillwire_keep::StateFile;
use stillwire_model::{
    BoxFuture, Clock, Keeper, ServiceApi, ServiceReply, ServiceRequest, StoredValue,
    SystemParameters,
};

use crate::error::{Answered, Refused};
use crate::json::{self, Members};
use crate::place::Place;

/// The version of the file's form.
const VERSION: u32 = 1;

/// Parameters of all accounts. Source: Systems Manager quotas, 10,000 standard ones in a region.
const PARAMETERS_MAX: usize = 10_000;

/// The longest value, in bytes. Source: Systems Manager quotas, "Parameter value" of advanced ones.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Versions that are remembered of one. Source: Systems Manager quotas, "History" (100).
const VERSIONS_MAX: usize = 100;

/// What templates of the CDK ask for, whatever the qualifier: `/cdk-bootstrap/hnb659fds/version`.
const BOOTSTRAP: (&str, &str) = ("/cdk-bootstrap/", "/version");

/// A version that no template asks for more than.
const BOOTSTRAP_VERSION: &str = "999";

/// The service. Clones share everything.
#[derive(Debug, Clone)]
pub struct Parameters(Arc<Room>);

#[derive(Debug)]
struct Room {
    state: Mutex<State>,
    /// What templates and the file of values say, by place and name. What calls have put comes first.
    declared: RwLock<Declared>,
    store: StateFile,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// By place, and then by name.
    parameters: BTreeMap<String, BTreeMap<String, Parameter>>,
}

/// Parameters by place, and then by name.
type Declared = BTreeMap<String, BTreeMap<String, Parameter>>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Parameter {
    kind: String,
    description: Option<String>,
    tags: BTreeMap<String, String>,
    /// The newest last.
    versions: Vec<Version>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Version {
    number: u64,
    value: String,
    modified: u64,
}

impl Parameters {
    /// What is kept in `file`; without one, nothing was kept and nothing will be.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(file: Option<PathBuf>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let store = StateFile::new(file, VERSION);
        let state = Mutex::new(store.read()?);
        Ok(Self(Arc::new(Room { state, declared: RwLock::default(), store, clock })))
    }

    /// These are all parameters that are declared, from now on.
    pub fn declare(&self, values: &[StoredValue]) {
        let modified = self.0.clock.epoch_millis();
        let mut declared = Declared::default();
        for stored in values {
            let Keeper::ParameterStore { kind } = &stored.keeper else { continue };
            let version = Version { number: 1, value: stored.value.clone(), modified };
            let parameter = Parameter {
                kind: kind.clone(),
                description: stored.description.clone(),
                versions: vec![version],
                ..Parameter::default()
            };
            let place =
                Place { account: stored.account.to_string(), region: stored.region.to_string() };
            declared.entry(place.key()).or_default().insert(stored.name.clone(), parameter);
        }
        *self.0.declared.write().unwrap_or_else(PoisonError::into_inner) = declared;
    }
}

impl SystemParameters for Parameters {
    fn value(
        &self,
        account: &str,
        region: &str,
        name: &str,
        version: Option<u64>,
    ) -> Option<String> {
        if is_bootstrap(name) && version.is_none() {
            return Some(BOOTSTRAP_VERSION.to_owned());
        }
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let parameter = state
            .parameters
            .get(&Place { account: account.to_owned(), region: region.to_owned() }.key())?
            .get(name)?;
        parameter.version(version).map(|version| version.value.clone())
    }
}

impl ServiceApi for Parameters {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let room = Arc::clone(&self.0);
        json::answer_from_disk(request, move |place, operation, members| {
            room.operate(place, operation, members)
        })
    }
}

/// The ARN of a parameter.
fn arn(place: &Place, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    place.arn("ssm", &format!("parameter{slash}{name}"))
}

fn is_bootstrap(name: &str) -> bool {
    let qualifier = name.strip_prefix(BOOTSTRAP.0).and_then(|rest| rest.strip_suffix(BOOTSTRAP.1));
    qualifier.is_some_and(|text| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn bootstrap() -> Parameter {
    let version = Version { number: 1, value: BOOTSTRAP_VERSION.to_owned(), modified: 0 };
    Parameter { kind: "String".to_owned(), versions: vec![version], ..Parameter::default() }
}

impl Parameter {
    /// The version that is named, or the newest.
    fn version(&self, number: Option<u64>) -> Option<&Version> {
        match number {
            Some(number) => self.versions.iter().find(|version| version.number == number),
            None => self.versions.last(),
        }
    }
}

fn not_found() -> Refused {
    Refused::new(400, "ParameterNotFound", "")
}

/// A name, and the version that is asked for with it (`/a/b:3`).
fn split(name: &str) -> (&str, Option<u64>) {
    // An ARN names a parameter too; what comes after `parameter` is its name.
    let name = match name.split_once(":parameter") {
        Some((arn, name)) if arn.starts_with("arn:") => name,
        _ => name,
    };
    match name.rsplit_once(':').map(|(name, version)| (name, version.parse())) {
        Some((name, Ok(version))) => (name, Some(version)),
        _ => (name, None),
    }
}

impl Room {
    fn operate(&self, place: &Place, operation: &str, members: &Members) -> Answered<Value> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.there(&state, place);
        match operation {
            "GetParameter" => {
                let found = find(&all, place, members.needed("Name")?).ok_or_else(not_found)?;
                Ok(json!({ "Parameter": found }))
            }
            "GetParameters" => {
                let names = members.texts("Names");
                let (mut found, mut invalid) = (Vec::new(), Vec::new());
                for name in names {
                    match find(&all, place, name) {
                        Some(parameter) => found.push(parameter),
                        None => invalid.push(name),
                    }
                }
                Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
            }
            "GetParametersByPath" => {
                let path = members.needed("Path")?.trim_end_matches('/');
                let is_deep = members.flag("Recursive");
                let below = all.iter().filter(|(name, _)| {
                    let rest = name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
                    rest.is_some_and(|rest| is_deep || !rest.contains('/'))
                });
                let shown = below.filter_map(|(name, parameter)| {
                    Some(shown(place, name, parameter, parameter.version(None)?))
                });
                Ok(json!({ "Parameters": shown.collect::<Vec<_>>() }))
            }
            "DescribeParameters" => {
                let wanted: Vec<&str> = members
                    .objects("ParameterFilters")
                    .chain(members.objects("Filters"))
                    .filter_map(|filter| filter.get("Values")?.as_array())
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let named = all.iter().filter(|(name, _)| {
                    wanted.is_empty() || wanted.iter().any(|wanted| name.contains(*wanted))
                });
                let shown = named.filter_map(|(name, parameter)| {
                    let version = parameter.version(None)?;
                    Some(json!({
                        "Name": name, "Type": parameter.kind, "Description": parameter.description,
                        "Version": version.number, "Tier": "Standard", "DataType": "text",
                        "ARN": arn(place, name), "LastModifiedDate": seconds(version.modified),
                    }))
                });
                Ok(json!({ "Parameters": shown.collect::<Vec<_>>() }))
            }
            "GetParameterHistory" => {
                let name = members.needed("Name")?;
                let parameter = all.get(name).ok_or_else(not_found)?;
                let shown =
                    parameter.versions.iter().map(|version| shown(place, name, parameter, version));
                Ok(json!({ "Parameters": shown.collect::<Vec<_>>() }))
            }
            "ListTagsForResource" => {
                let name = members.needed("ResourceId")?;
                let tags = all.get(name).into_iter().flat_map(|parameter| &parameter.tags);
                let tags = tags.map(|(key, value)| json!({ "Key": key, "Value": value }));
                Ok(json!({ "TagList": tags.collect::<Vec<_>>() }))
            }
            _ => {
                let mut next = state.clone();
                let before = all.clone();
                let mut all = all;
                let answer = self.change(&mut all, operation, members)?;
                if let Some(name) =
                    self.declared(place).keys().find(|name| !all.contains_key(*name))
                {
                    let message = format!(
                        "{name} is declared by a template, or in the file of values: take it out there"
                    );
                    return Err(Refused::invalid(message));
                }
                let own = next.parameters.entry(place.key()).or_default();
                own.retain(|name, _| all.contains_key(name));
                // What is only declared stays where it is declared.
                own.extend(all.into_iter().filter(|(name, value)| before.get(name) != Some(value)));
                if next.parameters.values().map(BTreeMap::len).sum::<usize>() > PARAMETERS_MAX {
                    let message = format!("there are {PARAMETERS_MAX} parameters already");
                    return Err(Refused::new(400, "ParameterLimitExceeded", message));
                }
                self.store.write(&next).map_err(|error| Refused::not_kept(&error))?;
                *state = next;
                Ok(answer)
            }
        }
    }

    /// What is declared at a place.
    fn declared(&self, place: &Place) -> BTreeMap<String, Parameter> {
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        declared.get(&place.key()).cloned().unwrap_or_default()
    }

    /// All parameters of a place.
    fn there(&self, state: &State, place: &Place) -> BTreeMap<String, Parameter> {
        let mut all = self.declared(place);
        all.extend(state.parameters.get(&place.key()).cloned().unwrap_or_default());
        all
    }

    fn change(
        &self,
        all: &mut BTreeMap<String, Parameter>,
        operation: &str,
        members: &Members,
    ) -> Answered<Value> {
        match operation {
            "PutParameter" => {
                let name = members.needed("Name")?.to_owned();
                let value = members.needed("Value")?.to_owned();
                check_name(&name)?;
                if value.is_empty() || value.len() > VALUE_BYTES_MAX {
                    return Err(Refused::invalid(format!(
                        "a value has from 1 to {VALUE_BYTES_MAX} bytes"
                    )));
                }
                if all.contains_key(&name) && !members.flag("Overwrite") {
                    let message = "The parameter already exists. To overwrite this value, set the overwrite option in the \
                         request to true.";
                    return Err(Refused::new(400, "ParameterAlreadyExists", message));
                }
                let parameter = all.entry(name).or_default();
                let kind = members.text("Type")?.map(str::to_owned);
                match kind {
                    Some(kind) if KINDS.contains(&kind.as_str()) => parameter.kind = kind,
                    Some(_) => {
                        return Err(Refused::invalid("Type is String, StringList or SecureString"));
                    }
                    None if parameter.kind.is_empty() => {
                        return Err(Refused::invalid(
                            "A parameter type is required when you create a parameter.",
                        ));
                    }
                    None => {}
                }
                if let Some(description) = members.text("Description")? {
                    parameter.description = Some(description.to_owned());
                }
                parameter.tags.extend(members.tags("Tags"));
                let number = parameter.versions.last().map_or(1, |version| version.number + 1);
                let modified = self.clock.epoch_millis();
                parameter.versions.push(Version { number, value, modified });
                if parameter.versions.len() > VERSIONS_MAX {
                    parameter.versions.remove(0);
                }
                Ok(json!({ "Version": number, "Tier": "Standard" }))
            }
            "DeleteParameter" => {
                all.remove(members.needed("Name")?).ok_or_else(not_found)?;
                Ok(json!({}))
            }
            "DeleteParameters" => {
                let (deleted, invalid): (Vec<&str>, Vec<&str>) =
                    members.texts("Names").into_iter().partition(|name| all.contains_key(*name));
                all.retain(|name, _| !deleted.contains(&name.as_str()));
                Ok(json!({ "DeletedParameters": deleted, "InvalidParameters": invalid }))
            }
            "AddTagsToResource" => {
                let parameter = all.get_mut(members.needed("ResourceId")?).ok_or_else(not_found)?;
                parameter.tags.extend(members.tags("Tags"));
                Ok(json!({}))
            }
            "RemoveTagsFromResource" => {
                let parameter = all.get_mut(members.needed("ResourceId")?).ok_or_else(not_found)?;
                for key in members.texts("TagKeys") {
                    parameter.tags.remove(key);
                }
                Ok(json!({}))
            }
            other => Err(Refused::unserved("SSM", other)),
        }
    }
}

/// Source: `PutParameter`, `Type`.
const KINDS: [&str; 3] = ["String", "StringList", "SecureString"];

/// Source: `PutParameter`, `Name`.
fn check_name(name: &str) -> Answered<()> {
    let is_name = (1..=1011).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte));
    if is_name {
        return Ok(());
    }
    Err(Refused::invalid("Parameter name must consist of letters, digits and the symbols .-_/"))
}

/// A parameter as answers have it, by its name, which may say a version.
fn find(all: &BTreeMap<String, Parameter>, place: &Place, named: &str) -> Option<Value> {
    let (name, version) = split(named);
    if let Some(parameter) = all.get(name) {
        return Some(shown(place, name, parameter, parameter.version(version)?));
    }
    let parameter = is_bootstrap(name).then(bootstrap)?;
    Some(shown(place, name, &parameter, parameter.version(version)?))
}

fn shown(place: &Place, name: &str, parameter: &Parameter, version: &Version) -> Value {
    json!({
        "Name": name, "Type": parameter.kind, "Value": version.value, "Version": version.number,
        "LastModifiedDate": seconds(version.modified), "ARN": arn(place, name), "DataType": "text",
    })
}

/// Times of this protocol are seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact")]
fn seconds(epoch_millis: u64) -> f64 {
    epoch_millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_a_version_and_an_arn_is_a_name() {
        assert_eq!(split("/a/b"), ("/a/b", None));
        assert_eq!(split("/a/b:3"), ("/a/b", Some(3)));
        assert_eq!(split("arn:aws:ssm:eu-west-1:1:parameter/a/b:3"), ("/a/b", Some(3)));
    }

    #[test]
    fn every_qualifier_is_bootstrapped() {
        assert!(is_bootstrap("/cdk-bootstrap/hnb659fds/version"));
        assert!(is_bootstrap("/cdk-bootstrap/mine/version"));
        for other in ["/cdk-bootstrap//version", "/cdk-bootstrap/a/b/version", "/cdk-bootstrap/a"] {
            assert!(!is_bootstrap(other), "{other}");
        }
    }
}
