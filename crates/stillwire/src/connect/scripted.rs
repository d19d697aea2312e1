//! `connect` in a script: messages from the command line or standard input, then a wait, then goodbye.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::time::{Instant, sleep_until};

use crate::connect::client::{Client, Event};
use crate::connect::line::{HELP, Line};
use crate::connect::output::{Output, note};

/// Runs the conversation; fails when the server closed it with an error.
pub(crate) async fn run(
    mut client: Client,
    output: Output,
    messages: &[String],
    wait: f64,
) -> Result<ExitCode> {
    let wait = Duration::from_secs_f64(wait);
    for message in messages {
        client.send(message).await?;
        output.sent(message);
    }
    let mut input = messages.is_empty().then(|| BufReader::new(tokio::io::stdin()).lines());
    let mut deadline = Instant::now() + wait;
    loop {
        tokio::select! {
            event = client.next() => {
                let event = event?;
                output.event(&event);
                if let Event::Closed(end) = &event {
                    return Ok(verdict(end.code_and_reason().0));
                }
            }
            line = next_line(&mut input) => {
                deadline = Instant::now() + wait;
                match line? {
                    Some(line) => obey(&mut client, &line).await?,
                    None => input = None,
                }
            }
            () = sleep_until(deadline), if input.is_none() => {
                client.close(None).await?;
                deadline = Instant::now() + Duration::from_hours(1); // the close has its own time limit
            }
        }
    }
}

async fn next_line(input: &mut Option<Lines<BufReader<Stdin>>>) -> Result<Option<String>> {
    match input {
        Some(lines) => Ok(lines.next_line().await?),
        None => std::future::pending().await,
    }
}

async fn obey(client: &mut Client, line: &str) -> Result<()> {
    match Line::parse(line) {
        Line::Message(text) => client.send(&text).await,
        Line::Ping(payload) => client.ping(&payload).await,
        Line::Close(frame) => client.close(frame.as_ref()).await,
        Line::Help => {
            note(HELP);
            Ok(())
        }
        Line::Empty => Ok(()),
        Line::Unknown(problem) => {
            note(&problem);
            Ok(())
        }
    }
}

/// Whether a close code is a good end.
fn verdict(code: u16) -> ExitCode {
    match code {
        1000 | 1001 | 1005 | 3000..=4999 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
