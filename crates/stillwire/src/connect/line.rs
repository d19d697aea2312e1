//! What a person types: a message, or a command that begins with `/`.

use stillwire_websocket::{CloseCode, CloseFrame};

/// One line of input, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Message(String),
    Ping(String),
    /// Close, with a code and reason or with neither.
    Close(Option<CloseFrame>),
    Help,
    /// Nothing to do.
    Empty,
    /// Not understood, with what to write instead.
    Unknown(String),
}

/// What `/help` prints.
pub(crate) const HELP: &str = "\
  TEXT                   send a message
  /ping [TEXT]           send a ping
  /close [CODE [REASON]] close, for instance /close 4001 bye
  /quit                  close and leave (also ^D)
  //TEXT                 send a message that begins with /";

impl Line {
    /// Reads a line.
    pub(crate) fn parse(line: &str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            return if line.trim().is_empty() {
                Self::Empty
            } else {
                Self::Message(line.to_owned())
            };
        };
        if command.starts_with('/') {
            return Self::Message(command.to_owned());
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match name {
            "ping" => Self::Ping(rest.to_owned()),
            "close" => Self::close(rest.trim()),
            "quit" | "exit" => Self::Close(None),
            "help" | "?" => Self::Help,
            _ => Self::Unknown(format!("/{name} is no command; /help lists them")),
        }
    }

    fn close(rest: &str) -> Self {
        if rest.is_empty() {
            return Self::Close(None);
        }
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        match code.parse().ok().and_then(CloseCode::new) {
            Some(code) => Self::Close(Some(CloseFrame { code, reason: reason.to_owned() })),
            None => Self::Unknown(format!(
                "{code} is no close code that may be sent: 1000-1003, 1007-1014, 3000-4999"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_a_command() {
        let close = |code, reason: &str| {
            let code = CloseCode::new(code).unwrap();
            Line::Close(Some(CloseFrame { code, reason: reason.to_owned() }))
        };
        for (line, expected) in [
            ("hi", Line::Message("hi".into())),
            ("//hi", Line::Message("/hi".into())),
            ("  ", Line::Empty),
            ("/ping", Line::Ping(String::new())),
            ("/ping a b", Line::Ping("a b".into())),
            ("/close", Line::Close(None)),
            ("/close 4001 see you", close(4001, "see you")),
            ("/quit", Line::Close(None)),
            ("/help", Line::Help),
        ] {
            assert_eq!(Line::parse(line), expected, "{line:?}");
        }
        for line in ["/nonsense", "/close 1005", "/close soon"] {
            assert!(matches!(Line::parse(line), Line::Unknown(_)), "{line:?}");
        }
    }
}
