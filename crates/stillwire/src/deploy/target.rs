//! Which Stillwire is meant, and with which keys.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use stillwire_awswire::Credentials;
use stillwire_model::account_of_key;

use crate::cli::ToArgs;
use crate::deploy::client::Client;
use crate::report::hinted;
use crate::running;
use crate::settings::Settings;

/// The account of an app that names none.
const ACCOUNT: &str = "000000000000";

/// The region of an app that names none.
const REGION: &str = "us-east-1";

/// What is signed with where nothing is secret.
pub(crate) const NO_SECRET: &str = "stillwire";

/// Who assumes roles elsewhere, as logs there name it.
const SESSION: &str = "stillwire-deploy";

/// A Stillwire that runs.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its AWS endpoint: `http://127.0.0.1:7799`.
    pub(crate) endpoint: String,
    /// Where it has something, as far as that is known, and where apps go that name no place.
    places: BTreeSet<(String, String)>,
    account: String,
    region: String,
    /// The user's own keys, where the endpoint is not on this machine.
    keys: Option<Credentials>,
}

impl Target {
    /// The one at the address that is given, or the one that runs here.
    pub(crate) fn find(args: &ToArgs, settings: &Settings) -> Result<Self> {
        let mut places = BTreeSet::new();
        let (endpoint, keys) = if let Some(url) = &args.to {
            let host = host_of(url).ok_or_else(|| {
                hinted(format!("{url} is no address"), "write it as https://HOST:PORT")
            })?;
            (url.trim_end_matches('/').to_owned(), keys_for(host, settings)?)
        } else {
            let running = running::find(settings, args.app.as_deref())?;
            let arns = running.functions.iter().chain(&running.tables).map(|one| &one.arn);
            places.extend(arns.filter_map(|arn| place_of(arn)));
            // By its address: not every system resolves names below localhost, which buckets become.
            (running.aws_endpoint.replace("//localhost:", "//127.0.0.1:"), None)
        };
        let first = places.first().cloned();
        let (account, region) = first.unwrap_or_else(|| (ACCOUNT.to_owned(), REGION.to_owned()));
        let account = args.account.clone().unwrap_or(account);
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(hinted(format!("{account} is no account"), "an account has twelve digits"));
        }
        let region = args.region.clone().unwrap_or(region);
        if args.account.is_some() || args.region.is_some() {
            places.clear();
        }
        places.insert((account.clone(), region.clone()));
        Ok(Self { endpoint, places, account, region, keys })
    }

    /// Where it may have stacks: account and region.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.places.iter().map(|(account, region)| (account.as_str(), region.as_str()))
    }

    /// Where an app goes that names no place.
    pub(crate) fn home(&self) -> (&str, &str) {
        (&self.account, &self.region)
    }

    /// A client whose key leads to an account.
    pub(crate) async fn client(&self, account: &str, region: &str) -> Result<Client> {
        // Some apps write an account with fewer digits than there are.
        let padded = format!("{account:0>12}");
        let open = Credentials::new(&padded, NO_SECRET);
        let Some(keys) = &self.keys else { return Ok(Client::new(self, account, region, open)) };
        if account_of_key(&keys.access_key) == Some(&padded) {
            return Ok(Client::new(self, account, region, keys.clone()));
        }
        let client = Client::new(self, account, region, keys.clone());
        let role = format!("arn:aws:iam::{padded}:role/{SESSION}");
        let asked = [("RoleArn", role.as_str()), ("RoleSessionName", SESSION)];
        let answer = client.form("sts", "AssumeRole", &asked).await;
        let answer = answer.context("cannot get keys for the account")?;
        let text = |name: &str| answer.text(name).unwrap_or_default();
        let assumed = Credentials {
            session_token: answer.text("SessionToken"),
            ..Credentials::new(text("AccessKeyId"), text("SecretAccessKey"))
        };
        Ok(Client::new(self, account, region, assumed))
    }
}

/// The user's own keys, which another machine asks for.
fn keys_for(host: &str, settings: &Settings) -> Result<Option<Credentials>> {
    if is_here(host) {
        return Ok(None);
    }
    let keys = settings.keys.find().map_err(|problem| {
        hinted(
            format!("{host} is another machine, and {problem}"),
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of its [keys], or AWS_PROFILE",
        )
    });
    keys.map(Some)
}

/// The host of an absolute address, without its port.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let host = rest.split('/').next()?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    Some(name).filter(|name| !name.is_empty())
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// Account and region of an ARN.
fn place_of(arn: &str) -> Option<(String, String)> {
    let mut parts = arn.split(':').skip(3);
    let (region, account) = (parts.next()?, parts.next()?);
    Some((account.to_owned(), region.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(to: &str) -> ToArgs {
        ToArgs { to: Some(to.to_owned()), app: None, account: None, region: None }
    }

    #[test]
    fn keys_are_needed_for_other_machines_only() {
        let none = Settings::of(&[("HOME", "/nowhere")]);
        let here = Target::find(&args("http://127.0.0.1:7799/"), &none).unwrap();
        assert_eq!(here.endpoint, "http://127.0.0.1:7799");
        assert_eq!(here.home(), (ACCOUNT, REGION));
        let error = Target::find(&args("https://stillwire.example"), &none).unwrap_err();
        assert!(error.to_string().contains("another machine"), "{error}");
        let own = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s")];
        assert!(Target::find(&args("https://stillwire.example"), &Settings::of(&own)).is_ok());
        for bad in ["stillwire.example", "ftp://x", "http://"] {
            assert!(Target::find(&args(bad), &Settings::of(&own)).is_err(), "{bad}");
        }
        let account = ToArgs { account: Some("12".to_owned()), ..args("http://127.0.0.1:1") };
        assert!(Target::find(&account, &none).is_err());
    }
}
