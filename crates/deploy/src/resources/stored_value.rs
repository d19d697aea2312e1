//! `AWS::SSM::Parameter` and `AWS::SecretsManager::Secret`, and what the person's file holds: values that functions read.

use std::collections::BTreeSet;

use stillwire_model::{Keeper, StoredValue};

use super::{Built, Piece};
use crate::resolver::Resolver;

/// Adds the values that there are. What a template declares comes before the file.
pub(super) fn build(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>], built: &mut Built) {
    for piece in pieces {
        let value = match piece.kind() {
            "AWS::SSM::Parameter" => parameter(resolver, piece),
            "AWS::SecretsManager::Secret" => secret(resolver, piece),
            _ => None,
        };
        built.values.extend(value);
    }
    // The file names no account: what it holds is wherever the app is.
    let places: BTreeSet<_> = pieces
        .iter()
        .map(|piece| &resolver.unit(piece.unit).scope)
        .map(|scope| (scope.account.clone(), scope.region.clone()))
        .collect();
    for (account, region) in places {
        for (keeper, name, value) in resolver.world.store.all() {
            let (account, region) = (account.clone(), region.clone());
            let description = Some("of the file of values".to_owned());
            let stored = StoredValue {
                keeper,
                account: account.as_str().into(),
                region: region.as_str().into(),
                name: name.to_owned(),
                description,
                value: value.to_owned(),
            };
            if !built.values.iter().any(|other| is_same_place(other, &stored)) {
                built.values.push(stored);
            }
        }
    }
}

fn is_same_place(one: &StoredValue, other: &StoredValue) -> bool {
    let service = |value: &StoredValue| matches!(value.keeper, Keeper::SecretsManager);
    (service(one), &one.account, &one.region, &one.name)
        == (service(other), &other.account, &other.region, &other.name)
}

fn parameter(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<StoredValue> {
    let name = resolver.name_of(piece.unit, piece.id, "Name", 1011).ok()?;
    let kind = piece.text("Type").unwrap_or_else(|| "String".to_owned());
    let value = piece.text("Value")?;
    Some(stored(resolver, piece, Keeper::ParameterStore { kind }, name, value))
}

/// Nothing where neither the template nor the file has a value: then there is none to read, as before a first rotation.
fn secret(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<StoredValue> {
    let name = resolver.name_of(piece.unit, piece.id, "Name", 255).ok()?;
    let value = resolver.secret_value(&name).ok()??;
    Some(stored(resolver, piece, Keeper::SecretsManager, name, value))
}

fn stored(
    resolver: &Resolver<'_>,
    piece: &Piece<'_>,
    keeper: Keeper,
    name: String,
    value: String,
) -> StoredValue {
    let scope = &resolver.unit(piece.unit).scope;
    let (account, region) = (scope.account.as_str().into(), scope.region.as_str().into());
    StoredValue { keeper, account, region, name, description: piece.text("Description"), value }
}
