//! `AWS::Lambda::LayerVersion`.

use std::collections::BTreeMap;

use stillwire_model::Code;

use super::{Piece, function, of_kind};
use crate::node::Node;
use crate::resolver::Resolver;

/// The layers of all stacks, by the ARN of the version.
///
/// A layer that is missing is told, and leaves its functions without it: they may do without what it holds.
pub(super) fn build(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>]) -> BTreeMap<String, Code> {
    let mut layers = BTreeMap::new();
    for piece in of_kind(pieces, "AWS::Lambda::LayerVersion") {
        let Some(content) = piece.get("Content") else {
            piece.fail(resolver, "Content", "this layer has no `Content`");
            continue;
        };
        let Some(path) = function::package(resolver, piece, "Content", content) else { continue };
        let Ok(arn) = resolver.reference(piece.unit, piece.resource.at, piece.id) else { continue };
        if path.is_dir() {
            layers.insert(arn, Code::Directory { root: path, source: None });
        } else if path.is_file() {
            layers.insert(arn, Code::Archive(path));
        } else {
            let text =
                format!("what this layer holds is missing: {} does not exist", path.display());
            piece.warn(resolver, "Content", text);
        }
    }
    layers
}

/// The layers of a function, in their order.
pub(super) fn of(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    layers: &BTreeMap<String, Code>,
) -> Vec<Code> {
    let arns = piece.get("Layers").and_then(Node::as_list).unwrap_or_default();
    let mut found = Vec::new();
    for arn in arns.iter().filter_map(Node::scalar) {
        if let Some(layer) = layers.get(&arn) {
            found.push(layer.clone());
        } else {
            let text = format!(
                "the layer {arn} is not part of this app: install what it holds beside the function's source"
            );
            piece.warn(resolver, "Layers", text);
        }
    }
    found
}
