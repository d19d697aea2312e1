//! What differs between what runs and what is to run.

use std::sync::Arc;

use stillwire_deploy::Loaded;
use stillwire_model::{ApiDefinition, ApiId, StageDefinition};

use crate::dev::declared::Declared;
use crate::dev::screen::Screen;

/// The APIs that differ.
pub(super) struct Difference {
    /// New, or declared otherwise.
    pub(super) changed: Vec<ApiDefinition>,
    pub(super) gone: Vec<ApiId>,
}

/// Whether the same runs, whatever the templates look like.
pub(super) fn is_same(old: Option<&Loaded>, new: &Loaded) -> bool {
    old.is_some_and(|old| {
        (&old.functions, &old.definitions, &old.values)
            == (&new.functions, &new.definitions, &new.values)
    })
}

/// Which APIs differ.
pub(super) fn difference(old: &Declared, new: &Declared) -> Difference {
    let keys = |of: &Declared| of.app.apis().next().map(|api| Arc::clone(&api.api_keys));
    let same_keys = keys(old) == keys(new);
    let is_new = |api: &&ApiDefinition| !same_keys || !old.apis.contains(api);
    let is_gone = |api: &&ApiDefinition| new.apis.iter().all(|other| other.id != api.id);
    Difference {
        changed: new.apis.iter().filter(is_new).cloned().collect(),
        gone: old.apis.iter().filter(is_gone).map(|api| api.id.clone()).collect(),
    }
}

/// On AWS, a stage that names its deployment serves what that was made of.
///
/// Source: API Gateway v2, `CreateDeployment`; `AutoDeploy` publishes at once.
pub(super) fn warn_of_deployments(
    old: &Declared,
    difference: &Difference,
    new: &Declared,
    screen: Screen,
) {
    for api in &difference.changed {
        let Some(before) = old.apis.iter().find(|before| before.id == api.id) else { continue };
        if before.parts == api.parts {
            continue;
        }
        let name = new.app.apis().find(|other| other.id == api.id).map(|api| api.name.as_str());
        for (stage, now) in &api.stages {
            let deployment = |of: &StageDefinition| of.properties.get("DeploymentId").cloned();
            let automatic = now.properties.get("AutoDeploy").is_some_and(|auto| auto == true);
            let before = before.stages.get(stage).and_then(deployment);
            if !automatic && before.is_some() && before == deployment(now) {
                screen.warn(&format!(
                    "on AWS this change reaches stage {stage} of {} only when its deployment is replaced: give the \
                     AWS::ApiGatewayV2::Deployment another logical id, or the stage AutoDeploy",
                    name.unwrap_or(api.id.as_str())
                ));
            }
        }
    }
}
