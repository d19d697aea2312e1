//! A change of an API: checked, served and kept, or not made at all.

use crate::error::{Answered, Refused, bad_request, not_found};
use crate::ids;
use crate::kinds::Kind;
use crate::plane::Plane;
use crate::state::{Api, State};

/// Which changes a stage that deploys itself follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touches {
    /// The API or its parts, which deployments hold.
    Parts,
    /// Stages, deployments and tags, which they don't.
    Surroundings,
}

impl Plane {
    /// The API of this id.
    pub(crate) fn api<'s>(&self, state: &'s State, id: &str) -> Answered<&'s Api> {
        state.apis.get(id).ok_or_else(|| self.no_api(id))
    }

    /// Source: observed wording of the service.
    fn no_api(&self, id: &str) -> Refused {
        not_found(format!("Invalid API identifier specified {}:{id}", self.home.account))
    }

    /// Changes an API by `change`, and gives what that gives.
    pub(crate) fn change_api<T>(
        &self,
        state: &mut State,
        id: &str,
        touches: Touches,
        change: impl FnOnce(&mut Api) -> Answered<T>,
    ) -> Answered<T> {
        let mut api = self.api(state, id)?.clone();
        let answer = change(&mut api)?;
        if touches == Touches::Parts {
            api.deploy_itself(&self.now())?;
        }
        self.put(state, id, api)?;
        Ok(answer)
    }

    /// Serves an API in this form, and keeps it.
    pub(crate) fn put(&self, state: &mut State, id: &str, api: Api) -> Answered<()> {
        let definition = api.definition(id).ok_or_else(|| self.no_api(id))?;
        self.host.publish(&definition).map_err(|problems| bad_request(problems.join("; ")))?;
        let old = state.apis.insert(id.to_owned(), api);
        let Err(refused) = self.keep(state) else { return Ok(()) };
        // What is not kept is not made.
        if let Some(old) = old {
            if let Some(definition) = old.definition(id) {
                self.host.publish(&definition).ok(); // it was served a moment ago
            }
            state.apis.insert(id.to_owned(), old);
        } else {
            self.host.withdraw(&definition.id);
            state.apis.remove(id);
        }
        Err(refused)
    }
}

impl Api {
    /// Deploys what is there now to the stages that deploy themselves.
    ///
    /// Source: `AutoDeploy`; the texts are observed answers of the service.
    pub(crate) fn deploy_itself(&mut self, now: &str) -> Answered<()> {
        let follow = |api: &Self| -> Vec<String> {
            let stages = api.stages.iter().filter(|(_, stage)| stage.deploys_itself());
            stages.map(|(name, _)| name.clone()).collect()
        };
        let names = follow(self);
        if names.is_empty() {
            return Ok(());
        }
        let id = ids::of_deployment(self)?;
        let failed = self.check_deployable().err();
        if failed.is_none() {
            let text = "Automatic deployment triggered by changes to the Api configuration";
            let made = self.snapshot(now, Some(text.to_owned()), true);
            self.deployments.insert(id.clone(), made);
        }
        for name in names {
            let Some(stage) = self.stages.get_mut(&name) else { continue };
            now.clone_into(&mut stage.updated);
            stage.message = Some(if let Some(problem) = failed {
                format!("Deployment attempt failed: {problem}")
            } else {
                stage.own.insert("deploymentId".to_owned(), id.clone().into());
                format!("Successfully deployed stage with deployment ID '{id}'")
            });
        }
        self.forget_unused();
        Ok(())
    }

    /// Whether there is anything to deploy.
    ///
    /// Source: observed wording of the service.
    pub(crate) fn check_deployable(&self) -> Result<(), &'static str> {
        let has_routes =
            Kind::of_segment("routes").is_some_and(|kind| self.parts.of(kind).next().is_some());
        if has_routes {
            Ok(())
        } else {
            Err("Unable to deploy API because no routes exist in this API")
        }
    }

    /// Lets go of automatic deployments that no stage serves.
    fn forget_unused(&mut self) {
        let used: Vec<String> = self
            .stages
            .values()
            .filter_map(|stage| stage.deployment_id().map(str::to_owned))
            .collect();
        self.deployments.retain(|id, made| !made.automatic || used.contains(id));
    }
}
