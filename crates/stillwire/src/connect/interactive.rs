//! `connect` at a terminal: a prompt with history, and messages above it as they come.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter as _};
use tokio::sync::{mpsc, oneshot};

use crate::connect::client::{Client, Event};
use crate::connect::line::{HELP, Line};
use crate::connect::output::{Output, note};

/// Lines kept between sessions.
const HISTORY_MAX: usize = 1000;

/// Lines typed ahead of the connection.
const LINES_AHEAD: usize = 16;

/// Runs the conversation until either side ends it.
pub(crate) async fn run(mut client: Client, output: Output, state_dir: &Path) -> Result<ExitCode> {
    let terminal = TerminalMode::keep();
    let config = Config::builder().max_history_size(HISTORY_MAX)?.auto_add_history(true).build();
    let mut editor: Editor<(), FileHistory> = Editor::with_config(config)?;
    let history = state_dir.join("connect-history");
    // No history is no reason not to talk.
    std::fs::create_dir_all(state_dir).ok();
    editor.load_history(&history).ok();
    let mut printer = editor.create_external_printer()?;
    note("type a message and Enter; /help lists commands, ^D leaves");

    // Reading a line blocks, so it has a thread of its own; a line at a time is handed over.
    let (lines, mut typed) = mpsc::channel(LINES_AHEAD);
    let (done, finished) = oneshot::channel();
    std::thread::Builder::new().name("prompt".to_owned()).spawn(move || {
        loop {
            let line = match editor.readline("> ") {
                Ok(line) => Line::parse(&line),
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => Line::Close(None),
                Err(_) => break,
            };
            let last = matches!(line, Line::Close(_));
            if lines.blocking_send(line).is_err() || last {
                break;
            }
        }
        editor.save_history(&history).ok();
        done.send(()).ok();
    })?;

    let mut show = |text: String| {
        if printer.print(format!("{text}\n")).is_err() {
            note(&text);
        }
    };
    loop {
        tokio::select! {
            event = client.next() => {
                let event = event?;
                let text = output.text_of(&event);
                if matches!(event, Event::Closed(_)) {
                    // The prompt still waits for a line and would show this too late: over its line, then.
                    drop(terminal);
                    note(&format!("\r\x1b[K{}", text.unwrap_or_default()));
                    return Ok(ExitCode::SUCCESS);
                }
                if let Some(text) = text {
                    show(text);
                }
            }
            line = typed.recv() => match line.unwrap_or(Line::Close(None)) {
                Line::Message(text) => client.send(&text).await?,
                Line::Ping(payload) => client.ping(&payload).await?,
                Line::Close(frame) => {
                    client.close(frame.as_ref()).await?;
                    // The prompt is gone; what comes now is printed plainly.
                    typed.close();
                    finished.await.ok();
                    return farewell(client, output).await;
                }
                Line::Help => show(HELP.to_owned()),
                Line::Empty => {}
                Line::Unknown(problem) => show(problem),
            },
        }
    }
}

/// Puts the terminal back as it was: the prompt may still wait for a line when the server has closed.
struct TerminalMode(Option<Termios>);

impl TerminalMode {
    fn keep() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        if let Some(mode) = &self.0 {
            // Nothing more can be done about a terminal that refuses.
            tcsetattr(io::stdin(), OptionalActions::Now, mode).ok();
        }
    }
}

async fn farewell(mut client: Client, output: Output) -> Result<ExitCode> {
    loop {
        let event = client.next().await?;
        output.event(&event);
        if matches!(event, Event::Closed(_)) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}
