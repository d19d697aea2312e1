//! `AWS::Lambda::EventSourceMapping`.

use std::sync::Arc;

use stillwire_model::{
    DECLARED_STREAM_LABEL, EventSource, EventSourceMapping, FunctionArn, InvalidEventSource,
    StreamArn,
};
use stillwire_pattern::Pattern;

use super::{Built, Fate, Piece, of_kind};
use crate::node::Node;
use crate::physical;
use crate::problem::Problem;
use crate::report::Action;
use crate::resolver::Resolver;

/// Builds the mappings, once functions and tables are built.
pub(super) fn build(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>], built: &mut Built) {
    for piece in of_kind(pieces, "AWS::Lambda::EventSourceMapping") {
        let fate = match mapping(resolver, piece, built) {
            Ok(mapping) => {
                let note = note(&mapping);
                built.stacks.entry(piece.unit).or_default().event_sources.push(Arc::new(mapping));
                (Action::Runs, note)
            }
            Err(fate) => fate,
        };
        built.fates.insert(piece.key(), fate);
    }
}

/// The mapping, or what becomes of its resource instead.
fn mapping(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    built: &Built,
) -> Result<EventSourceMapping, Fate> {
    let wrong = || (Action::NotRun, "it has problems".to_owned());
    let name = piece.text("FunctionName").unwrap_or_default();
    let scope = &resolver.unit(piece.unit).scope;
    let id = physical::uuid(scope, "id", piece.id);
    let arn = scope.function_arn(&name);
    let qualifier = qualifier_of(&name);
    let Ok((function, _)) = FunctionArn::parse(&arn) else {
        piece.fail(resolver, "FunctionName", format!("{name:?} names no function"));
        return Err(wrong());
    };
    let serde_json::Value::Object(members) =
        piece.properties.as_ref().map(Node::to_json).unwrap_or_default()
    else {
        return Err(wrong());
    };
    let mapping = match EventSourceMapping::read(id.into(), (function, qualifier), &members) {
        Ok(mapping) => mapping,
        Err(error @ InvalidEventSource::Source(_)) => {
            piece.warn(resolver, "EventSourceArn", format!("its function is not called: {error}"));
            return Err((Action::NotRun, error.to_string()));
        }
        Err(error) => {
            piece.fail(resolver, error.member(), error.to_string());
            return Err(wrong());
        }
    };
    for pattern in &mapping.filters {
        if let Err(error) = Pattern::parse(pattern) {
            let message = format!("a filter is no event pattern: {error}");
            piece.fail(resolver, "FilterCriteria", message);
            return Err(wrong());
        }
    }
    let mut functions = built.stacks.values().flat_map(|parts| &parts.functions);
    if !functions.any(|function| function.arn == mapping.function) {
        let text = format!("{} is not among the functions of this app", mapping.function);
        piece.warn(resolver, "FunctionName", text.clone());
        return Err((Action::NotRun, text));
    }
    if let EventSource::Stream(stream) = &mapping.source {
        check_stream(resolver, piece, built, &stream.arn)?;
    }
    Ok(mapping)
}

/// A table of this app must have the stream that is read.
fn check_stream(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    built: &Built,
    arn: &StreamArn,
) -> Result<(), Fate> {
    let mut tables = built.stacks.values().flat_map(|parts| &parts.tables);
    let Some(table) = tables.find(|table| table.arn == arn.table_arn()) else { return Ok(()) };
    if table.definition.contains_key("StreamSpecification") {
        return Ok(());
    }
    let message = format!("table {} ({}) has no stream", table.name, table.logical_id);
    let problem = Problem::new(piece.location(resolver, "EventSourceArn"), message);
    resolver.problems.push(problem.hint("give it a `StreamSpecification` (`stream=` in the CDK)"));
    Err((Action::NotRun, "it has problems".to_owned()))
}

/// What is after a function's name.
fn qualifier_of(name: &str) -> Option<String> {
    let name = name.rsplit_once("function:").map_or(name, |(_, name)| name);
    name.split_once(':').map(|(_, qualifier)| qualifier.to_owned())
}

fn note(mapping: &EventSourceMapping) -> String {
    let source = match &mapping.source {
        EventSource::Stream(stream) if stream.arn.label() == DECLARED_STREAM_LABEL => {
            format!("the stream of {}", stream.arn.table())
        }
        EventSource::Stream(stream) => format!("the stream {}", stream.arn),
        EventSource::Queue(queue) => {
            format!("the queue {} at AWS_ENDPOINT_URL_SQS", queue.arn.name())
        }
    };
    let enabled = if mapping.enabled { "" } else { ", disabled" };
    format!("{source} for {}{enabled}", mapping.function.name())
}
