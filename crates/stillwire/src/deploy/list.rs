//! The stacks that are deployed.

use std::io::{self, Write as _};

use anyhow::Result;
use serde_json::json;

use crate::deploy::target::Target;
use crate::style::{Style, visible};

/// A stack that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) region: String,
    status: String,
    /// When it was deployed last, or first.
    time: String,
    description: Option<String>,
}

/// All stacks, in every place that is known; those that were deployed last come first.
pub(crate) async fn stacks(target: &Target) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    for (account, region) in target.places() {
        let client = target.client(account, region).await?;
        let mut token: Option<String> = None;
        loop {
            let asked: Vec<(&str, &str)> =
                token.iter().map(|token| ("NextToken", token.as_str())).collect();
            let answer = client.form("cloudformation", "DescribeStacks", &asked).await?;
            all.extend(answer.members("Stacks", |stack| Listed {
                name: stack.or_empty("StackName"),
                account: account.to_owned(),
                region: region.to_owned(),
                status: stack.or_empty("StackStatus"),
                time:
                    stack.text("LastUpdatedTime").unwrap_or_else(|| stack.or_empty("CreationTime")),
                description: stack.text("Description"),
            }));
            token = answer.text("NextToken");
            if token.is_none() {
                break;
            }
        }
    }
    // Times of one form are in the order of their texts.
    all.sort_by(|one, other| other.time.cmp(&one.time));
    Ok(all)
}

/// Prints them.
pub(crate) async fn run(target: &Target, is_json: bool, style: Style) -> Result<()> {
    let all = stacks(target).await?;
    let mut out = io::stdout().lock();
    let names = all.iter().map(|stack| stack.name.len()).max().unwrap_or_default();
    for Listed { name, account, region, status, time, description } in &all {
        if is_json {
            let line = json!({ "name": name, "account": account, "region": region, "status": status,
                "time": time, "description": description });
            writeln!(out, "{line}")?;
            continue;
        }
        let about = description.as_deref().map(visible).unwrap_or_default();
        let place = style.dim(format!("{account} {region} {time}"));
        writeln!(out, "{}", format!("{name:names$}  {status:<24} {place}  {about}").trim_end())?;
    }
    if all.is_empty() && !is_json {
        writeln!(io::stderr(), "nothing is deployed")?;
    }
    Ok(())
}
