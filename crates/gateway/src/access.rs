//! What is noted of a request that is over: metrics, and one line of the access log in the stage's own format.

use std::sync::Arc;

use stillwire_model::{Api, LogPiece, Route};

use crate::context::{Context, Fate};
use crate::shared::Shared;

/// What stands where a variable has no value. Source: observed access logs.
const MISSING: &str = "-";

/// Room for a usual line.
const LINE_BYTES: usize = 256;

/// Notes what became of a request; `route` is the one it took, if it came so far.
pub(crate) fn note(
    api: &Arc<Api>,
    route: Option<&Route>,
    context: &Context<'_>,
    fate: &Fate,
    shared: &Shared,
) {
    context.peer.place.metrics.over(api, route, fate);
    log(api, context, fate, shared);
}

/// Writes the line of a request, where its stage has an access log.
fn log(api: &Api, context: &Context<'_>, fate: &Fate, shared: &Shared) {
    let log = api.stages.get(context.peer.stage()).and_then(|stage| stage.access_log.as_ref());
    let Some(log) = log else { return };
    let mut line = String::with_capacity(LINE_BYTES);
    for piece in log.format.pieces() {
        match piece {
            LogPiece::Text(text) => line.push_str(text),
            LogPiece::Variable(name) if context.append(name, fate, &mut line) => {}
            LogPiece::Variable(name) => match context.variable_of(name, fate) {
                Some(value) => push_printable(&value, &mut line),
                None => line.push_str(MISSING),
            },
        }
    }
    shared.access_logs.line(&log.destination, &line);
}

/// What a client chose must not make a line of its own.
fn push_printable(value: &str, line: &mut String) {
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        line.push_str(value);
    } else {
        line.extend(value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
    }
}
