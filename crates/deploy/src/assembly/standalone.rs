//! What stands alone: a template, a service of the Serverless Framework, a plan or state of Terraform.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{ACCOUNT, Given, REGION, Reading};
use crate::framework::{self, Service};
use crate::macros::Context;
use crate::node::Position;
use crate::problem::{Location, Problem};
use crate::samconfig::SamConfig;
use crate::template::{Scope, Template};
use crate::terraform::Infrastructure;

impl Reading {
    /// Reads one template that stands alone; its stack is named after the file.
    pub(crate) fn template(file: &Path, given: &Given) -> Self {
        let mut reading = Self::new(given);
        let config = SamConfig::beside(&declared(file)).unwrap_or_else(|problem| {
            reading.problems.push(problem);
            SamConfig::default()
        });
        let name = config.stack.unwrap_or_else(|| named_after(&declared(file)));
        let assets = manifest_beside(file);
        let assets = assets.map_or_else(Rc::default, |manifest| reading.assets(&manifest));
        let scope = Scope::new(&name, ACCOUNT, config.region.as_deref().unwrap_or(REGION));
        reading.defaults = config.parameters;
        reading.stack(file, scope, name, assets);
        reading.check_parameters(file);
        reading
    }

    /// Reads a service of the Serverless Framework: what it packaged, or its `serverless.yml`.
    pub(crate) fn service(file: &Path, given: &Given) -> Self {
        let mut reading = Self::new(given);
        let options = framework::Options {
            stage: given.stage.as_deref(),
            environment: &given.environment,
            parameters: &given.parameters,
            account: ACCOUNT,
        };
        let service = Service::read(file, options, &given.store);
        if let Some(packaged) = framework::packaged(file) {
            let name = service.as_ref().map_or_else(
                |_| named_after(&file.with_file_name("template")),
                |service| service.stack.clone(),
            );
            let region = service.as_ref().map_or(REGION, |service| service.region.as_str());
            let scope = Scope::new(&name, ACCOUNT, region);
            reading.stack(&packaged, scope, name, Rc::default());
            return reading;
        }
        let service = match service {
            Ok(service) => service,
            Err(problems) => {
                reading.problems.extend(problems);
                return reading;
            }
        };
        let scope = Scope::new(&service.stack, ACCOUNT, &service.region);
        let context =
            Context { file, scope: &scope, given: &given.parameters, store: &given.store };
        let (root, problems, notices) = service.template(&context);
        reading.problems.extend(problems);
        reading.notices.extend(notices);
        match Template::of(root, Position::START, &context) {
            Ok((template, notices)) => {
                reading.notices.extend(notices);
                let (name, parameters) = (service.stack, given.parameters.clone());
                reading.place(template, scope, name, Rc::default(), parameters);
            }
            Err(problems) => reading.problems.extend(problems),
        }
        reading
    }

    /// Reads a plan or state of Terraform's.
    pub(crate) fn terraform(file: &Path, given: &Given) -> Self {
        let mut reading = Self::new(given);
        let infrastructure = match Infrastructure::read(file) {
            Ok(infrastructure) => infrastructure,
            Err(problems) => {
                reading.problems.extend(problems);
                return reading;
            }
        };
        if let Some(parameter) = given.parameters.keys().next() {
            let message =
                format!("a plan has no parameter {parameter}: its variables have their values");
            let problem = Problem::new(Location::file(file), message);
            reading.problems.push(problem.hint("plan again: terraform plan -var 'NAME=VALUE'"));
        }
        let name = named_after(&file.with_file_name("template"));
        let account = infrastructure.account.as_deref().unwrap_or(ACCOUNT);
        let scope = Scope::new(&name, account, &infrastructure.region);
        let context =
            Context { file, scope: &scope, given: &given.parameters, store: &given.store };
        let (root, notices) = infrastructure.template(&context);
        reading.notices.extend(notices);
        match Template::of(root, Position::START, &context) {
            Ok((template, _)) => {
                let parameters = given.parameters.clone();
                reading.place(template, scope, name, Rc::default(), parameters);
            }
            Err(problems) => reading.problems.extend(problems),
        }
        reading
    }
}

/// The template that an author writes, where this is what `sam build` made of it.
fn declared(file: &Path) -> PathBuf {
    let built = file.parent().filter(|folder| folder.ends_with(".aws-sam/build"));
    let app = built.and_then(|folder| folder.parent()?.parent());
    app.map_or_else(|| file.to_owned(), |app| app.join("template.yaml"))
}

/// The name of the stack of a template that stands alone: the file's, or its folder's where that says nothing.
fn named_after(file: &Path) -> String {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("stack");
    let stem = stem.strip_suffix(".template").unwrap_or(stem);
    let folder = if stem == "template" { file.parent() } else { None };
    let folder =
        folder.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    let folder = folder.as_deref().and_then(Path::file_name);
    let name = folder.and_then(|name| name.to_str()).unwrap_or(stem);
    // Source: CloudFormation, stack names: letters, digits and hyphens, a letter first.
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("app-{name}")
    }
}

/// The asset manifest of a template, where the CDK has put one beside it.
fn manifest_beside(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?.strip_suffix(".json")?;
    let name = name.strip_suffix(".template").unwrap_or(name);
    let manifest = file.with_file_name(format!("{name}.assets.json"));
    manifest.is_file().then_some(manifest)
}
