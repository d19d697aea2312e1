//! What becomes of the data of a resource that leaves its template.

use stillwire_model::DeletionPolicy;

use crate::resolver::Resolver;
use crate::template::Resource;

/// Source: `CloudFormation`, `DeletionPolicy` (default `Delete`); `AWS::LanguageExtensions` lets functions say it.
pub(crate) fn deletion_policy(
    resolver: &mut Resolver<'_>,
    unit: usize,
    id: &str,
    resource: &Resource,
) -> DeletionPolicy {
    let Some(node) = resource.node.get("DeletionPolicy") else {
        return DeletionPolicy::Delete;
    };
    let text = resolver.within(unit, id, "DeletionPolicy", |resolver| {
        let text = resolver.resolve_text(unit, node)?;
        match text.as_str() {
            "Delete" | "Retain" | "RetainExceptOnCreate" | "Snapshot" => Ok(text),
            other => resolver.fail_with(
                node.at,
                format!("{other:?} is not a deletion policy"),
                "there are Delete, Retain, RetainExceptOnCreate and Snapshot",
            ),
        }
    });
    match text.as_deref() {
        Ok("Delete") | Err(_) => DeletionPolicy::Delete,
        Ok(_) => DeletionPolicy::Retain,
    }
}
