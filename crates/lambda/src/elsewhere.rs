//! Functions that run elsewhere: on AWS Lambda, or wherever its Invoke API is spoken.
//!
//! Source: AWS Lambda API, `Invoke`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use stillwire_awswire::{Credentials, SigningScope};
use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, Clock, FunctionArn, Invocation, Invoke, InvokeError, Invoked, Outcome,
};
use stillwire_outbound::{Outbound, OutboundError, service};
use tokio::sync::Semaphore;

/// Invocations under way there. Choice: Lambda's default for what runs at once in a whole account.
const INVOCATIONS_MAX: usize = 1000;

/// How long an answer is waited for: the longest time limit of a function, and time for the way.
///
/// Source: AWS Lambda quotas, "Function timeout" (900 s).
const DEADLINE: Duration = Duration::from_secs(910);

/// Characters of an answer that is no outcome, which are told.
const TOLD_CHARS_MAX: usize = 500;

/// Where a function runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// The address of a Lambda API, without a slash at its end.
    pub endpoint: String,
    /// Its name there, or its ARN.
    pub function: String,
}

/// Invokes some functions elsewhere, and all others here. Clones share everything.
#[derive(Clone)]
pub struct Elsewhere(Arc<Ways>);

struct Ways {
    here: Arc<dyn Invoke>,
    there: RwLock<BTreeMap<FunctionArn, There>>,
    caller: Caller,
    room: Semaphore,
    drain: Drain,
}

/// Who calls functions that run elsewhere, and how.
#[derive(Debug)]
pub struct Caller {
    /// The keys that requests are signed with.
    pub keys: Credentials,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Sends the requests.
    pub outbound: Outbound,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Elsewhere").field("there", &self.0.there).finish_non_exhaustive()
    }
}

impl Elsewhere {
    /// Invokes these functions there, and all others `here`.
    pub fn new(
        here: Arc<dyn Invoke>,
        there: BTreeMap<FunctionArn, There>,
        caller: Caller,
        drain: Drain,
    ) -> Self {
        let room = Semaphore::new(INVOCATIONS_MAX);
        let there = RwLock::new(there);
        Self(Arc::new(Ways { here, there, caller, room, drain }))
    }

    /// Invokes these functions there from now on, and all others here.
    pub fn replace(&self, there: BTreeMap<FunctionArn, There>) {
        *self.0.there.write().unwrap_or_else(PoisonError::into_inner) = there;
    }
}

impl Invoke for Elsewhere {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Invoked, InvokeError>> {
        let Some(there) = self.0.way_to(&invocation.function) else {
            return self.0.here.invoke(invocation);
        };
        let (ways, function) = (Arc::clone(&self.0), invocation.function.clone());
        // Like those here, it runs to its end though nobody waits any more.
        let running = self
            .0
            .drain
            .spawn("invocation elsewhere", async move { ways.call(there, invocation).await });
        Box::pin(async move {
            running.await.unwrap_or_else(|error| {
                let reason = format!("the invocation was lost: {error}");
                Err(InvokeError::Unavailable { function, reason })
            })
        })
    }
}

impl Ways {
    fn way_to(&self, function: &FunctionArn) -> Option<There> {
        self.there.read().unwrap_or_else(PoisonError::into_inner).get(function).cloned()
    }

    async fn call(&self, there: There, invocation: Invocation) -> Result<Invoked, InvokeError> {
        let function = invocation.function.clone();
        let unavailable = |reason: String| InvokeError::Unavailable {
            function: function.clone(),
            reason: format!("it runs elsewhere, and {reason}"),
        };
        let Ok(_permit) = self.room.try_acquire() else {
            let reason = "ConcurrentInvocationLimitExceeded";
            return Err(InvokeError::Throttled { function, reason });
        };
        let mut request = request(&there, &invocation)
            .map_err(|error| unavailable(format!("its address cannot be asked: {error}")))?;
        let seconds = self.caller.clock.epoch_millis() / 1000;
        let scope = SigningScope {
            region: function.region(),
            service: "lambda",
            epoch_seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        };
        service::add_signature(&mut request, &self.caller.keys, &scope);
        let answer = self.caller.outbound.send(request, DEADLINE).await.map_err(|error| {
            let at = &there.endpoint;
            unavailable(match error {
                OutboundError::TimedOut => format!("{at} did not answer in time"),
                other => format!("{at} cannot be asked: {other}"),
            })
        })?;
        outcome(answer, &invocation, unavailable)
    }
}

fn request(there: &There, invocation: &Invocation) -> Result<Request<Bytes>, http::Error> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut uri =
        format!("{}/2015-03-31/functions/{}/invocations", there.endpoint, encode(&there.function));
    if let Some(qualifier) = &invocation.qualifier {
        uri.push_str("?Qualifier=");
        uri.push_str(&encode(qualifier));
    }
    let mut request = Request::post(uri)
        .header("content-type", "application/json")
        .header("x-amz-invocation-type", "RequestResponse");
    if invocation.log_tail {
        request = request.header("x-amz-log-type", "Tail");
    }
    if let Some(context) = &invocation.client_context {
        request = request.header("x-amz-client-context", BASE64_STANDARD.encode(&**context));
    }
    if let Some(trace) = &invocation.trace {
        request = request.header("x-amzn-trace-id", &**trace);
    }
    request.body(invocation.payload.clone())
}

fn outcome(
    answer: Response<Bytes>,
    invocation: &Invocation,
    unavailable: impl FnOnce(String) -> InvokeError,
) -> Result<Invoked, InvokeError> {
    let (head, body) = answer.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let function = invocation.function.clone();
    match head.status.as_u16() {
        200 => {
            let outcome = match header("x-amz-function-error") {
                Some(_) => Outcome::Failed(body),
                None => Outcome::Returned(body),
            };
            let version = header("x-amz-executed-version").unwrap_or("$LATEST").into();
            let tail = header("x-amz-log-result").map(|text| BASE64_STANDARD.decode(text));
            Ok(Invoked { outcome, version, log_tail: tail.and_then(Result::ok).map(Bytes::from) })
        }
        404 => Err(InvokeError::UnknownFunction(function)),
        429 => {
            let reason = "ConcurrentInvocationLimitExceeded";
            Err(InvokeError::Throttled { function, reason })
        }
        status => {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let told = body.get("Message").or_else(|| body.get("message"));
            let told: String =
                told.and_then(Value::as_str).unwrap_or("").chars().take(TOLD_CHARS_MAX).collect();
            let kind = header("x-amzn-errortype").unwrap_or("an error");
            Err(unavailable(format!("was answered with {status} {kind}: {told}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation() -> Invocation {
        let (function, _) = FunctionArn::parse("arn:aws:lambda:eu-west-1:1:function:chat").unwrap();
        Invocation {
            trace: Some("Root=1-2-3".into()),
            client_context: Some("{}".into()),
            log_tail: true,
            ..Invocation::new("id".into(), function, Some("live".to_owned()), "{}".into())
        }
    }

    fn read(status: u16, headers: &[(&str, &str)], body: &'static str) -> Result<Invoked, String> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(Bytes::from_static(body.as_bytes())).unwrap();
        let invocation = invocation();
        let function = invocation.function.clone();
        outcome(answer, &invocation, |reason| InvokeError::Unavailable { function, reason })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_names_the_function_and_what_comes_with_the_event() {
        let there = There { endpoint: "https://x".into(), function: "a:b".into() };
        let request = request(&there, &invocation()).unwrap();
        let expected = "https://x/2015-03-31/functions/a%3Ab/invocations?Qualifier=live";
        assert_eq!(request.uri().to_string(), expected);
        assert_eq!(request.headers()["x-amz-client-context"], "e30=");
        assert_eq!(request.headers()["x-amz-log-type"], "Tail");
    }

    #[test]
    fn answers_become_outcomes() {
        let done = read(200, &[("x-amz-executed-version", "7"), ("x-amz-log-result", "bG9n")], "1");
        let expected = Invoked {
            outcome: Outcome::Returned("1".into()),
            version: "7".into(),
            log_tail: Some("log".into()),
        };
        assert_eq!(done, Ok(expected));
        let failed = read(200, &[("x-amz-function-error", "Unhandled")], "{}").unwrap();
        assert_eq!(failed.outcome, Outcome::Failed("{}".into()));
        assert!(read(404, &[], "").unwrap_err().contains("not found"));
        assert!(read(429, &[], "").unwrap_err().contains("rate exceeded"));
        let denied = [("x-amzn-errortype", "AccessDeniedException")];
        let refused = read(403, &denied, r#"{"Message":"no"}"#).unwrap_err();
        assert!(refused.contains("403 AccessDeniedException: no"), "{refused}");
    }
}
