//! What the person at the terminal sees: one table of addresses within the first screen, and what matters.

use std::io::{self, Write as _};
use std::time::Duration;

use stillwire_deploy::{Action, Notice, ResourceRow, Severity};
use stillwire_functions::Isolation;
use stillwire_model::{Api, App, Authorization, IdentitySource, Output};

use crate::dev::addresses::Addresses;
use crate::dev::change::{Change, How, shown};
use crate::dev::synthesis::Source;
use crate::report;
use crate::style::Style;

/// Outputs of stacks that are listed.
const OUTPUTS_SHOWN: usize = 20;

/// Resources of one change that are listed.
const CHANGES_SHOWN: usize = 60;

/// Resources that are listed as not run.
const NOT_RUN_SHOWN: usize = 12;

/// The terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    style: Style,
}

impl Screen {
    pub(crate) fn new(no_color: bool) -> Self {
        Self { style: Style::of(&io::stderr(), no_color) }
    }

    /// Something that takes a while, or a line of it.
    pub(crate) fn progress(self, text: &str) {
        line(&format!("{}", self.style.dim(text)));
    }

    /// Something that the author of the app should know.
    pub(crate) fn warn(self, text: &str) {
        line(&format!("{} {text}", self.style.yellow("note:")));
    }

    /// What differs, before it is applied.
    pub(crate) fn changes(self, changes: &[Change]) {
        let mut stack = "";
        for change in changes.iter().take(CHANGES_SHOWN) {
            if change.stack != stack {
                stack = &change.stack;
                line(&format!("  {}", self.style.bold(stack)));
            }
            let Change { name, kind, how, .. } = change;
            line(&match how {
                How::Added => format!("    {} {kind}  {name}", self.style.green("+")),
                How::Removed => format!("    {} {kind}  {name}", self.style.red("-")),
                How::Changed(what) => {
                    let what = self.style.dim(what.join(", "));
                    format!("    {} {kind}  {name}  {what}", self.style.yellow("~"))
                }
            });
        }
        if let Some(more) = changes.len().checked_sub(CHANGES_SHOWN).filter(|more| *more > 0) {
            line(&format!("    and {} more", count(more, "resource")));
        }
    }

    /// A change is live.
    pub(crate) fn applied(self, took: Duration, connections: usize) {
        let seconds = took.as_secs_f64();
        let applied = self.style.green(format!("applied in {seconds:.2} s"));
        line(&format!("  {applied} · {} connected", count(connections, "client")));
    }

    /// A change is not made, and why; what ran before runs on.
    pub(crate) fn refused(self, error: &anyhow::Error) {
        report::failure(error);
        line(&format!("{} what ran before runs on", self.style.yellow("not applied:")));
    }

    /// An address that is new.
    pub(crate) fn address(self, api: &Api, addresses: &Addresses) {
        for stage in api.stages.keys() {
            let url = addresses.url("ws", api, stage);
            line(&format!("  {}  {}  {}", api.stack, api.name, self.style.green(url)));
        }
    }

    /// What differs from AWS.
    pub(crate) fn notices(self, notices: &[Notice]) {
        for notice in notices.iter().filter(|notice| notice.severity == Severity::Warning) {
            line(&format!("{} {}", self.style.yellow("note:"), notice.text));
            if let Some(hint) = &notice.hint {
                line(&format!("  {} {hint}", self.style.cyan("hint:")));
            }
        }
    }

    /// How many resources run, and each that does not, with what that means.
    pub(crate) fn resources(self, rows: &[ResourceRow]) {
        let of = |action| rows.iter().filter(move |row| row.action == action);
        let not_run: Vec<&ResourceRow> = of(Action::NotRun).collect();
        if not_run.is_empty() {
            return;
        }
        let (runs, values) = (of(Action::Runs).count(), of(Action::ValueOnly).count());
        let counts = format!("{runs} resources run here, {values} are stood in for;");
        line(&format!("  {counts} {}", self.style.yellow("not run here:")));
        let shown_rows = || not_run.iter().take(NOT_RUN_SHOWN);
        let ids = shown_rows().map(|row| shown(row).len()).max().unwrap_or(0).min(48);
        let kinds = shown_rows().map(|row| row.kind.len()).max().unwrap_or(0);
        for row in shown_rows() {
            let (id, kind, note) = (shown(row), &row.kind, self.style.dim(&row.note));
            line(&format!("    {id:ids$}  {kind:kinds$}  {note}"));
        }
        if let Some(more) = not_run.len().checked_sub(NOT_RUN_SHOWN).filter(|more| *more > 0) {
            line(&format!("    and {}: `stillwire check` lists them", format_args!("{more} more")));
        }
    }

    /// What the strict sandbox consists of here, and what it lacks.
    pub(crate) fn isolation(self, isolation: &Isolation) {
        line(&format!("sandbox: {}", isolation.active.join(", ")));
        for missing in &isolation.missing {
            line(&format!("{} the strict sandbox has no {missing}", self.style.yellow("note:")));
        }
    }

    /// The addresses, once everything answers.
    pub(crate) fn addresses(
        self,
        app: &App,
        addresses: &Addresses,
        source: Option<&Source>,
        tables: &str,
        took: Duration,
    ) {
        let style = self.style;
        let mut rows = Vec::new();
        for api in app.apis() {
            for stage in api.stages.keys() {
                rows.push((
                    api.stack.to_string(),
                    api.name.clone(),
                    addresses.url("ws", api, stage),
                    addresses.url("wss", api, stage),
                ));
            }
        }
        for domain in app.domains() {
            for key in domain.mappings.keys() {
                rows.push((
                    domain.stack.to_string(),
                    domain.name.to_string(),
                    addresses.domain_url("ws", domain, key),
                    addresses.domain_url("wss", domain, key),
                ));
            }
        }
        let width = |of: fn(&(String, String, String, String)) -> usize| {
            rows.iter().map(of).max().unwrap_or(0)
        };
        let (stacks, names, plain) =
            (width(|row| row.0.len()), width(|row| row.1.len()), width(|row| row.2.len()));
        line("");
        let what =
            source.map_or_else(|| "serves what is deployed to it".to_owned(), Source::to_string);
        line(&format!("  {} {what}", style.bold("stillwire")));
        if !rows.is_empty() {
            line("");
        }
        for (stack, name, ws, wss) in &rows {
            line(&format!(
                "  {stack:stacks$}  {:names$}  {}{:pad$}  {}",
                name,
                style.green(ws),
                "",
                style.dim(wss),
                pad = plain - ws.len(),
            ));
        }
        self.outputs(app);
        line("");
        let mut counts = vec![
            count(app.functions().count(), "function"),
            format!("{} {tables}", count(app.tables().count(), "table")),
            format!(
                "AWS endpoint {}",
                addresses.aws_url_elsewhere().unwrap_or_else(|| addresses.aws_url())
            ),
        ];
        let sources = app.event_sources().count();
        if sources > 0 {
            counts.insert(1, count(sources, "event source"));
        }
        line(&format!("  {}", counts.join(" · ")));
        let seconds = took.as_secs_f64();
        let ready = style.green(format!("ready in {seconds:.2} s"));
        let watching = if source.is_some() { "watching for changes · " } else { "" };
        line(&format!("  {ready} · {watching}^C stops"));
        if let (Some((_, _, ws, _)), Some(api)) = (rows.first(), app.apis().next()) {
            let headers = wanted_headers(api);
            line(&format!("  {} stillwire connect {ws}{headers}", style.dim("talk to it:")));
        }
        if source.is_none() {
            line(&format!("  {} eval \"$(stillwire env)\"", style.dim("deploy to it, after:")));
        }
        line("");
    }

    /// What stacks tell, with addresses that lead here.
    fn outputs(self, app: &App) {
        let all = app
            .stacks
            .iter()
            .flat_map(|stack| stack.outputs.iter().map(|output| (&stack.display_name, output)));
        let all: Vec<_> = all.take(OUTPUTS_SHOWN).collect();
        if all.is_empty() {
            return;
        }
        line("");
        let width = |(stack, output): &(&String, &Output)| stack.len() + output.key.len() + 1;
        let widest = all.iter().map(width).max().unwrap_or(0);
        for (stack, Output { key, value, .. }) in all {
            let name = format!("{stack}.{key}");
            line(&format!("  {}  {value}", self.style.dim(format!("{name:widest$}"))));
        }
    }

    /// The disk cannot be trusted any more.
    pub(crate) fn disk_failed() {
        line(
            "error: the disk has failed to keep the tables, so this stops before anything is lost",
        );
        line(
            "  hint: look at the disk (space, `dmesg`), then start again: what was acknowledged is there",
        );
    }

    /// The stop has begun.
    pub(crate) fn stopping(connections: usize) {
        let clients = count(connections, "client");
        line(&format!("stopping: {clients} to say goodbye to; ^C again does not wait"));
    }
}

/// What a client must send to get past the authorizer, as options of `connect`.
fn wanted_headers(api: &Api) -> String {
    let Some(Authorization::Custom(authorizer)) = api.connect_route().map(|r| &r.authorization)
    else {
        return String::new();
    };
    let header = |source: &IdentitySource| match source {
        IdentitySource::Header(name) => Some(format!(" -H '{name}: …'")),
        _ => None,
    };
    authorizer.identity_sources.iter().filter_map(header).collect()
}

fn line(text: &str) {
    // A terminal that has gone away needs no lines.
    writeln!(io::stderr(), "{text}").ok();
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
