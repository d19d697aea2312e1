//! `AWS::ApiGatewayV2::DomainName` and `ApiMapping`: names of an app's own, and the stages that they lead to.
//!
//! They are shared with HTTP APIs, which are not served here: a mapping to one is listed as not run.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_model::{ApiId, ApiMapping, ApiMappingKey, Domain, DomainName, StageName};

use super::{Built, Piece, of_kind};
use crate::physical;
use crate::report::Action;
use crate::resolver::Resolver;

const DOMAIN: &str = "AWS::ApiGatewayV2::DomainName";
const MAPPING: &str = "AWS::ApiGatewayV2::ApiMapping";

/// Builds every custom domain, and says what becomes of its resources.
pub(super) fn build(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>], built: &mut Built) {
    let mut domains: BTreeMap<DomainName, (usize, Domain)> = BTreeMap::new();
    for piece in of_kind(pieces, DOMAIN) {
        let Some(name) = name(resolver, piece) else { continue };
        if domains.contains_key(&name) {
            piece.fail(resolver, "DomainName", format!("two custom domains have the name {name}"));
            continue;
        }
        domains.insert(name.clone(), (piece.unit, domain(resolver, piece, name)));
    }
    for piece in of_kind(pieces, MAPPING) {
        let Some(name) = name(resolver, piece) else { continue };
        let Some((key, mapping)) = mapping(resolver, piece, built) else { continue };
        built.fates.insert(piece.key(), (Action::Runs, said(&name, &key, &mapping)));
        // A domain that is declared elsewhere, and named here.
        let (_, domain) = domains
            .entry(name)
            .or_insert_with_key(|name| (piece.unit, domain(resolver, piece, name.clone())));
        if let Some(other) = domain.mappings.insert(key.clone(), mapping) {
            let message = format!(
                "the domain {} maps the key {:?} to the stage {} too",
                domain.name,
                key.as_str(),
                other.stage
            );
            piece.fail(resolver, "ApiMappingKey", message);
        }
    }
    for piece in of_kind(pieces, DOMAIN) {
        let name = piece.text("DomainName").unwrap_or_default();
        let is_mapped = DomainName::parse(&name)
            .ok()
            .and_then(|name| domains.get(&name))
            .is_some_and(|(_, domain)| !domain.mappings.is_empty());
        let fate = if is_mapped {
            (Action::Runs, format!("custom domain {name}"))
        } else {
            (Action::NotRun, "it maps no WebSocket API that runs here".to_owned())
        };
        built.fates.insert(piece.key(), fate);
    }
    for (unit, domain) in domains.into_values().filter(|(_, domain)| !domain.mappings.is_empty()) {
        built.stacks.entry(unit).or_default().domains.push(Arc::new(domain));
    }
}

fn name(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<DomainName> {
    let name = DomainName::parse(&piece.text("DomainName").unwrap_or_default());
    name.inspect_err(|error| piece.fail(resolver, "DomainName", error.to_string())).ok()
}

/// A domain that maps nothing yet.
fn domain(resolver: &Resolver<'_>, piece: &Piece<'_>, name: DomainName) -> Domain {
    let stack = resolver.unit(piece.unit).scope.stack.as_str().into();
    Domain { name, stack, logical_id: piece.id.into(), mappings: BTreeMap::new() }
}

fn mapping(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    built: &mut Built,
) -> Option<(ApiMappingKey, ApiMapping)> {
    let key = ApiMappingKey::parse(&piece.text("ApiMappingKey").unwrap_or_default());
    let key =
        key.inspect_err(|error| piece.fail(resolver, "ApiMappingKey", error.to_string())).ok()?;
    let (api, stage) = (piece.text("ApiId"), piece.text("Stage"));
    let (api, stage) = (api.unwrap_or_default(), stage.unwrap_or_default());
    let served = built.stacks.values().flat_map(|parts| &parts.apis);
    let mut served = served.filter(|other| other.id.as_str() == api);
    let named = ApiId::parse(&api).ok().zip(StageName::parse(&stage).ok());
    let named = named.filter(|(_, stage)| served.any(|api| api.stages.contains_key(stage)));
    let Some((api, stage)) = named else {
        let text = format!("the stage {stage:?} of the API {api} is no stage that runs here");
        piece.warn(resolver, "Stage", text.clone());
        built.fates.insert(piece.key(), (Action::NotRun, text));
        return None;
    };
    let id = physical::part_id(&resolver.unit(piece.unit).scope, piece.id);
    Some((key, ApiMapping { id: id.into(), api, stage }))
}

fn said(name: &DomainName, key: &ApiMappingKey, mapping: &ApiMapping) -> String {
    format!("{name}/{key} leads to the stage {}", mapping.stage)
}
