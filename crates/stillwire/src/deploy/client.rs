//! Requests to the services of a Stillwire.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use stillwire_awswire::{Credentials, SigningScope};
use stillwire_listen::system_bundle;
use stillwire_model::Clock as _;
use stillwire_outbound::{Outbound, service};

use crate::clock::SystemClock;
use crate::deploy::answer::{Answer, Refusal};
use crate::deploy::target::Target;

/// How long an answer may take. A change set is read while its maker waits.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// How long an upload may take.
const UPLOAD_MAX: Duration = Duration::from_mins(10);

/// The version of the APIs of forms. Source: their service models; it is not looked at here.
const VERSIONS: [(&str, &str); 2] = [("cloudformation", "2010-05-15"), ("sts", "2011-06-15")];

/// What stays as it is in a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What stays as it is in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A caller with a key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    outbound: Outbound,
    endpoint: String,
    /// As the app writes it.
    pub(crate) account: String,
    pub(crate) region: String,
    keys: Credentials,
}

impl Client {
    pub(crate) fn new(target: &Target, account: &str, region: &str, keys: Credentials) -> Self {
        Self {
            outbound: Outbound::new(system_bundle().as_deref()),
            endpoint: target.endpoint.clone(),
            account: account.to_owned(),
            region: region.to_owned(),
            keys,
        }
    }

    /// Asks a service of the Query protocol.
    pub(crate) async fn form(
        &self,
        service: &str,
        action: &str,
        members: &[(&str, &str)],
    ) -> Result<Answer> {
        let version = VERSIONS.iter().find(|(known, _)| *known == service).map(|(_, text)| *text);
        let encode = |text: &str| utf8_percent_encode(text, FORM).to_string();
        let mut form = format!("Action={action}&Version={}", version.unwrap_or_default());
        for (name, value) in members {
            form.extend(["&", &encode(name), "=", &encode(value)]);
        }
        let request = Request::post(format!("{}/", self.endpoint))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Bytes::from(form))?;
        let answer = self.send(service, request, ANSWER_MAX).await?;
        let status = answer.status();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        if status.is_success() {
            return Ok(Answer::new(text));
        }
        Err(Refusal::read(status.as_u16(), text).into())
    }

    /// Whether there is an object.
    pub(crate) async fn has_object(&self, bucket: &str, key: &str) -> Result<bool> {
        let request = self.object(Method::HEAD, bucket, key, Bytes::new())?;
        let status = self.send("s3", request, ANSWER_MAX).await?.status();
        match status.as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            other => bail!("the bucket {bucket} cannot be looked into: the answer is {other}"),
        }
    }

    /// Puts an object in place.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, content: Bytes) -> Result<()> {
        let request = self.object(Method::PUT, bucket, key, content)?;
        let answer = self.send("s3", request, UPLOAD_MAX).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let refusal = Refusal::read(answer.status().as_u16(), text);
        Err(refusal).with_context(|| format!("cannot upload {key} to {bucket}"))
    }

    fn object(
        &self,
        method: Method,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<Request<Bytes>> {
        let path = |text: &str| utf8_percent_encode(text, PATH).to_string();
        let url = format!("{}/{}/{}", self.endpoint, path(bucket), path(key));
        Ok(Request::builder().method(method).uri(url).body(content)?)
    }

    async fn send(
        &self,
        service: &str,
        mut request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>> {
        let scope = SigningScope {
            region: &self.region,
            service,
            epoch_seconds: i64::try_from(SystemClock.epoch_millis() / 1000).unwrap_or(0),
        };
        service::add_signature(&mut request, &self.keys, &scope);
        let sent = self.outbound.send(request, deadline).await;
        sent.with_context(|| format!("no answer of {}", self.endpoint))
    }
}
