//! A reader's place in a shard, as text that only we read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::errors::Refusal;

/// How long an iterator can be used. Source: `GetShardIterator`, API reference (15 minutes).
const LIFETIME_MILLIS: u64 = 15 * 60 * 1000;

/// Where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With the oldest record that there is.
    Horizon,
    /// After a sequence number.
    After(i64),
}

/// A place in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Iterator {
    /// Which window of time the shard is.
    pub(super) window: i64,
    pub(super) start: Start,
    /// When it was handed out, in milliseconds since the epoch.
    pub(super) issued: u64,
}

impl Iterator {
    /// The iterator as readers get it: `ARN|1|…`.
    pub(super) fn text(self, stream_arn: &str) -> String {
        let start = match self.start {
            Start::Horizon => -1,
            Start::After(sequence) => sequence,
        };
        let numbers = format!("{}.{start}.{}", self.window, self.issued);
        format!("{stream_arn}|1|{}", URL_SAFE_NO_PAD.encode(numbers))
    }

    /// The stream's ARN and the place.
    pub(super) fn parse(text: &str) -> Result<(&str, Self), Refusal> {
        Self::read(text).ok_or_else(|| Refusal::validation("Invalid ShardIterator."))
    }

    fn read(text: &str) -> Option<(&str, Self)> {
        let (arn, rest) = text.split_once('|')?;
        let numbers = URL_SAFE_NO_PAD.decode(rest.strip_prefix("1|")?).ok()?;
        let mut numbers = str::from_utf8(&numbers).ok()?.split('.');
        let window = numbers.next()?.parse().ok()?;
        let start = match numbers.next()?.parse().ok()? {
            -1 => Start::Horizon,
            sequence => Start::After(sequence),
        };
        let issued = numbers.next()?.parse().ok()?;
        numbers.next().is_none().then_some((arn, Self { window, start, issued }))
    }

    /// Refuses what is too old to be used.
    pub(super) fn refuse_expired(self, now: u64) -> Result<(), Refusal> {
        if now.saturating_sub(self.issued) <= LIFETIME_MILLIS {
            return Ok(());
        }
        let message = "Iterator expired. An iterator can be used for 15 minutes";
        Err(Refusal::modelled("ExpiredIteratorException", message))
    }
}
