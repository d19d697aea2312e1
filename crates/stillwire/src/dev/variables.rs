//! The variables that functions get besides their own: where AWS is, and whom to trust.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_listen::Authority;
use stillwire_model::{App, Stack};

use crate::dev::addresses::Addresses;
use crate::dev::tables::Tables;
use crate::settings::Settings;

/// What each function gets. What a template sets itself wins over these.
#[derive(Debug)]
pub(crate) struct Variables {
    common: BTreeMap<String, String>,
    /// The one stage that functions of a stack can mean, by the stack.
    stages: BTreeMap<Arc<str>, String>,
    tables: Tables,
}

impl Variables {
    pub(crate) fn new(
        app: &App,
        addresses: &Addresses,
        authority: &Authority,
        settings: &Settings,
        tables: &Tables,
    ) -> Self {
        let stage = |stack: &Stack| Some((Arc::clone(&stack.name), only_stage(stack, addresses)?));
        Self {
            common: common(addresses, authority, settings),
            stages: app.stacks.iter().filter_map(stage).collect(),
            tables: tables.clone(),
        }
    }

    /// The variables of a function of this stack and region; of no stack, for one that no template declares.
    pub(crate) fn of(&self, stack: &str, region: &str) -> BTreeMap<String, String> {
        let mut variables = self.common.clone();
        variables.extend(self.tables.variables(region));
        if let Some(url) = self.stages.get(stack) {
            // An endpoint that the user named stands.
            variables
                .entry("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI".to_owned())
                .or_insert_with(|| url.clone());
        }
        variables
    }
}

/// Source: AWS SDK reference, "Service-specific endpoints" and "General configuration settings" (`ca_bundle`).
fn common(
    addresses: &Addresses,
    authority: &Authority,
    settings: &Settings,
) -> BTreeMap<String, String> {
    let aws = addresses.aws_url();
    let bundle = authority.bundle().display().to_string();
    let own = [
        // Whatever has no address of its own gets a clear answer here, and never reaches AWS.
        ("AWS_ENDPOINT_URL", aws.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", aws.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", aws),
        ("AWS_CA_BUNDLE", bundle.clone()),
        ("REQUESTS_CA_BUNDLE", bundle.clone()),
        ("SSL_CERT_FILE", bundle),
        ("NODE_EXTRA_CA_CERTS", authority.own_certificates().display().to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.chain(settings.services.clone()).collect()
}

/// The one stage that the functions of a stack can mean when they name no endpoint.
fn only_stage(stack: &Stack, addresses: &Addresses) -> Option<String> {
    match stack.apis.as_slice() {
        [api] if api.stages.len() == 1 => addresses.local_url(api, api.stages.keys().next()?),
        _ => None,
    }
}
