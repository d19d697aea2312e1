//! Tables that are kept elsewhere: by another server that speaks the DynamoDB API, or by AWS.
//!
//! Functions talk to it themselves. What goes through here is what Stillwire asks on its own: the tables that a template
//! declares, service integrations, and the streams that call functions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request};
use stillwire_awswire::{Credentials, SigningScope};
use stillwire_model::{BoxFuture, Clock, Reply, TableApi, TableStores};
use stillwire_outbound::Outbound;
use stillwire_outbound::service::add_signature;

use crate::errors::internal;

/// How long the other side may take. Source: none; twice what SDKs give a connection to answer.
const DEADLINE: Duration = Duration::from_mins(2);

/// Where tables are kept, and as whom to ask.
#[derive(Debug, Clone)]
pub struct There {
    /// `http://localhost:8000`; `None` for AWS itself.
    pub endpoint: Option<String>,
    /// The keys to sign with.
    pub keys: Credentials,
    /// The way there.
    pub outbound: Outbound,
    /// What time it is, for signatures.
    pub clock: Arc<dyn Clock>,
}

/// Tables elsewhere. Clones share it.
#[derive(Debug, Clone)]
pub struct Remote {
    there: Arc<There>,
}

impl Remote {
    /// Asks `there`.
    pub fn new(there: There) -> Self {
        Self { there: Arc::new(there) }
    }
}

impl TableStores for Remote {
    /// The keys decide the account.
    fn store(&self, _account: &str, region: &str) -> Arc<dyn TableApi> {
        Arc::new(InRegion { there: Arc::clone(&self.there), region: region.to_owned() })
    }
}

#[derive(Debug)]
struct InRegion {
    there: Arc<There>,
    region: String,
}

impl TableApi for InRegion {
    fn call(&self, target: &str, body: Bytes) -> BoxFuture<'static, Reply> {
        let (there, region, target) =
            (Arc::clone(&self.there), self.region.clone(), target.to_owned());
        Box::pin(async move { there.ask(&region, &target, body).await })
    }

    fn stream_changed(&self, _table: &str) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending()) // nobody tells: whoever reads looks again
    }
}

impl There {
    async fn ask(&self, region: &str, target: &str, body: Bytes) -> Reply {
        let service =
            if target.starts_with("DynamoDBStreams") { "streams.dynamodb" } else { "dynamodb" };
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{service}.{region}.{suffix}"),
        };
        let request = Request::post(format!("{endpoint}/"))
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header(HeaderName::from_static("x-amz-target"), target)
            .body(body);
        let mut request = match request {
            Ok(request) => request,
            Err(error) => return internal(&format!("{endpoint} is no address: {error}")),
        };
        let now = i64::try_from(self.clock.epoch_millis() / 1000).unwrap_or(i64::MAX);
        let scope = SigningScope { region, service: "dynamodb", epoch_seconds: now };
        add_signature(&mut request, &self.keys, &scope);
        match self.outbound.send(request, DEADLINE).await {
            Ok(response) => {
                Reply { status: response.status().as_u16(), body: response.into_body() }
            }
            Err(error) => internal(&format!("the tables at {endpoint} did not answer: {error}")),
        }
    }
}
