//! API keys and usage plans: who may connect with a key, how fast, and how often.
//!
//! Source: API Gateway Developer Guide, "Usage plans and API keys for REST APIs" and "Create, configure, and test usage
//! plans with the API Gateway": a plan names stages; its throttle and quota hold for each of its keys, over all its stages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{ApiId, StageName, Throttle};

/// Where the key of a handshake comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiKeySource {
    /// The header `x-api-key`.
    #[default]
    Header,
    /// What the authorizer returned as `usageIdentifierKey`.
    Authorizer,
}

/// A text that is not where keys come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not $request.header.x-api-key or $context.authorizer.usageIdentifierKey, where keys come from"
)]
pub struct InvalidApiKeySource(pub String);

impl ApiKeySource {
    /// Reads an `ApiKeySelectionExpression`.
    ///
    /// Source: API Gateway Developer Guide, "WebSocket selection expressions": there are these two.
    ///
    /// # Errors
    /// When it is another one.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKeySource> {
        match text {
            "$request.header.x-api-key" => Ok(Self::Header),
            "$context.authorizer.usageIdentifierKey" => Ok(Self::Authorizer),
            _ => Err(InvalidApiKeySource(text.to_owned())),
        }
    }
}

/// All keys of an app, by their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiKeys(BTreeMap<Arc<str>, Arc<ApiKey>>);

/// An API key.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its id.
    pub id: Arc<str>,
    /// What clients send.
    pub value: Arc<str>,
    /// Whether it opens anything.
    pub enabled: bool,
    /// The plans it belongs to. Where two of them have one stage, the first counts.
    pub plans: Vec<Arc<UsagePlan>>,
}

/// A usage plan: what each of its keys may do.
#[derive(Debug, Clone, PartialEq)]
pub struct UsagePlan {
    /// Its id.
    pub id: Arc<str>,
    /// The stages that its keys open.
    pub stages: BTreeSet<(ApiId, StageName)>,
    /// How fast one key may be used; `None` for as fast as it comes.
    pub throttle: Option<Throttle>,
    /// How often one key may be used; `None` for as often as it comes.
    pub quota: Option<Quota>,
}

/// How often a key may be used in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Uses in one period.
    pub limit: u64,
    /// How long a period is.
    pub period: Period,
    /// The day on which a period begins: of the week from Sunday, or of the month from the first, counted from 0.
    ///
    /// Source: API Gateway API Reference, `QuotaSettings`, in the words of its older models ("the day that a time period
    /// starts […] an offset of 0 starts on Sunday"); the values that the service takes fit no other reading.
    pub offset: u32,
}

/// The length of a quota's period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A day, from midnight UTC.
    Day,
    /// Seven days.
    Week,
    /// A month of the calendar.
    Month,
}

/// A quota that the service would not take. Source: its messages, as public tools repeat them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuota {
    /// The period is none.
    #[error("Invalid Usage Plan quota period specified. Must be one of [DAY, WEEK, MONTH]")]
    Period,
    /// A day has no days to begin on.
    #[error("Usage Plan quota offset must be zero in the DAY period")]
    OffsetOfDay,
    /// A week has seven days.
    #[error("Usage Plan quota offset must be between 0 and 6 inclusive in the WEEK period")]
    OffsetOfWeek,
    /// Every month has 28 days.
    #[error("Usage Plan quota offset must be between 0 and 27 inclusive in the MONTH period")]
    OffsetOfMonth,
}

const MILLIS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

/// The weekday of the epoch's first day, counted from Sunday: a Thursday.
const EPOCH_WEEKDAY: u64 = 4;

impl Quota {
    /// A quota with a period as templates spell it.
    ///
    /// # Errors
    /// When the period is none, or cannot begin on that day.
    pub fn new(limit: u64, period: &str, offset: u32) -> Result<Self, InvalidQuota> {
        let (period, offset_max, error) = match period {
            "DAY" => (Period::Day, 0, InvalidQuota::OffsetOfDay),
            "WEEK" => (Period::Week, 6, InvalidQuota::OffsetOfWeek),
            "MONTH" => (Period::Month, 27, InvalidQuota::OffsetOfMonth),
            _ => return Err(InvalidQuota::Period),
        };
        if offset > offset_max {
            return Err(error);
        }
        Ok(Self { limit, period, offset })
    }

    /// The number of the period at this time. Two times are in one period when their numbers are the same.
    ///
    /// Choice: periods begin at midnight UTC.
    pub fn period_at(&self, epoch_millis: u64) -> u64 {
        let day = epoch_millis / MILLIS_PER_DAY;
        let offset = u64::from(self.offset);
        match self.period {
            Period::Day => day,
            // Seven more, so that the first days of 1970 have a number too.
            Period::Week => (day + EPOCH_WEEKDAY + 7 - offset) / 7,
            Period::Month => month_of(day.saturating_sub(offset)),
        }
    }
}

/// The number of the month in which a day since 1970 is: years times twelve, and months.
///
/// The years begin with March, so that the day that leap years add is their last; 400 of them are 146,097 days.
fn month_of(day: u64) -> u64 {
    let day = day + 719_468; // since the first of March of the year 0
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    (era * 400 + year) * 12 + month
}

impl ApiKeys {
    /// These keys; of two with one value the first is kept.
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        let mut all = BTreeMap::new();
        for key in keys {
            all.entry(Arc::clone(&key.value)).or_insert_with(|| Arc::new(key));
        }
        Self(all)
    }

    /// The key with this value.
    pub fn find(&self, value: &str) -> Option<&Arc<ApiKey>> {
        self.0.get(value)
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.0.values()
    }
}

impl ApiKey {
    /// The plan by which it opens a stage.
    pub fn plan(&self, api: &ApiId, stage: &StageName) -> Option<&Arc<UsagePlan>> {
        self.plans
            .iter()
            .find(|plan| plan.stages.iter().any(|(of, name)| of == api && name == stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds at noon, so many days after 1970 began.
    fn noon(day: u64) -> u64 {
        day * MILLIS_PER_DAY + MILLIS_PER_DAY / 2
    }

    /// The days from `from` on, up to `to`, on which another period begins.
    fn beginnings(period: &str, offset: u32, from: u64, to: u64) -> Vec<u64> {
        let quota = Quota::new(1, period, offset).unwrap();
        let begins = |day: &u64| quota.period_at(noon(*day)) != quota.period_at(noon(*day - 1));
        (from..to).filter(begins).collect()
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let quota = Quota::new(1, "DAY", 0).unwrap();
        let midnight = 20_000 * MILLIS_PER_DAY;
        assert_ne!(quota.period_at(midnight - 1), quota.period_at(midnight));
        assert_eq!(quota.period_at(midnight), quota.period_at(midnight + MILLIS_PER_DAY - 1));
    }

    #[test]
    fn a_week_begins_on_sunday_or_the_day_that_is_named() {
        // 19,723 days after 1970 began was 2024-01-01, a Monday.
        assert_eq!(beginnings("WEEK", 0, 19_723, 19_737), [19_729, 19_736]);
        assert_eq!(beginnings("WEEK", 1, 19_723, 19_737), [19_723, 19_730]);
        assert_eq!(beginnings("WEEK", 6, 19_723, 19_737), [19_728, 19_735]);
    }

    #[test]
    fn a_month_begins_on_the_first_or_the_day_that_is_named() {
        // January to April of 2024, a leap year, and of 2100, which is none.
        for (january, february_days) in [(19_723, 29), (47_482, 28)] {
            let firsts = [0, 31, 31 + february_days, 62 + february_days].map(|day| january + day);
            assert_eq!(beginnings("MONTH", 0, january, january + 100), firsts);
            let last = beginnings("MONTH", 27, january, january + 120);
            assert_eq!(last, firsts.map(|day| day + 27));
        }
    }

    #[test]
    fn what_the_service_refuses_is_refused() {
        assert_eq!(Quota::new(1, "YEAR", 0), Err(InvalidQuota::Period));
        assert_eq!(Quota::new(1, "DAY", 1), Err(InvalidQuota::OffsetOfDay));
        assert_eq!(Quota::new(1, "WEEK", 7), Err(InvalidQuota::OffsetOfWeek));
        assert_eq!(Quota::new(1, "MONTH", 28), Err(InvalidQuota::OffsetOfMonth));
        assert!(ApiKeySource::parse("$request.header.Authorization").is_err());
    }

    #[test]
    fn a_key_opens_the_stages_of_its_plans_only() {
        let [chat, other] = ["chat", "other"].map(|id| ApiId::parse(id).unwrap());
        let [dev, prod] = ["dev", "prod"].map(|name| StageName::parse(name).unwrap());
        let plan = |id: &str, api: &ApiId, stage: &StageName| {
            let stages = BTreeSet::from([(api.clone(), stage.clone())]);
            Arc::new(UsagePlan { id: id.into(), stages, throttle: None, quota: None })
        };
        let plans = vec![plan("a", &chat, &dev), plan("b", &other, &prod)];
        let key = ApiKey { id: "k".into(), value: "v".into(), enabled: true, plans };
        let keys = ApiKeys::new([key]);
        let key = keys.find("v").unwrap();
        let plan = |api, stage| key.plan(api, stage).map(|plan| &*plan.id);
        assert_eq!(plan(&chat, &dev), Some("a"));
        assert_eq!(plan(&other, &prod), Some("b"));
        assert_eq!(plan(&chat, &prod), None);
        assert!(keys.find("V").is_none());
    }
}
