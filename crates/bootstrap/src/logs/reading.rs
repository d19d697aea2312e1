//! Lines of a group.
//!
//! Source: CloudWatch Logs API reference, `FilterLogEvents`, `GetLogEvents`, `DescribeLogStreams`. All lines of a group are in
//! one stream.

use serde_json::{Value, json};
use stillwire_model::LoggedLine;

use super::filter::Filter;
use super::{Room, group_arn, group_of};
use crate::error::{Answered, Refused};
use crate::json::Members;
use crate::place::Place;

/// The most lines of an answer. Source: `FilterLogEvents`, `limit`.
const PAGE_MAX: u64 = 10_000;

/// Lines that are looked through for one answer.
const LOOKED_MAX: usize = 50_000;

/// The one stream of a group.
const STREAM: &str = "stillwire";

/// The times that a request names, both included.
fn times(members: &Members) -> Answered<(u64, u64)> {
    let from = members.number("startTime")?.unwrap_or_default();
    Ok((from, members.number("endTime")?.unwrap_or(u64::MAX)))
}

fn most(members: &Members) -> Answered<usize> {
    let most = members.number("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    Ok(usize::try_from(most).unwrap_or(1))
}

/// How many lines were looked through already.
fn looked(token: Option<&str>) -> Answered<usize> {
    let Some(token) = token else { return Ok(0) };
    token.trim_start_matches(['f', 'b', '/']).parse().map_err(|_| {
        Refused::new(400, "InvalidParameterException", "The specified nextToken is invalid.")
    })
}

/// What tells a line from others of its group: its place among those from its time on.
fn event(line: &LoggedLine, place: usize) -> Value {
    json!({
        "logStreamName": STREAM, "timestamp": line.time, "message": line.text,
        "ingestionTime": line.time, "eventId": format!("{:020}{place:036}", line.time),
    })
}

pub(super) fn filter(room: &Room, place: &Place, members: &Members) -> Answered<Value> {
    let group = group_of(members)?;
    room.check_group(place, group)?;
    let filter = Filter::parse(members.text("filterPattern")?.unwrap_or_default())?;
    let (times, most) = (times(members)?, most(members)?);
    let skip = looked(members.text("nextToken")?)?;
    let lines = room.lines.lines(group, times, skip, LOOKED_MAX);
    let mut events = Vec::new();
    let mut seen = 0;
    // Ids are of places among lines of one time, so the same line has the same id whatever is asked.
    let mut last = (u64::MAX, 0_usize);
    for line in &lines {
        if events.len() == most {
            break;
        }
        seen += 1;
        last = if last.0 == line.time { (last.0, last.1 + 1) } else { (line.time, 0) };
        if filter.finds(&line.text) {
            events.push(event(line, last.1));
        }
    }
    let mut answer = json!({ "events": events, "searchedLogStreams": [] });
    if (seen < lines.len() || lines.len() == LOOKED_MAX)
        && let Some(answer) = answer.as_object_mut()
    {
        answer.insert("nextToken".to_owned(), (skip + seen).to_string().into());
    }
    Ok(answer)
}

pub(super) fn get(room: &Room, place: &Place, members: &Members) -> Answered<Value> {
    let group = group_of(members)?;
    room.check_group(place, group)?;
    if members.needed("logStreamName")? != STREAM {
        let message = "The specified log stream does not exist.";
        return Err(Refused::new(400, "ResourceNotFoundException", message));
    }
    let skip = looked(members.text("nextToken")?)?;
    let lines = room.lines.lines(group, times(members)?, skip, most(members)?);
    let events: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({ "timestamp": line.time, "message": line.text, "ingestionTime": line.time })
        })
        .collect();
    let next = skip + lines.len();
    Ok(json!({
        "events": events, "nextForwardToken": format!("f/{next}"),
        "nextBackwardToken": format!("b/{skip}"),
    }))
}

pub(super) fn streams(room: &Room, place: &Place, members: &Members) -> Answered<Value> {
    let group = group_of(members)?;
    room.check_group(place, group)?;
    let first = room.lines.lines(group, (0, u64::MAX), 0, 1);
    let streams: Vec<Value> = first
        .iter()
        .map(|line| {
            json!({
                "logStreamName": STREAM, "creationTime": line.time,
                "firstEventTimestamp": line.time,
                "arn": format!("{}:log-stream:{STREAM}", group_arn(place, group)), "storedBytes": 0,
            })
        })
        .collect();
    Ok(json!({ "logStreams": streams }))
}
