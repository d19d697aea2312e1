//! How the program tells that it failed.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::settings::Settings;
use crate::style::Style;

/// An error with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Hinted {
    message: String,
    hint: String,
}

/// An error, and its remedy.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// Prints an error, its causes and its remedy; the exit code to end with.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let out = io::stderr().lock();
    let style = Style::of(&out, Settings::read().no_color);
    // Where even this cannot be written, the exit code still tells.
    write(out, error, style).ok();
    ExitCode::FAILURE
}

fn write(mut out: impl Write, error: &anyhow::Error, style: Style) -> io::Result<()> {
    let text = error.to_string();
    let text = text.trim_end();
    // Problems of a template come as a whole text, with places and hints of their own.
    if text.starts_with("error") {
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{} {text}", style.red("error:"))?;
    }
    for cause in error.chain().skip(1) {
        writeln!(out, "  {} {cause}", style.dim("because:"))?;
    }
    if let Some(Hinted { hint, .. }) = error.downcast_ref() {
        writeln!(out, "  {} {hint}", style.cyan("hint:"))?;
    }
    Ok(())
}
