//! Models, and what routes require of requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_model::{MappingSource, Validation};
use stillwire_schema::Schema;

use super::stage::members;
use super::{ApiBuilder, Piece};
use crate::node::Node;
use crate::report::Action;

impl ApiBuilder<'_, '_> {
    /// The API's models by name. They are read here, so that a mistake is found before the first message.
    pub(super) fn models(&mut self) -> BTreeMap<String, Arc<str>> {
        let pieces = self.parts_of("AWS::ApiGatewayV2::Model");
        let mut models: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for piece in &pieces {
            let name = piece.text("Name").unwrap_or_default();
            // A schema is an object, or its text.
            let schema = piece.get("Schema").map_or_else(String::new, |node| {
                node.scalar().unwrap_or_else(|| node.to_json().to_string())
            });
            models.insert(name, schema.into());
        }
        for piece in pieces {
            let name = piece.text("Name").unwrap_or_default();
            let text = models.get(&name).cloned().unwrap_or_default();
            let other = |name: &str| models.get(name).map(ToString::to_string);
            match Schema::parse_with_models(&text, &other) {
                Ok(_) => self.fate(piece, Action::Runs, &format!("model {name}")),
                Err(error) => piece.fail(self.resolver, "Schema", error.to_string()),
            }
        }
        models
    }

    pub(super) fn validation(&mut self, piece: &Piece<'_>) -> Option<Validation> {
        let selection = self.expression(piece, "ModelSelectionExpression")?;
        let mut models = BTreeMap::new();
        for (key, node) in members(piece.get("RequestModels")) {
            let named = node.scalar().unwrap_or_default();
            let key = key.strip_prefix('\\').unwrap_or(key).to_owned();
            if let Some(name) = self.model_named(&named) {
                models.insert(key, name);
            } else {
                let message = format!("{named:?} names no model of this API");
                piece.fail(self.resolver, "RequestModels", message);
            }
        }
        Some(Validation { selection, models })
    }

    /// The name of a model that is given by name or id.
    fn model_named(&self, named: &str) -> Option<String> {
        let pieces = self.parts_of("AWS::ApiGatewayV2::Model");
        let of = |piece: &&Piece<'_>| {
            piece.text("Name").as_deref() == Some(named) || self.id_of(piece) == named
        };
        pieces.into_iter().find(of).and_then(|piece| piece.text("Name"))
    }

    /// What the handshake must have.
    pub(super) fn required(&mut self, piece: &Piece<'_>) -> Vec<MappingSource> {
        let mut required = Vec::new();
        for (name, node) in members(piece.get("RequestParameters")) {
            match MappingSource::parse(name) {
                Ok(source @ (MappingSource::Header(_) | MappingSource::QueryString(_))) => {
                    let is_required = node.get("Required").and_then(Node::scalar);
                    if is_required.as_deref() == Some("true") {
                        required.push(source);
                    }
                }
                Ok(_) => {}
                Err(error) => piece.fail(self.resolver, "RequestParameters", error.to_string()),
            }
        }
        required
    }
}
