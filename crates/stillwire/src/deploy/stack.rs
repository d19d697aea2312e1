//! One stack: uploaded, planned, executed, followed to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use stillwire_deploy::{Package, UploadContent};
use tokio::time::{Instant, sleep};

use crate::deploy::answer::{Answer, Change, Event, if_there};
use crate::deploy::archive;
use crate::deploy::client::Client;
use crate::deploy::source::say;
use crate::deploy::target::Target;
use crate::style::{Style, visible};

/// How often a stack that is on its way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a deployment may take: longer than what it installs for functions may.
const DEPLOYED_WITHIN: Duration = Duration::from_mins(15);

/// The name of change sets.
const CHANGE_SET: &str = "stillwire-deploy";

/// A stack on its way to where it runs.
#[derive(Debug)]
pub(crate) struct Deployment<'a> {
    pub(crate) target: &'a Target,
    pub(crate) package: &'a Package,
    /// The values of parameters that the person gives.
    pub(crate) given: &'a BTreeMap<String, String>,
    pub(crate) style: Style,
}

/// How a deployment has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The stack is deployed.
    Changed,
    /// It was deployed just so.
    Same,
}

/// A stack that is deployed.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) outputs: Vec<(String, String)>,
}

impl Deployment<'_> {
    /// Deploys it, and waits for its end.
    pub(crate) async fn deploy(&self) -> Result<Done> {
        let client = self.client().await?;
        self.upload(&client).await?;
        let name = self.package.name.as_str();
        if status(&client, name).await?.as_deref() == Some("ROLLBACK_COMPLETE") {
            say(self.style, &format!("{name} was never deployed: it begins anew"));
            remove(&client, name, self.style).await?;
        }
        let plan = self.change_set(&client).await?;
        let outcome = if plan.is_some() {
            let known = seen(&client, name).await?;
            let asked = [("StackName", name), ("ChangeSetName", CHANGE_SET)];
            client.form("cloudformation", "ExecuteChangeSet", &asked).await?;
            let end = follow(&client, name, known, self.style).await?;
            if !["CREATE_COMPLETE", "UPDATE_COMPLETE"].contains(&end.status.as_str()) {
                bail!("{name} was not deployed: it is as it was before ({})", end.status);
            }
            Outcome::Changed
        } else {
            Outcome::Same
        };
        let answer =
            client.form("cloudformation", "DescribeStacks", &[("StackName", name)]).await?;
        let outputs = answer.members("Outputs", |output| {
            (output.or_empty("OutputKey"), output.or_empty("OutputValue"))
        });
        Ok(Done { outcome, outputs })
    }

    /// What deploying it would change.
    pub(crate) async fn plan(&self) -> Result<Vec<Change>> {
        let client = self.client().await?;
        self.upload(&client).await?;
        let name = self.package.name.as_str();
        let is_new = status(&client, name).await?.is_none();
        let planned = self.change_set(&client).await;
        let asked = [("StackName", name), ("ChangeSetName", CHANGE_SET)];
        if matches!(planned, Ok(Some(_))) {
            client.form("cloudformation", "DeleteChangeSet", &asked).await?;
        }
        if is_new {
            // What was made for the plan alone goes with it.
            client.form("cloudformation", "DeleteStack", &[("StackName", name)]).await?;
        }
        Ok(planned?.unwrap_or_default())
    }

    async fn client(&self) -> Result<Client> {
        let place = self.package.place.as_ref();
        let (account, region) =
            place.map_or_else(|| self.target.home(), |(account, region)| (account, region));
        self.target.client(account, region).await
    }

    async fn upload(&self, client: &Client) -> Result<()> {
        for upload in &self.package.uploads {
            let filled = |text: &str| {
                let text = text.replace("${AWS::AccountId}", &client.account);
                text.replace("${AWS::Region}", &client.region).replace("${AWS::Partition}", "aws")
            };
            let (bucket, key) = (filled(&upload.bucket), filled(&upload.key));
            // Keys are sums of contents: one that is there has this content.
            if client.has_object(&bucket, &key).await? {
                continue;
            }
            let content: Bytes = match &upload.content {
                UploadContent::Text(text) => text.clone().into(),
                UploadContent::Folder(folder) => archive::of_folder(folder)?,
                UploadContent::File(file) => std::fs::read(file)
                    .with_context(|| format!("cannot read {}", file.display()))?
                    .into(),
            };
            say(self.style, &format!("uploading {key} ({} bytes)", content.len()));
            client.put_object(&bucket, &key, content).await?;
        }
        Ok(())
    }

    /// Makes a change set; `None` where nothing would change.
    async fn change_set(&self, client: &Client) -> Result<Option<Vec<Change>>> {
        let name = self.package.name.as_str();
        let there = status(client, name).await?;
        let kind = match there.as_deref() {
            None | Some("REVIEW_IN_PROGRESS") => "CREATE",
            Some(_) => "UPDATE",
        };
        let asked = [("StackName", name), ("ChangeSetName", CHANGE_SET)];
        if there.is_some() {
            // One that was left over.
            client.form("cloudformation", "DeleteChangeSet", &asked).await?;
        }
        let mut form = vec![
            ("StackName".to_owned(), name.to_owned()),
            ("ChangeSetName".to_owned(), CHANGE_SET.to_owned()),
            ("ChangeSetType".to_owned(), kind.to_owned()),
            ("TemplateBody".to_owned(), self.package.template.clone()),
        ];
        let capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
        for (number, capability) in (1..).zip(capabilities) {
            form.push((format!("Capabilities.member.{number}"), capability.to_owned()));
        }
        for (number, (key, value)) in (1..).zip(&self.package.tags) {
            form.push((format!("Tags.member.{number}.Key"), key.clone()));
            form.push((format!("Tags.member.{number}.Value"), value.clone()));
        }
        self.add_parameters(client, kind == "UPDATE", &mut form).await?;
        let members: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        client.form("cloudformation", "CreateChangeSet", &members).await?;
        let mut answer = client.form("cloudformation", "DescribeChangeSet", &asked).await?;
        if answer.text("Status").as_deref() == Some("FAILED") {
            let reason = answer.text("StatusReason").unwrap_or_default();
            client.form("cloudformation", "DeleteChangeSet", &asked).await?;
            // Source: `CreateChangeSet`, observed; tools look for this beginning.
            if reason.starts_with("The submitted information didn't contain changes") {
                return Ok(None);
            }
            return Err(anyhow!("{reason}").context(format!("{name} cannot be deployed")));
        }
        let mut changes = Change::all(&answer);
        while let Some(token) = answer.text("NextToken") {
            let more = [asked[0], asked[1], ("NextToken", token.as_str())];
            answer = client.form("cloudformation", "DescribeChangeSet", &more).await?;
            changes.extend(Change::all(&answer));
        }
        Ok(Some(changes))
    }

    /// The values of the template's parameters: given, or as they are deployed, or else their defaults.
    async fn add_parameters(
        &self,
        client: &Client,
        is_update: bool,
        form: &mut Vec<(String, String)>,
    ) -> Result<()> {
        let template = [("TemplateBody", self.package.template.as_str())];
        let summary = client.form("cloudformation", "GetTemplateSummary", &template).await?;
        let declared = summary.members("Parameters", |one| one.or_empty("ParameterKey"));
        let mut deployed = BTreeSet::new();
        if is_update {
            let stack = [("StackName", self.package.name.as_str())];
            let answer = client.form("cloudformation", "DescribeStacks", &stack).await?;
            deployed.extend(answer.members("Parameters", |one| one.or_empty("ParameterKey")));
        }
        let unknown = self.given.keys().find(|key| !declared.contains(key));
        if let Some(unknown) = unknown {
            bail!(
                "the template of {} has no parameter {unknown}; it has {}",
                self.package.name,
                declared.join(", ")
            );
        }
        let mut number = 0;
        for key in &declared {
            let value = self.given.get(key).or_else(|| self.package.parameters.get(key));
            let (member, value) = match value {
                Some(value) => ("ParameterValue", value.as_str()),
                None if deployed.contains(key) => ("UsePreviousValue", "true"),
                None => continue,
            };
            number += 1;
            form.push((format!("Parameters.member.{number}.ParameterKey"), key.clone()));
            form.push((format!("Parameters.member.{number}.{member}"), value.to_owned()));
        }
        Ok(())
    }
}

/// The status of a stack, where there is one.
pub(crate) async fn status(client: &Client, name: &str) -> Result<Option<String>> {
    let answer = client.form("cloudformation", "DescribeStacks", &[("StackName", name)]).await;
    Ok(if_there(answer)?.and_then(|answer| answer.text("StackStatus")))
}

/// The ids of the events that a stack has already.
async fn seen(client: &Client, name: &str) -> Result<BTreeSet<String>> {
    let answer =
        client.form("cloudformation", "DescribeStackEvents", &[("StackName", name)]).await?;
    Ok(Event::all(&answer).into_iter().map(|event| event.id).collect())
}

/// Shows the events of an operation until its end; gives the last.
async fn follow(
    client: &Client,
    name: &str,
    mut known: BTreeSet<String>,
    style: Style,
) -> Result<Event> {
    let began = Instant::now();
    loop {
        let fresh = unseen(client, name, &mut known).await?;
        for event in fresh {
            show(&event, style);
            let is_stack = event.kind == "AWS::CloudFormation::Stack" && event.logical_id == name;
            let is_end = !event.status.ends_with("_IN_PROGRESS");
            // An update that fails is not over before it was rolled back.
            if is_stack && is_end && event.physical_id.contains(":stack/") {
                return Ok(event);
            }
        }
        if began.elapsed() > DEPLOYED_WITHIN {
            bail!("{name} has not come to its end in {DEPLOYED_WITHIN:?}");
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The events that were not seen yet, the oldest first.
async fn unseen(client: &Client, name: &str, known: &mut BTreeSet<String>) -> Result<Vec<Event>> {
    let mut fresh = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut asked = vec![("StackName", name)];
        if let Some(token) = &token {
            asked.push(("NextToken", token));
        }
        let answer: Answer = client.form("cloudformation", "DescribeStackEvents", &asked).await?;
        let events = Event::all(&answer);
        let count = events.len();
        let new: Vec<Event> =
            events.into_iter().filter(|event| known.insert(event.id.clone())).collect();
        let are_all_new = new.len() == count;
        fresh.extend(new);
        token = answer.text("NextToken");
        if token.is_none() || !are_all_new {
            fresh.reverse();
            return Ok(fresh);
        }
    }
}

/// A line about an event: the end of what was done, and whatever has a reason.
fn show(event: &Event, style: Style) {
    let has_failed = event.status.ends_with("_FAILED");
    if event.status.ends_with("_IN_PROGRESS") && event.reason.is_none() {
        return;
    }
    let reason = event.reason.as_deref().map(visible).unwrap_or_default();
    let Event { status, kind, logical_id, .. } = event;
    let line = format!("  {status:<24} {kind}  {logical_id}  {reason}");
    let line = line.trim_end();
    // Who closed the output wants to know no more.
    if has_failed {
        writeln!(io::stderr(), "{}", style.red(line)).ok();
    } else {
        writeln!(io::stderr(), "{}", style.dim(line)).ok();
    }
}

/// Deletes a stack, and waits until it is gone.
pub(crate) async fn remove(client: &Client, name: &str, style: Style) -> Result<()> {
    let answer = client.form("cloudformation", "DescribeStacks", &[("StackName", name)]).await?;
    let id = answer.text("StackId").unwrap_or_default();
    let known = seen(client, name).await?;
    client.form("cloudformation", "DeleteStack", &[("StackName", name)]).await?;
    // By its ARN: its name may mean nothing any more.
    let began = Instant::now();
    let mut known = known;
    loop {
        for event in unseen(client, &id, &mut known).await? {
            show(&event, style);
        }
        match status(client, &id).await?.as_deref() {
            None | Some("DELETE_COMPLETE") => return Ok(()),
            Some("DELETE_FAILED") => bail!("{name} is still there"),
            Some(_) if began.elapsed() > DEPLOYED_WITHIN => bail!("{name} does not go"),
            Some(_) => sleep(LOOK_EVERY).await,
        }
    }
}
