//! `stillwire connect`: a client for people and for scripts.

mod address;
mod client;
mod interactive;
mod line;
mod output;
mod scripted;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::Result;
use tokio::runtime::Builder;

use crate::cli::ConnectArgs;
use crate::connect::address::Address;
use crate::connect::client::{Client, Opening};
use crate::connect::output::Output;
use crate::report::hinted;
use crate::settings::Settings;

/// Runs the command. The exit code is 0 unless the connection was refused or ended abnormally.
pub(crate) fn run(args: &ConnectArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let address = Address::parse(&args.url)?;
    let headers = args.headers.iter().map(|text| header(text)).collect::<Result<Vec<_>>>()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let output = Output::new(args.json, settings.no_color);
        let opening = Opening {
            address: &address,
            headers: &headers,
            subprotocols: &args.subprotocols,
            authorities: [args.ca.clone(), Some(settings.state_dir.join("ca.pem"))],
        };
        let client = match Client::open(opening).await? {
            client::Opened::Connected(client) => client,
            client::Opened::Refused(refusal) => {
                output.refused(&refusal);
                return Ok(ExitCode::FAILURE);
            }
        };
        output.opened(&args.url, client.subprotocol());
        let by_hand = args.messages.is_empty() && io::stdin().is_terminal() && !args.json;
        if by_hand {
            interactive::run(client, output, &settings.state_dir).await
        } else {
            scripted::run(client, output, &args.messages, args.wait).await
        }
    })
}

fn header(text: &str) -> Result<(String, String)> {
    let malformed =
        || hinted(format!("{text:?} is not a header"), "write it as -H 'Name: value', on one line");
    let (name, value) = text.split_once(':').ok_or_else(malformed)?;
    let (name, value) = (name.trim(), value.trim());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) || value.chars().any(char::is_control) {
        return Err(malformed());
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_on_one_line() {
        let parsed = header("Authorization:  Bearer ada:sesame ").unwrap();
        assert_eq!(parsed, ("Authorization".to_owned(), "Bearer ada:sesame".to_owned()));
        for text in ["", "nothing", ": x", "a b: c", "X: a\r\nY: b"] {
            assert!(header(text).is_err(), "{text:?}");
        }
    }
}
