//! All that is declared: by the app that is run from its source, and by the stacks that were deployed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use stillwire_deploy::{Loaded, SdkCall};
use stillwire_model::{ApiDefinition, App, DomainDefinition, FunctionDefinition, StoredValue};

use crate::report::hinted;

/// What is declared, whoever declares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    /// What runs. Addresses in it lead here once [`rewrite_addresses`](stillwire_deploy::rewrite_addresses) was there.
    pub(crate) app: App,
    /// Its APIs as the templates write them.
    pub(crate) apis: Vec<ApiDefinition>,
    /// Its functions as the templates write them.
    pub(crate) functions: Vec<FunctionDefinition>,
    /// What is to be done once, when a stack is new.
    pub(crate) sdk_calls: Vec<SdkCall>,
    /// What functions find in Parameter Store and in Secrets Manager.
    pub(crate) values: Vec<StoredValue>,
}

impl Declared {
    /// What the app and the deployed stacks declare together.
    pub(crate) fn by<'a>(loaded: impl IntoIterator<Item = &'a Loaded>) -> Result<Self> {
        let mut all = Self::default();
        for Loaded { app, definitions, functions, sdk_calls, values, .. } in loaded {
            all.app.stacks.extend(app.stacks.iter().cloned());
            all.apis.extend(definitions.iter().cloned());
            all.functions.extend(functions.iter().cloned());
            all.sdk_calls.extend(sdk_calls.iter().cloned());
            all.values.extend(values.iter().cloned());
        }
        all.check_names()?;
        Ok(all)
    }

    /// Its custom domains as the templates write them.
    pub(crate) fn domains(&self) -> Vec<DomainDefinition> {
        self.app.domains().map(|domain| domain.definition()).collect()
    }

    /// Two of one name would be one.
    fn check_names(&self) -> Result<()> {
        let twice = |what: &str, name: String| {
            Err(hinted(
                format!(
                    "the {what} {name} is declared by the app and by a stack that was deployed"
                ),
                "give one of them another name, or delete the stack (`stillwire destroy`)",
            ))
        };
        let mut stacks = BTreeSet::new();
        for stack in &self.app.stacks {
            if !stacks.insert((&stack.account, &stack.region, &stack.name)) {
                return twice("stack", stack.name.to_string());
            }
        }
        let names = self.app.functions().map(|function| ("function", function.arn.to_string()));
        let names = names.chain(self.app.tables().map(|table| ("table", table.arn.clone())));
        let names =
            names.chain(self.app.domains().map(|domain| ("domain", domain.name.to_string())));
        let mut known = BTreeMap::new();
        for (what, name) in names {
            if known.insert(name.clone(), what).is_some() {
                return twice(what, name);
            }
        }
        Ok(())
    }
}
