//! `stillwire invoke`: calls a function of an app that runs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use stillwire_awswire::{Credentials, SigningScope};
use stillwire_model::{Clock as _, FunctionArn, LOCAL_KEYS, limits};
use stillwire_outbound::{Outbound, service};
use tokio::runtime::Builder;

use crate::cli::InvokeArgs;
use crate::clock::SystemClock;
use crate::report::hinted;
use crate::running::{self, Running};
use crate::settings::Settings;
use crate::style::{Style, visible};

/// How long an answer is waited for: the longest time limit of a function, and some for its start.
const ANSWER_MAX: Duration = limits::FUNCTION_TIMEOUT_MAX.saturating_add(Duration::from_mins(1));

/// Where functions are that are named without a region. The local endpoint takes any.
const REGION: &str = "us-east-1";

/// Runs the command. The exit code is 1 when the function failed.
pub(crate) fn run(args: &InvokeArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let running = match &args.endpoint {
        Some(_) => None,
        None => Some(running::find(&settings, args.app.as_deref())?),
    };
    let endpoint = match (&args.endpoint, &running) {
        (Some(endpoint), _) => endpoint.trim_end_matches('/'),
        (None, running) => running.as_ref().map_or("", |running| running.aws_endpoint.as_str()),
    };
    let known = running.as_ref().map(|running| running.function(&args.function)).transpose()?;
    let name = known.flatten().map_or(args.function.as_str(), |function| function.arn.as_str());
    let event = event(&args.event)?;
    let request = request(args, endpoint, name, event)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { Outbound::new(None).send(request, ANSWER_MAX).await });
    let answer = answer.with_context(|| format!("no answer of {endpoint}"))?;
    if !answer.status().is_success() {
        return Err(refusal(&answer, running.as_ref(), args.qualifier.is_some()));
    }
    show(args, &answer, settings.no_color)
}

/// The event: given, in a file, or at standard input.
fn event(text: &str) -> Result<Bytes> {
    let event = match text.strip_prefix('@') {
        Some(file) => fs::read(file).with_context(|| format!("cannot read {file}"))?,
        None if text == "-" => {
            let mut event = Vec::new();
            let most = u64::try_from(limits::INVOKE_REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
            io::stdin().lock().take(most + 1).read_to_end(&mut event)?;
            event
        }
        None => text.as_bytes().to_vec(),
    };
    serde_json::from_slice::<&RawValue>(&event).map_err(|error| {
        hinted(
            format!("the event is not JSON: {error}"),
            "a text is JSON in quotes: stillwire invoke FUNCTION '\"text\"'",
        )
    })?;
    Ok(event.into())
}

fn request(args: &InvokeArgs, endpoint: &str, name: &str, event: Bytes) -> Result<Request<Bytes>> {
    let path = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut url = format!("{endpoint}/2015-03-31/functions/{}/invocations", path(name));
    if let Some(qualifier) = &args.qualifier {
        url.push_str("?Qualifier=");
        url.push_str(&path(qualifier));
    }
    let mut request = Request::post(&url);
    if args.r#async {
        request = request.header("x-amz-invocation-type", "Event");
    } else if args.tail || args.json {
        request = request.header("x-amz-log-type", "Tail");
    }
    let mut request = request.body(event).map_err(|error| {
        hinted(format!("{url} is no address: {error}"), "write it as http://localhost:7799")
    })?;
    let arn = FunctionArn::parse(name).ok();
    let scope = SigningScope {
        region: arn.as_ref().map_or(REGION, |(arn, _)| arn.region()),
        service: "lambda",
        epoch_seconds: i64::try_from(SystemClock.epoch_millis() / 1000).unwrap_or(0),
    };
    let keys = Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret);
    service::add_signature(&mut request, &keys, &scope);
    Ok(request)
}

/// What the service says when it did not invoke the function.
fn refusal(
    answer: &Response<Bytes>,
    running: Option<&Running>,
    is_qualified: bool,
) -> anyhow::Error {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = ["message", "Message"].iter().find_map(|name| body.get(*name)?.as_str());
    let message = text.map_or_else(|| format!("the answer is {}", answer.status()), visible);
    match (answer.status().as_u16(), running) {
        (404, _) if is_qualified => hinted(
            message,
            "--qualifier names a published version or an alias; `aws lambda list-aliases` lists them",
        ),
        (404, Some(running)) => {
            let ids = running.functions.iter().map(|function| function.logical_id.as_str());
            let ids: Vec<&str> = ids.collect::<BTreeSet<_>>().into_iter().collect();
            hinted(message, format!("the app's functions are {}", ids.join(", ")))
        }
        (429, _) => hinted(message, "its reserved concurrency is used up, or 0"),
        _ => anyhow::anyhow!(message),
    }
}

fn show(args: &InvokeArgs, answer: &Response<Bytes>, no_color: bool) -> Result<ExitCode> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let error = header("x-amz-function-error");
    let log = header("x-amz-log-result").and_then(|text| BASE64_STANDARD.decode(text).ok());
    let log = log.map(|log| String::from_utf8_lossy(&log).into_owned());
    let payload = String::from_utf8_lossy(answer.body());
    let mut out = io::stdout().lock();
    if args.json {
        // A payload that is no JSON, which a function may return, is a text.
        let value: Value =
            serde_json::from_str(&payload).unwrap_or_else(|_| Value::from(payload.clone()));
        let value = if args.r#async { Value::Null } else { value };
        let line = json!({
            "status": answer.status().as_u16(), "request_id": header("x-amzn-requestid"),
            "version": header("x-amz-executed-version"), "error": error, "payload": value, "log": log,
        });
        writeln!(out, "{line}")?;
    } else if args.r#async {
        let id = header("x-amzn-requestid").unwrap_or_default();
        writeln!(io::stderr(), "accepted as {id}; `stillwire logs -f` shows what becomes of it")?;
    } else {
        writeln!(out, "{payload}")?;
    }
    drop(out);
    if args.tail && !args.json {
        let style = Style::of(&io::stderr(), no_color);
        for line in log.iter().flat_map(|log| log.lines()) {
            writeln!(io::stderr(), "{}", style.dim(visible(line)))?;
        }
    }
    Ok(if error.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
