//! Times of signatures: `20150830T123600Z`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Reads `x-amz-date`, or `X-Amz-Date` of a query, to seconds since 1970.
pub(super) fn parse_iso(text: &str) -> Option<i64> {
    let digits = |from: usize, to: usize| {
        text.get(from..to).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if text.len() != 16 || !digits(0, 8) || !digits(9, 15) {
        return None;
    }
    let time = DateTime::strptime(FORMAT, text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Reads the `Date` header, in the form of HTTP or of `x-amz-date`.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    parse_iso(text).or_else(|| {
        let time = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text);
        time.ok().map(Timestamp::as_second)
    })
}

/// Writes a time; times that no calendar has are shown as its ends.
pub(super) fn iso(epoch_seconds: i64) -> String {
    let ends = if epoch_seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let time = Timestamp::from_second(epoch_seconds).unwrap_or(ends);
    time.strftime(FORMAT).to_string()
}
