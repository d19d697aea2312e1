//! Dynamic references: `{{resolve:ssm:…}}`, `{{resolve:ssm-secure:…}}` and `{{resolve:secretsmanager:…}}`.
//!
//! A value comes from the template's own resources, else from the person's file ([`crate::store`]). Where neither has
//! one, it is empty, so that the app can start; the notice names the reference, and no message ever a value.
//!
//! Source: CloudFormation User Guide, "Get values stored in other services using dynamic references". Differs: there
//! is one version of each value, whatever version a reference asks for.

use aws_lc_rs::digest;

use crate::node::{Node, Position};
use crate::report::Notice;
use crate::resolver::{Failed, Resolver};

/// How many references one text may hold. Source: as above, "up to 60 dynamic references in a stack template".
const REFERENCES_MAX: usize = 60;

/// What the value of a generated secret is made of, unless the template says otherwise: ASCII from `!` to `~`.
const PASSWORD_LENGTH: usize = 32;

impl Resolver<'_> {
    /// A text that is otherwise finished, with the values that its dynamic references name.
    pub(crate) fn finished_text(&mut self, at: Position, text: &str) -> Node {
        let mut out = String::new();
        let mut rest = text;
        let mut count = 0;
        while let Some((before, from)) = rest.split_once("{{resolve:") {
            let Some((reference, after)) = from.split_once("}}") else { break };
            out.push_str(before);
            rest = after;
            count += 1;
            match self.referenced(at, reference) {
                Ok(Some(value)) if count <= REFERENCES_MAX => out.push_str(&value),
                Ok(_) => {
                    let text =
                        format!("{{{{resolve:{reference}}}}} has no value here; it is empty");
                    let notice = Notice::warning(self.location(at), text);
                    self.notice(notice.hint("put it into a file and name that: --secrets FILE"));
                }
                Err(Failed) => {}
            }
        }
        out.push_str(rest);
        Node::text(at, out)
    }

    fn referenced(&mut self, at: Position, reference: &str) -> Result<Option<String>, Failed> {
        if reference.starts_with("ssm-secure:") && self.is_of_what_runs() {
            // Source: as above, "Resources that support dynamic parameter patterns for secure strings".
            let text = "on AWS, {{resolve:ssm-secure:…}} cannot stand in a resource of this type";
            let notice = Notice::warning(self.location(at), text);
            self.notice(
                notice.hint(
                    "take {{resolve:secretsmanager:…}}, or read the parameter in the function",
                ),
            );
        }
        match reference.split_once(':') {
            Some(("ssm" | "ssm-secure", name)) => {
                let name = match name.rsplit_once(':') {
                    Some((name, version)) if version.parse::<u64>().is_ok() => name,
                    _ => name,
                };
                self.stored_parameter(name)
            }
            Some(("secretsmanager", rest)) => self.secret(rest),
            _ => self.fail_with(
                at,
                format!("{{{{resolve:{reference}}}}} is not a dynamic reference"),
                "there are ssm, ssm-secure and secretsmanager",
            ),
        }
    }

    /// Whether the value that is worked on is a property of something that runs here.
    fn is_of_what_runs(&self) -> bool {
        let (unit, id) = self.worked_on();
        let kind = id.and_then(|id| self.resource(unit, id)).map(|resource| resource.kind.as_str());
        let services = ["AWS::Lambda::", "AWS::ApiGatewayV2::", "AWS::DynamoDB::"];
        kind.is_some_and(|kind| services.iter().any(|service| kind.starts_with(service)))
    }

    /// The value of a Parameter Store entry: of these stacks, else of the file, else of what calls have put there.
    pub(crate) fn stored_parameter(&mut self, wanted: &str) -> Result<Option<String>, Failed> {
        // Parameters may be named by their ARN.
        let wanted = match wanted.strip_prefix("arn:").and_then(|arn| arn.split_once(":parameter"))
        {
            Some((_, name)) => name,
            None => wanted,
        };
        for (index, other) in self.world.units.iter().enumerate() {
            for (id, resource) in &other.template.resources {
                if resource.kind == "AWS::SSM::Parameter"
                    && self.name_of(index, id, "Name", 1011)? == wanted
                    && self.is_active(index, &resource.node)?
                {
                    return self.property_text(index, id, "Value");
                }
            }
        }
        if let Some(value) = self.world.store.parameter(wanted) {
            return Ok(Some(value.to_owned()));
        }
        let scope = self.here();
        Ok(self.world.store.put_by_calls(&scope.account, &scope.region, wanted))
    }

    /// `id:SecretString:key:stage:version`, of which all but the id may be left out; the id may be an ARN.
    fn secret(&mut self, reference: &str) -> Result<Option<String>, Failed> {
        let colons = if reference.starts_with("arn:") { 7 } else { 1 };
        let mut ends = reference.match_indices(':').map(|(at, _)| at);
        let (id, rest) = match ends.nth(colons - 1) {
            Some(end) => (reference.get(..end), reference.get(end + 1..)),
            None => (Some(reference), None),
        };
        let key = rest.and_then(|rest| rest.split(':').nth(1)).filter(|key| !key.is_empty());
        let Some(value) = self.secret_value(id.unwrap_or_default())? else { return Ok(None) };
        let Some(key) = key else { return Ok(Some(value)) };
        let json: Option<serde_json::Value> = serde_json::from_str(&value).ok();
        Ok(json.and_then(|json| match json.get(key)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }))
    }

    /// The value of a secret, by its name or ARN: of these stacks, else of the file, else one that is made up.
    pub(crate) fn secret_value(&mut self, wanted: &str) -> Result<Option<String>, Failed> {
        let mut generated = None;
        for (index, other) in self.world.units.iter().enumerate() {
            for (id, resource) in &other.template.resources {
                if resource.kind != "AWS::SecretsManager::Secret" {
                    continue;
                }
                let name = self.name_of(index, id, "Name", 255)?;
                let asked = wanted.split_once(":secret:").map_or(wanted, |(_, name)| name);
                if name != asked || !self.is_active(index, &resource.node)? {
                    continue;
                }
                if let Some(text) = self.property_text(index, id, "SecretString")? {
                    return Ok(Some(text));
                }
                generated = self.generated(index, id)?;
            }
        }
        Ok(self.world.store.secret(wanted).map(str::to_owned).or(generated))
    }

    /// The value of a secret that AWS would make up.
    ///
    /// Choice: it is made of a hash of the secret's place, so that it is the same at every start. It protects
    /// nothing: whoever knows the template knows it.
    fn generated(&mut self, unit: usize, id: &str) -> Result<Option<String>, Failed> {
        let Some(settings) = self.property(unit, id, "GenerateSecretString")? else {
            return Ok(None);
        };
        let text = |name: &str| settings.get(name).and_then(Node::scalar);
        let is = |name: &str| text(name).as_deref() == Some("true");
        let length = text("PasswordLength").and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(PASSWORD_LENGTH).clamp(1, 4096);
        let left_out = text("ExcludeCharacters").unwrap_or_default();
        let letters: Vec<char> = ('!'..='~')
            .filter(|c| !left_out.contains(*c))
            .filter(|c| !(is("ExcludeLowercase") && c.is_ascii_lowercase()))
            .filter(|c| !(is("ExcludeUppercase") && c.is_ascii_uppercase()))
            .filter(|c| !(is("ExcludeNumbers") && c.is_ascii_digit()))
            .filter(|c| !(is("ExcludePunctuation") && c.is_ascii_punctuation()))
            .collect();
        let scope = &self.unit(unit).scope;
        let seed = crate::physical::uuid(scope, "secret", id);
        let mut password = String::new();
        let mut block: u64 = 0;
        while password.len() < length && !letters.is_empty() {
            let hash = digest::digest(&digest::SHA256, format!("{seed}{block}").as_bytes());
            let picked =
                hash.as_ref().iter().filter_map(|b| letters.get(usize::from(*b) % letters.len()));
            password.extend(picked.take(length - password.len()));
            block += 1;
        }
        let (Some(template), Some(key)) = (text("SecretStringTemplate"), text("GenerateStringKey"))
        else {
            return Ok(Some(password));
        };
        let mut json = serde_json::from_str(&template).unwrap_or(serde_json::Value::Null);
        if let Some(map) = json.as_object_mut() {
            map.insert(key, password.into());
        }
        Ok(Some(json.to_string()))
    }
}
