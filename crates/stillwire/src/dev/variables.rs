//! The variables that functions get besides their own: where AWS is, and whom to trust.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_listen::Authority;
use stillwire_model::{App, Function, FunctionRelease, Stack};

use crate::dev::addresses::Addresses;
use crate::settings::Settings;

/// Every function with its variables. What a template sets itself wins over these.
pub(crate) fn for_functions(
    app: &App,
    addresses: &Addresses,
    authority: &Authority,
    settings: &Settings,
) -> Vec<(FunctionRelease, BTreeMap<String, String>)> {
    let common = common(addresses, authority, settings);
    app.stacks
        .iter()
        .flat_map(|stack| {
            let mut variables = common.clone();
            if let Some(url) = only_stage(stack, addresses) {
                // An endpoint that the user named stands.
                variables
                    .entry("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI".to_owned())
                    .or_insert(url);
            }
            let with =
                move |function: &Arc<Function>| (Arc::clone(function).into(), variables.clone());
            stack.functions.iter().map(with)
        })
        .collect()
}

/// Source: AWS SDK reference, "Service-specific endpoints" and "General configuration settings" (`ca_bundle`).
fn common(
    addresses: &Addresses,
    authority: &Authority,
    settings: &Settings,
) -> BTreeMap<String, String> {
    let aws = addresses.aws_url();
    let bundle = authority.bundle.display().to_string();
    let own = [
        // Whatever has no address of its own gets a clear answer here, and never reaches AWS.
        ("AWS_ENDPOINT_URL", aws.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", aws.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", aws),
        ("AWS_CA_BUNDLE", bundle.clone()),
        ("REQUESTS_CA_BUNDLE", bundle.clone()),
        ("SSL_CERT_FILE", bundle),
        ("NODE_EXTRA_CA_CERTS", authority.certificate.display().to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.chain(settings.services.clone()).collect()
}

/// The one stage that the functions of a stack can mean when they name no endpoint.
fn only_stage(stack: &Stack, addresses: &Addresses) -> Option<String> {
    match stack.apis.as_slice() {
        [api] if api.stages.len() == 1 => {
            let stage = api.stages.keys().next()?;
            Some(addresses.url("http", api, stage))
        }
        _ => None,
    }
}
