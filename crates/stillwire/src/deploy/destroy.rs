//! Stacks that are taken away.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::deploy::list::{Listed, stacks};
use crate::deploy::stack::remove;
use crate::deploy::target::Target;
use crate::report::hinted;
use crate::style::Style;

/// Removes stacks by their names: those that were deployed last go first.
pub(crate) async fn run(target: &Target, names: &[String], style: Style) -> Result<()> {
    let all = stacks(target).await?;
    for name in names {
        let meant: Vec<&Listed> = all.iter().filter(|stack| stack.name == *name).collect();
        match meant.as_slice() {
            [_] => {}
            [] => {
                let there: Vec<&str> = all.iter().map(|stack| stack.name.as_str()).collect();
                let there = if there.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are {}", there.join(", "))
                };
                return Err(hinted(format!("there is no stack {name}"), there));
            }
            _ => {
                return Err(hinted(
                    format!("there is a stack {name} in several accounts or regions"),
                    "say which with --account and --region",
                ));
            }
        }
    }
    for stack in all.iter().filter(|stack| names.contains(&stack.name)) {
        let client = target.client(&stack.account, &stack.region).await?;
        remove(&client, &stack.name, style).await?;
        writeln!(io::stderr(), "{} {}: destroyed", style.green("✓"), stack.name)?;
    }
    Ok(())
}
