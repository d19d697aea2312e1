//! The levels of log lines, as `LoggingConfig` and functions name them.

/// How grave a line is; the order is that of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`
    Info,
    /// `WARN`
    Warn,
    /// `ERROR`
    Error,
    /// `FATAL`
    Fatal,
}

impl LogLevel {
    const ALL: [Self; 6] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The level of this name, in whatever case.
    ///
    /// Source: AWS Lambda Developer Guide, "Log-level filtering", where a function writes `debug`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_levels_and_back() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::named(&level.as_str().to_lowercase()), Some(level));
        }
        assert_eq!(LogLevel::named("NOTICE"), None);
        assert!(LogLevel::Debug < LogLevel::Info && LogLevel::Info < LogLevel::Warn);
    }
}
