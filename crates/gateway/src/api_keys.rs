//! API keys: which key a handshake brings, whether it opens the stage, and how often it was used.
//!
//! Source: API Gateway Developer Guide, "Usage plans and API keys for REST APIs": throttle and quota hold for one key,
//! over all stages of its plan. Choice: only handshakes are uses, as only `$connect` asks for a key; a use that the
//! throttle refuses does not count for the quota, and one that the authorizer or `$connect` refuses afterwards does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stillwire_model::{Api, ApiKey, ApiKeySource, Quota, Route, UsagePlan};
use tokio::time::Instant;

use crate::context::Fate;
use crate::peer::Peer;
use crate::request::Request;
use crate::rescue::Failure;
use crate::shared::Shared;
use crate::throttle::Bucket;

/// The header that keys come in. Source: API Gateway, `$request.header.x-api-key`.
const HEADER: &str = "x-api-key";

/// What was used of plans: one account for each key of each plan.
///
/// Choice: in memory, so a restart begins anew, and a deployment does not.
#[derive(Debug, Default)]
pub(crate) struct Usage(Mutex<HashMap<Holder, Account>>);

/// The ids of a plan and of one of its keys.
type Holder = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Account {
    bucket: Option<Bucket>,
    /// The period that is counted, by its number.
    period: u64,
    /// Uses in this period.
    used: u64,
}

/// Checks the key of a handshake whose API takes keys from `source`; else there is nothing to do here yet, or any more.
///
/// # Errors
/// When the handshake is to be refused; `fate` knows why.
pub(crate) fn check(
    source: ApiKeySource,
    (api, route): (&Api, &Route),
    peer: &mut Peer,
    request: &Request,
    (fate, shared): (&mut Fate, &Shared),
) -> Result<(), Failure> {
    if !route.api_key_required || api.api_key_source != source {
        return Ok(());
    }
    let named = peer.authorized.as_mut().and_then(|authorized| authorized.usage_key.take());
    let value = match source {
        ApiKeySource::Header => request.header(HEADER),
        ApiKeySource::Authorizer => named.as_deref(),
    };
    let checked = find(api, peer, value).and_then(|(key, plan)| {
        // Access logs tell the key of a refused handshake too.
        peer.api_key = Some(Arc::clone(key));
        shared.usage.spend(plan, key, Instant::now(), shared.clock.epoch_millis())
    });
    checked.inspect_err(|failure| {
        tracing::warn!(stage = %peer.stage(), %failure, "refused");
        fate.failure = Some(failure.clone());
    })
}

type Found<'a> = (&'a Arc<ApiKey>, &'a Arc<UsagePlan>);

/// The key with this value, and the plan by which it opens the stage.
fn find<'a>(api: &'a Api, peer: &Peer, value: Option<&str>) -> Result<Found<'a>, Failure> {
    let no = |reason| move || Failure::InvalidApiKey(reason);
    let value = value.filter(|value| !value.is_empty());
    let value = value.ok_or_else(no("the route requires an API key, and there is none"))?;
    let key = api.api_keys.find(value).ok_or_else(no("there is no such API key"))?;
    let key = Some(key).filter(|key| key.enabled).ok_or_else(no("the API key is disabled"))?;
    let plan = key.plan(&api.id, peer.stage());
    let plan = plan.ok_or_else(no("no usage plan of the API key contains this stage"))?;
    Ok((key, plan))
}

impl Usage {
    /// Uses a key once, if its plan allows it.
    fn spend(
        &self,
        plan: &UsagePlan,
        key: &ApiKey,
        now: Instant,
        epoch_millis: u64,
    ) -> Result<(), Failure> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // At most one for each key of each plan.
        let account = accounts.entry((Arc::clone(&plan.id), Arc::clone(&key.id))).or_default();
        if let Some(throttle) = plan.throttle {
            let bucket = account.bucket.get_or_insert_with(|| Bucket::new(throttle, now));
            if !bucket.take(throttle, now) {
                return Err(Failure::KeyThrottled(Arc::clone(&plan.id)));
            }
        }
        match plan.quota {
            Some(quota) if !account.count(quota, epoch_millis) => {
                Err(Failure::QuotaExceeded(Arc::clone(&plan.id)))
            }
            _ => Ok(()),
        }
    }
}

impl Account {
    fn count(&mut self, quota: Quota, epoch_millis: u64) -> bool {
        let period = quota.period_at(epoch_millis);
        if self.period != period {
            (self.period, self.used) = (period, 0);
        }
        let admitted = self.used < quota.limit;
        if admitted {
            self.used += 1;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use stillwire_model::Throttle;

    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn plan(throttle: Option<Throttle>, limit: Option<u64>) -> UsagePlan {
        let quota = limit.map(|limit| Quota::new(limit, "DAY", 0).unwrap());
        UsagePlan { id: "plan".into(), stages: BTreeSet::new(), throttle, quota }
    }

    fn key(id: &str) -> ApiKey {
        ApiKey { id: id.into(), value: id.into(), enabled: true, plans: Vec::new() }
    }

    #[test]
    fn a_quota_is_each_keys_own_and_begins_anew_with_its_period() {
        let (usage, plan, now) = (Usage::default(), plan(None, Some(2)), Instant::now());
        let (ada, eve) = (key("ada"), key("eve"));
        let spend = |key, millis| usage.spend(&plan, key, now, 20_000 * DAY + millis).is_ok();
        assert_eq!([0, 1, DAY - 1].map(|at| spend(&ada, at)), [true, true, false]);
        assert!(spend(&eve, DAY - 1));
        assert_eq!([DAY, DAY, DAY].map(|at| spend(&ada, at)), [true, true, false]);
    }

    #[test]
    fn what_is_throttled_does_not_count_for_the_quota() {
        let usage = Usage::default();
        let (plan, key) = (plan(Some(Throttle { rate: 1.0, burst: 1 }), Some(2)), key("ada"));
        let start = Instant::now();
        let mut spend = |secs| usage.spend(&plan, &key, start + Duration::from_secs(secs), 0);
        let throttled = Err(Failure::KeyThrottled("plan".into()));
        let exceeded = Err(Failure::QuotaExceeded("plan".into()));
        let expected = [Ok(()), throttled.clone(), throttled, Ok(()), exceeded];
        assert_eq!([0, 0, 0, 1, 2].map(&mut spend), expected);
    }

    #[test]
    fn a_plan_without_limits_lets_a_key_pass_as_often_as_it_comes() {
        let (usage, plan, key) = (Usage::default(), plan(None, None), key("ada"));
        assert!((0..1000).all(|_| usage.spend(&plan, &key, Instant::now(), 0).is_ok()));
    }
}
