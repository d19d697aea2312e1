//! `stillwire check`: is this app valid, and what does Stillwire do with each of its resources?

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use stillwire_deploy::{Action, Input, Loaded, Notice, ResourceRow, Severity, load};

use crate::cli::{AppArgs, CheckArgs};
use crate::dev::change::shown;
use crate::dev::synthesis::options;
use crate::report::hinted;
use crate::settings::Settings;
use crate::style::Style;

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let loaded = load(&Input::find(&args.app.path)?, &options(&args.app))?;
    let mut out = io::stdout().lock();
    if args.json {
        let listing = json!({ "resources": loaded.resources, "notices": loaded.notices });
        writeln!(out, "{}", serde_json::to_string_pretty(&listing)?)?;
    } else {
        print(&mut out, &loaded, Style::of(&io::stdout(), Settings::read().no_color))?;
    }
    out.flush()?;
    strict(&args.app, &loaded)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses an app of which something is not run here, where that is asked for.
pub(crate) fn strict(args: &AppArgs, loaded: &Loaded) -> Result<()> {
    let not_run = loaded.resources.iter().filter(|row| row.action == Action::NotRun);
    let names: Vec<&str> = not_run.clone().take(NAMES_MAX).map(shown).collect();
    let more = not_run.count().saturating_sub(names.len());
    if !args.strict || names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(hinted(
        format!("not run here: {names}{more}"),
        "`stillwire check` says what that means; without --strict it is no failure",
    ))
}

/// How many resources are named that are not run.
const NAMES_MAX: usize = 8;

/// The groups of the list, in order.
const GROUPS: [(Action, &str); 4] = [
    (Action::Runs, "runs here"),
    (Action::ValueOnly, "has a name and attributes, and does nothing here"),
    (Action::Skipped, "has no meaning at run time"),
    (Action::NotRun, "is NOT run here"),
];

fn print(out: &mut impl io::Write, loaded: &Loaded, style: Style) -> io::Result<()> {
    let mut stacks: BTreeMap<&str, Vec<&ResourceRow>> = BTreeMap::new();
    for row in &loaded.resources {
        stacks.entry(&row.stack).or_default().push(row);
    }
    let widest = |of: fn(&ResourceRow) -> usize| loaded.resources.iter().map(of).max().unwrap_or(0);
    let (ids, kinds) = (widest(|row| shown(row).len()).min(48), widest(|row| row.kind.len()));
    for (stack, rows) in stacks {
        writeln!(out, "{}", style.bold(stack))?;
        for (action, title) in GROUPS {
            let group: Vec<_> = rows.iter().filter(|row| row.action == action).collect();
            if group.is_empty() {
                continue;
            }
            writeln!(out, "  {}", style.dim(title))?;
            for row in group {
                let (id, kind) = (shown(row), &row.kind);
                writeln!(out, "    {id:ids$}  {kind:kinds$}  {}", style.dim(&row.note))?;
            }
        }
    }
    for Notice { severity, location, text, hint } in &loaded.notices {
        let word = match severity {
            Severity::Info => style.cyan("info:"),
            Severity::Warning => style.yellow("warning:"),
        };
        writeln!(out, "{word} {text}\n  {} {location}", style.dim("-->"))?;
        if let Some(hint) = hint {
            writeln!(out, "  {} {hint}", style.cyan("hint:"))?;
        }
    }
    let count = |action| loaded.resources.iter().filter(|row| row.action == action).count();
    let (all, runs, not_run) = (loaded.resources.len(), count(Action::Runs), count(Action::NotRun));
    writeln!(out, "{all} resources: {runs} run here, {not_run} do not")
}
