//! Checks that no step can say, by their names.

use std::collections::BTreeSet;

use serde_json::Value;
use stillwire_testkit::{Client, Got};

use crate::Result;
use crate::play::Play;

/// Connections of the check of ids. That no two of any number have the same id follows from each leading back to its
/// own address, which the gateway's tests show.
const CONNECTIONS: usize = 5000;

/// Runs the check of this name on these names' values.
pub(crate) fn run(name: &str, play: &mut Play<'_>, of: &[String]) -> Result<()> {
    match (name, of) {
        ("ids-differ", []) => ids_differ(play),
        ("same-second", [time, epoch]) => same_second(play, time, epoch),
        (other, _) => Err(format!("no check {other:?} takes {} names", of.len())),
    }
}

/// Opens many connections to an API without routes, whose error frames tell their ids: all differ.
fn ids_differ(play: &mut Play<'_>) -> Result<()> {
    let url = play.world.address("bare", "ws")?;
    let connection = |_| {
        let refused = |refused| format!("expected 101, got {refused:?}");
        let mut client = Client::open(&url, &[]).map_err(refused)?;
        client.send("x");
        match client.receive() {
            Got::Text(text) => {
                let frame: Value = serde_json::from_str(&text).map_err(|_| text)?;
                Ok(frame["connectionId"].to_string())
            }
            other => Err(format!("expected an error frame, got {other:?}")),
        }
    };
    let ids = (0..CONNECTIONS).map(connection).collect::<Result<BTreeSet<String>>>()?;
    if ids.len() == CONNECTIONS {
        Ok(())
    } else {
        Err(format!("expected {CONNECTIONS} ids, got {}", ids.len()))
    }
}

/// Whether a time of day such as `04/Feb/2025:09:12:33 +0000` is the second of a time in milliseconds.
fn same_second(play: &mut Play<'_>, time: &str, epoch: &str) -> Result<()> {
    let (time, epoch) =
        (play.names.fill(&format!("<{time}>"))?, play.names.fill(&format!("<{epoch}>"))?);
    let read = seconds_of(&time).ok_or_else(|| format!("{time:?} is no time"))?;
    let seconds = epoch.parse::<i64>().map_err(|error| format!("{epoch:?}: {error}"))? / 1000;
    if read == seconds { Ok(()) } else { Err(format!("{time} is {read}, not {seconds}")) }
}

/// Seconds since 1970 of `04/Feb/2025:09:12:33 +0000`.
fn seconds_of(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, time) = text.strip_suffix(" +0000")?.split_once(':')?;
    let mut date = date.split('/');
    let day: i64 = date.next()?.parse().ok()?;
    let month = date.next()?;
    let month = MONTHS.iter().position(|known| *known == month)?;
    let year: i64 = date.next()?.parse().ok()?;
    let clock = time.split(':').map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>()?;
    let [hours, minutes, seconds] = clock.as_slice() else { return None };
    // Days from 1970-01-01, with years that begin in March so that the leap day is the last.
    let month = i64::try_from(month).ok()? + 1;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era_days = 365 * year + year / 4 - year / 100 + year / 400;
    let days = era_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_so_many_seconds() {
        assert_eq!(seconds_of("01/Jan/1970:00:00:01 +0000"), Some(1));
        assert_eq!(seconds_of("04/Feb/2025:09:12:33 +0000"), Some(1_738_660_353));
        assert_eq!(seconds_of("29/Feb/2024:00:00:00 +0000"), Some(1_709_164_800));
        assert_eq!(seconds_of("4 Feb 2025"), None);
    }
}
