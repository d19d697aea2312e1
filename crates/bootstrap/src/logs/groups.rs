//! Log groups.
//!
//! Source: CloudWatch Logs API reference.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{group_arn, group_name, group_of};
use crate::error::{Answered, Refused};
use crate::json::Members;
use crate::place::Place;

/// Groups that are made, in all places. Choice: an app has some for each function.
const GROUPS_MAX: usize = 10_000;

/// The groups that were made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// By place, and then by name.
    groups: BTreeMap<String, BTreeMap<String, Group>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Group {
    created: u64,
    retention_days: Option<u64>,
    class: Option<String>,
    tags: BTreeMap<String, String>,
}

pub(super) fn no_group() -> Refused {
    Refused::new(400, "ResourceNotFoundException", "The specified log group does not exist.")
}

/// Source: `CreateLogGroup`, `logGroupName`.
fn check_name(name: &str) -> Answered<()> {
    let is_name = (1..=512).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-/.#".contains(&byte));
    if is_name {
        return Ok(());
    }
    let message = "a log group is named with up to 512 letters, digits, and _-/.#";
    Err(Refused::new(400, "InvalidParameterException", message))
}

/// Source: `PutRetentionPolicy`, `retentionInDays`.
const DAYS: [u64; 23] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653, 0,
];

impl State {
    pub(super) fn has(&self, place: &Place, group: &str) -> bool {
        self.groups.get(&place.key()).is_some_and(|groups| groups.contains_key(group))
    }

    /// Carries out an operation on groups; `written` are those that functions write to.
    pub(super) fn operate(
        &mut self,
        place: &Place,
        (operation, members): (&str, &Members),
        written: &[String],
        now: u64,
    ) -> Answered<Value> {
        let groups = self.groups.entry(place.key()).or_default();
        match operation {
            "CreateLogGroup" => {
                let name = members.needed("logGroupName")?;
                check_name(name)?;
                if groups.contains_key(name) {
                    let message = "The specified log group already exists";
                    return Err(Refused::new(400, "ResourceAlreadyExistsException", message));
                }
                let class = members.text("logGroupClass")?.map(str::to_owned);
                let tags = members.tags("tags");
                let group = Group { created: now, class, tags, ..Group::default() };
                groups.insert(name.to_owned(), group);
                if self.groups.values().map(BTreeMap::len).sum::<usize>() > GROUPS_MAX {
                    let message = "Resource limit exceeded.";
                    return Err(Refused::new(400, "LimitExceededException", message));
                }
                Ok(json!({}))
            }
            "DeleteLogGroup" => {
                let name = members.needed("logGroupName")?;
                let was_made = groups.remove(name).is_some();
                // What functions write stays, and so does its group.
                if was_made || written.iter().any(|one| one == name) {
                    return Ok(json!({}));
                }
                Err(no_group())
            }
            "DescribeLogGroups" => Ok(describe(groups, place, members, written)?),
            "PutRetentionPolicy" => {
                let days = members.number("retentionInDays")?.unwrap_or_default();
                if days == 0 || !DAYS.contains(&days) {
                    let message = "retentionInDays is none of the numbers of days that there are";
                    return Err(Refused::new(400, "InvalidParameterException", message));
                }
                find(groups, group_of(members)?, written, now)?.retention_days = Some(days);
                Ok(json!({}))
            }
            "DeleteRetentionPolicy" => {
                find(groups, group_of(members)?, written, now)?.retention_days = None;
                Ok(json!({}))
            }
            "ListTagsForResource" | "ListTagsLogGroup" => {
                let name = named(members)?;
                let tags = groups.get(name).map(|group| group.tags.clone()).unwrap_or_default();
                Ok(json!({ "tags": tags }))
            }
            "TagResource" | "TagLogGroup" => {
                find(groups, named(members)?, written, now)?.tags.extend(members.tags("tags"));
                Ok(json!({}))
            }
            "UntagResource" | "UntagLogGroup" => {
                let group = find(groups, named(members)?, written, now)?;
                for key in members.texts("tagKeys").into_iter().chain(members.texts("tags")) {
                    group.tags.remove(key);
                }
                Ok(json!({}))
            }
            other => Err(Refused::unserved("CloudWatch Logs", other)),
        }
    }
}

fn named(members: &Members) -> Answered<&str> {
    match members.text("resourceArn")? {
        Some(arn) => Ok(group_name(arn)),
        None => members.needed("logGroupName"),
    }
}

/// A group that is changed: one that functions write to is made by that.
fn find<'a>(
    groups: &'a mut BTreeMap<String, Group>,
    name: &str,
    written: &[String],
    now: u64,
) -> Answered<&'a mut Group> {
    if !groups.contains_key(name) && written.iter().any(|one| one == name) {
        groups.insert(name.to_owned(), Group { created: now, ..Group::default() });
    }
    groups.get_mut(name).ok_or_else(no_group)
}

fn describe(
    groups: &BTreeMap<String, Group>,
    place: &Place,
    members: &Members,
    written: &[String],
) -> Answered<Value> {
    let prefix = members.text("logGroupNamePrefix")?.unwrap_or_default();
    let pattern = members.text("logGroupNamePattern")?.unwrap_or_default();
    let mut names: Vec<&str> =
        groups.keys().map(String::as_str).chain(written.iter().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let from = members.text("nextToken")?.unwrap_or_default();
    let most = members.number("limit")?.unwrap_or(50).clamp(1, 50);
    let most = usize::try_from(most).unwrap_or(50);
    let mut wanted = names
        .into_iter()
        .filter(|name| name.starts_with(prefix) && name.contains(pattern) && *name > from);
    let page: Vec<&str> = wanted.by_ref().take(most).collect();
    let next = wanted.next().and_then(|_| page.last());
    let shown = page.iter().map(|name| {
        let group = groups.get(*name);
        let mut shown = json!({
            "logGroupName": name, "arn": format!("{}:*", group_arn(place, name)),
            "logGroupArn": group_arn(place, name), "storedBytes": 0, "metricFilterCount": 0,
            "creationTime": group.map_or(0, |group| group.created),
            "logGroupClass": group.and_then(|group| group.class.as_deref()).unwrap_or("STANDARD"),
        });
        if let (Some(days), Some(shown)) =
            (group.and_then(|group| group.retention_days), shown.as_object_mut())
        {
            shown.insert("retentionInDays".to_owned(), days.into());
        }
        shown
    });
    let shown: Vec<Value> = shown.collect();
    Ok(match next {
        Some(next) => json!({ "logGroups": shown, "nextToken": next }),
        None => json!({ "logGroups": shown }),
    })
}
