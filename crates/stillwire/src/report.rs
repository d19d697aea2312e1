//! How the program tells that it failed.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::style::Style;

/// An error with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hinted {
    message: String,
    hint: String,
}

impl Hinted {
    /// An error, and its remedy.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self { message: message.into(), hint: hint.into() }.into()
    }
}

/// Prints an error, its causes and its remedy; the exit code to end with.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let mut out = io::stderr().lock();
    let style = Style::of(&out, crate::settings::Settings::read().no_color);
    let mut text = error.to_string();
    // Problems of a template come as a whole text with places and hints of their own.
    if !text.starts_with("error") {
        text = format!("{} {text}", style.red("error:"));
    }
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  {} {cause}", style.dim("because:")));
    }
    if let Some(Hinted { hint, .. }) = error.downcast_ref() {
        text.push_str(&format!("\n  {} {hint}", style.cyan("hint:")));
    }
    // Where even this cannot be written, the exit code still tells.
    writeln!(out, "{}", text.trim_end()).ok();
    ExitCode::FAILURE
}
