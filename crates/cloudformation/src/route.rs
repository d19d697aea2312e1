//! The way of a request to its operation.

use std::sync::Arc;

use stillwire_awswire::{Query, Xml};

use crate::error::{Answered, Refused};
use crate::room::Room;
use crate::state::Place;
use crate::{change_sets, describe, drift, events, exports, resources, stacks};

/// What the operation answers, without its envelope.
pub(crate) fn answer(room: &Arc<Room>, place: &Place, query: &Query) -> Answered<Xml> {
    match query.action() {
        "CreateStack" => stacks::create(room, place, query),
        "UpdateStack" => stacks::update(room, place, query),
        "DeleteStack" => stacks::delete(room, place, query),
        "RollbackStack" => stacks::roll_back(room, place, query),
        "ContinueUpdateRollback" => stacks::continue_rollback(room, place, query),
        "CancelUpdateStack" => stacks::cancel_update(room, place, query),
        "UpdateTerminationProtection" => stacks::protect(room, place, query),
        "SetStackPolicy" => stacks::set_policy(room, place, query),
        "GetStackPolicy" => stacks::get_policy(room, place, query),
        "CreateChangeSet" => change_sets::create(room, place, query),
        "DescribeChangeSet" => change_sets::describe(room, place, query),
        "ExecuteChangeSet" => change_sets::execute(room, place, query),
        "DeleteChangeSet" => change_sets::delete(room, place, query),
        "ListChangeSets" => change_sets::list(room, place, query),
        "DescribeStacks" => describe::stacks(room, place, query),
        "ListStacks" => describe::list(room, place, query),
        "GetTemplate" => describe::template(room, place, query),
        "GetTemplateSummary" => describe::summary(room, place, query),
        "ValidateTemplate" => describe::validate(room, place, query),
        "DescribeAccountLimits" => Ok(describe::account_limits()),
        "ListStackResources" => resources::list(room, place, query),
        "DescribeStackResources" => resources::describe_all(room, place, query),
        "DescribeStackResource" => resources::describe(room, place, query),
        "DescribeStackEvents" => events::of_stack(room, place, query),
        "DescribeEvents" => events::of_operations(room, place, query),
        "ListExports" => exports::list(room, place, query),
        "ListImports" => exports::importers(room, place, query),
        "DetectStackDrift" => drift::detect(room, place, query),
        "DescribeStackDriftDetectionStatus" => drift::status(room, place, query),
        "DescribeStackResourceDrifts" => drift::resources(room, place, query),
        other => {
            let shown: String = other.chars().take(100).collect();
            let message = format!(
                "{shown} is not served: Stillwire deploys stacks, by change sets or without"
            );
            Err(Refused::new(400, "InvalidAction", message))
        }
    }
}
