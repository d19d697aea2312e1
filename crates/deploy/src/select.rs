//! Which stacks of an assembly are meant.

use std::collections::BTreeSet;

use crate::resolver::{Resolver, World};

/// Whether a pattern names a stack; as in the CDK, `*` stays within one level and `**` does not.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        return (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| matches(rest, tail)));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let level = text.find('/').unwrap_or(text.len());
        return (0..=level).any(|at| text.get(at..).is_some_and(|tail| matches(rest, tail)));
    }
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some(first) => {
            text.strip_prefix(first).is_some_and(|rest| matches(characters.as_str(), rest))
        }
    }
}

/// The top-level stacks that `stage` and `patterns` choose; without either, all.
///
/// # Errors
/// A text that says what was asked for and what there is.
pub(crate) fn select(
    resolver: &mut Resolver<'_>,
    stage: Option<&str>,
    patterns: &[String],
) -> Result<BTreeSet<usize>, String> {
    let world = resolver.world;
    let mut chosen: BTreeSet<usize> = roots(world).collect();
    if let Some(stage) = stage {
        chosen.retain(|index| is_of_stage(resolver, *index, stage));
        if chosen.is_empty() {
            return Err(format!("there is no stage {stage}; {}", what_there_is(world)));
        }
    }
    if !patterns.is_empty() {
        for pattern in patterns {
            let known = roots(world).any(|index| is_named(world, index, pattern));
            if !known {
                return Err(format!("no stack matches {pattern}; {}", what_there_is(world)));
            }
        }
        chosen.retain(|index| patterns.iter().any(|pattern| is_named(world, *index, pattern)));
        if chosen.is_empty() {
            return Err(format!(
                "no stack matches all that was asked for; {}",
                what_there_is(world)
            ));
        }
    }
    // A stack does not stand without those it depends on.
    let mut open: Vec<usize> = chosen.iter().copied().collect();
    while let Some(index) = open.pop() {
        for before in world.units.get(index).into_iter().flat_map(|unit| &unit.after) {
            if chosen.insert(*before) {
                open.push(*before);
            }
        }
    }
    Ok(chosen)
}

/// The order in which stacks are created: what a stack depends on, and what is nested in it, comes before it.
pub(crate) fn in_order(world: &World, chosen: &BTreeSet<usize>) -> Vec<usize> {
    let mut order = Vec::new();
    for index in chosen {
        place(world, *index, &mut order, &mut BTreeSet::new());
    }
    order
}

fn place(world: &World, index: usize, order: &mut Vec<usize>, open: &mut BTreeSet<usize>) {
    if order.contains(&index) || !open.insert(index) {
        return;
    }
    let Some(unit) = world.units.get(index) else { return };
    for before in unit.after.iter().chain(unit.children.values()) {
        place(world, *before, order, open);
    }
    order.push(index);
}

fn roots(world: &World) -> impl Iterator<Item = usize> {
    world.units.iter().enumerate().filter(|(_, unit)| unit.parent.is_none()).map(|(index, _)| index)
}

fn is_named(world: &World, index: usize, pattern: &str) -> bool {
    world.units.get(index).is_some_and(|unit| {
        matches(pattern, &unit.display_name) || matches(pattern, &unit.scope.stack)
    })
}

/// Whether a stack belongs to a stage: by its display name, or because one of its APIs has that stage.
fn is_of_stage(resolver: &mut Resolver<'_>, index: usize, stage: &str) -> bool {
    let unit = resolver.unit(index);
    if unit.display_name.split('/').next() == Some(stage) {
        return true;
    }
    let declares = unit
        .template
        .resources
        .iter()
        .filter(|(_, resource)| resource.kind == "AWS::ApiGatewayV2::Stage")
        .any(|(id, _)| {
            resolver.property_text(index, id, "StageName").ok().flatten().as_deref() == Some(stage)
        });
    declares || unit.children.values().any(|child| is_of_stage(resolver, *child, stage))
}

fn what_there_is(world: &World) -> String {
    let names: Vec<&str> = roots(world)
        .filter_map(|index| world.units.get(index))
        .map(|unit| unit.display_name.as_str())
        .collect();
    if names.is_empty() {
        "there are no stacks".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_cdk_reads_them() {
        for (pattern, text, expected) in [
            ("dev/Chat", "dev/Chat", true),
            ("dev/*", "dev/Chat", true),
            ("dev/*", "dev/a/b", false),
            ("*", "Chat", true),
            ("*", "dev/Chat", false),
            ("**", "dev/a/b", true),
            ("**/Chat", "dev/a/Chat", true),
            ("d*v/C*t", "dev/Chat", true),
            ("dev", "dev/Chat", false),
            ("", "Chat", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
