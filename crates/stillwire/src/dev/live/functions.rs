//! Functions and event sources, when what is declared of them changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use stillwire_lambda::{TemplateChange, There};
use stillwire_model::FunctionArn;

use super::{Current, Live, Rooms};
use crate::dev::addresses::Addresses;
use crate::dev::declared::Declared;
use crate::dev::variables::Variables;

/// How long functions that no template declares any more can be called: what was routed to them, and the `$disconnect`s of
/// connections that ended with their API, need them. Choice: longer than an integration (29 s) and all tries of a `$disconnect`.
const RETIRE_AFTER: Duration = Duration::from_mins(1);

impl Live {
    /// Deploys the functions and event sources that differ. Those that are gone go on for a while.
    ///
    /// # Errors
    /// When what calls have made cannot be kept any more: then nothing is changed.
    pub(super) fn change_functions(
        &self,
        current: &Current,
        next: &Declared,
        addresses: &Addresses,
        there: BTreeMap<FunctionArn, There>,
    ) -> Result<()> {
        let (rooms, before) = (&self.rooms, &current.declared);
        let of_next = |arn: &FunctionArn| next.app.functions().any(|function| function.arn == *arn);
        let gone: Vec<FunctionArn> = before
            .app
            .functions()
            .filter(|function| !of_next(&function.arn))
            .map(|function| function.arn.clone())
            .collect();
        let is_known = |mapping: &&Arc<_>| before.app.event_sources().any(|old| old == *mapping);
        let change = TemplateChange {
            gone: gone.clone(),
            functions: next
                .functions
                .iter()
                .filter(|function| !before.functions.contains(function))
                .cloned()
                .collect(),
            gone_mappings: before
                .app
                .event_sources()
                .filter(|old| next.app.event_sources().all(|mapping| mapping.id != old.id))
                .map(|old| Arc::clone(&old.id))
                .collect(),
            mappings: next.app.event_sources().filter(|new| !is_known(new)).cloned().collect(),
        };
        let settings = &self.circumstances.settings;
        let variables =
            Variables::new(&next.app, addresses, &rooms.authority, settings, &rooms.tables);
        rooms.house.settle(variables, there.keys().cloned().collect());
        if let Some(elsewhere) = &rooms.elsewhere {
            elsewhere.replace(there);
        }
        rooms.house.retire(&gone);
        rooms.lambda.replace_templates(&change).map_err(|reason| anyhow!(reason))?;
        rooms.lambda.deploy_again();
        self.retire(gone);
        Ok(())
    }

    /// Ends functions that nobody declares any more, once nobody can need them.
    fn retire(&self, gone: Vec<FunctionArn>) {
        if gone.is_empty() {
            return;
        }
        let Rooms { house, lambda, drain, .. } = &self.rooms;
        let (house, lambda, closing) = (Arc::clone(house), lambda.clone(), drain.clone());
        drain.spawn("retiring functions", async move {
            tokio::select! {
                () = tokio::time::sleep(RETIRE_AFTER) => {}
                () = closing.closing() => return,
            }
            house.retired(&gone);
            lambda.deploy_again();
        });
    }
}
