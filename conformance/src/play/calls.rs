//! Steps that ask the program over HTTP: as they are, and through the SDKs.

use serde_json::{Map, Value, json};
use stillwire_testkit::raw;

use super::{Play, pairs};
use crate::Result;
use crate::expect::{More, shown};
use crate::steps::{Call, Http, Sdk, Sign};

impl Play<'_> {
    pub(super) fn http(&mut self, step: &Http) -> Result<()> {
        let url = self.endpoint(step.endpoint.as_deref(), step.stage.as_deref(), "http")?;
        let body = self.names.fill(&step.body)?;
        let mut lines = vec![format!("{} HTTP/1.1", self.names.fill(&step.http)?)];
        let headers = pairs(&step.headers)?;
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            lines.push("Host: localhost".to_owned());
        }
        for (name, value) in headers {
            lines.push(format!("{name}: {}", self.names.fill(&value)?));
        }
        lines.push(format!("Content-Length: {}", body.len()));
        lines.push("Connection: close\r\n\r\n".to_owned());
        let head = lines.join("\r\n");
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        let mut answer = raw(&url, &bytes);
        for _ in 1..step.up_to.unwrap_or(1) {
            if answer.status == step.status {
                break;
            }
            answer = raw(&url, &bytes);
        }
        if answer.status != step.status {
            return Err(format!(
                "expected {}, got {} {:?}",
                step.status, answer.status, answer.body
            ));
        }
        if let Some(expected) = &step.with {
            let lines = answer.head.lines().skip(1).filter_map(|line| line.split_once(':'));
            let headers: Map<String, Value> = lines
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()))
                .collect();
            self.names.expect(expected, Some(&Value::Object(headers)), More::Allowed)?;
        }
        step.is.as_ref().map_or(Ok(()), |expected| self.expect_text(expected, &answer.body))
    }

    /// Where a request goes: as it is written, else to a stage.
    fn endpoint(&self, written: Option<&str>, stage: Option<&str>, scheme: &str) -> Result<String> {
        match written {
            Some(endpoint) => self.names.fill(endpoint),
            None => self.world.address(self.stage(stage), scheme),
        }
    }

    pub(super) fn call(&mut self, step: &Call) -> Result<()> {
        let (service, endpoint) = match &step.service {
            Some(service) => (service.as_str(), Some("<aws>")),
            None => ("apigatewaymanagementapi", step.endpoint.as_deref()),
        };
        let endpoint = self.endpoint(endpoint, step.stage.as_deref(), "https")?;
        let keys = step.keys.clone().unwrap_or_else(|| ("key".to_owned(), "secret".to_owned()));
        let ca = self.world.ready("ca");
        for sdk in &step.sdks {
            let question = json!({ "service": service, "endpoint": endpoint, "ca": ca, "region": "us-east-1",
                "keys": keys, "call": step.call, "with": self.names.fill_all(&step.with.clone().into())? });
            let answer = self.sdks.ask(*sdk, &question, &ca)?;
            let (member, expected) = match (&step.gives, &step.fails) {
                (_, Some(fails)) => ("fails", fails),
                (Some(gives), None) => ("gives", gives),
                (None, None) => ("gives", &Value::Null),
            };
            let Some(got) = answer.get(member) else {
                return Err(format!(
                    "{sdk:?}: expected that it {member} {}, got {}",
                    shown(expected),
                    shown(&answer)
                ));
            };
            if !expected.is_null() {
                let compared = self.names.expect(expected, Some(got), More::Allowed);
                compared.map_err(|problem| format!("{sdk:?}: {problem} in {}", shown(got)))?;
            }
        }
        Ok(())
    }

    pub(super) fn sign(&mut self, step: &Sign) -> Result<()> {
        let url = self.world.address(self.stage(step.stage.as_deref()), "http")? + &step.query;
        let question = json!({ "sign": url, "keys": step.keys, "region": step.region });
        let answer = self.sdks.ask(Sdk::Boto3, &question, "")?;
        let query = answer["query"].as_str().ok_or_else(|| shown(&answer))?;
        self.names.set(&step.sign, query);
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            let name = format!("{}:{}", step.sign, name.to_ascii_lowercase());
            self.names.set(&name, value.clone());
        }
        Ok(())
    }
}
