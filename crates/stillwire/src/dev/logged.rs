//! What functions wrote, as CloudWatch Logs has it: by log group and time, out of the files of the log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use jiff::Timestamp;
use stillwire_awswire::iso_millis;
use stillwire_model::{Function, LoggedLine, LoggedLines};

use crate::dev::function_logs::{Entry, files};
use crate::dev::functions::Known;

/// The longest line that is read, in bytes: a function's own lines are shorter.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// The log of functions, read by log groups.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) functions: Known,
    /// The data folder.
    pub(crate) data: PathBuf,
}

/// Source: AWS Lambda, `LoggingConfig.LogGroup` (`/aws/lambda/NAME` unless it says another).
fn group(function: &Function) -> String {
    let named = function.logging.group.as_deref().map(str::to_owned);
    named.unwrap_or_else(|| format!("/aws/lambda/{}", function.name()))
}

impl LoggedLines for Logged {
    fn groups(&self, account: &str, region: &str) -> Vec<String> {
        let all = self.functions.all();
        let here = all.iter().filter(|function| {
            function.arn.account() == account && function.arn.region() == region
        });
        here.map(|function| group(function)).collect()
    }

    fn lines(
        &self,
        named: &str,
        (from, to): (u64, u64),
        skip: usize,
        most: usize,
    ) -> Vec<LoggedLine> {
        let all = self.functions.all();
        let writers: Vec<&str> = all
            .iter()
            .filter(|function| group(function) == named)
            .map(|function| function.name())
            .collect();
        // Times of one form are in the order of their texts.
        let (from, to) = (iso_millis(from), iso_millis(to));
        let mut found = Vec::new();
        let mut left = skip;
        for path in files(&self.data) {
            let Ok(file) = File::open(path) else { continue };
            let mut reader = BufReader::new(file);
            let mut line = String::new();
            loop {
                line.clear();
                match reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(_) => continue, // not text: the rest of the file may be
                }
                let Ok(entry) = serde_json::from_str::<Entry<'_>>(&line) else { continue };
                let is_wanted = entry.source != "notice"
                    && writers.contains(&&*entry.function)
                    && *entry.time >= *from
                    && *entry.time <= *to;
                if !is_wanted {
                    continue;
                }
                if left > 0 {
                    left -= 1;
                    continue;
                }
                let Some(time) = millis(&entry.time) else { continue };
                found.push(LoggedLine { time, text: entry.text.into_owned() });
                if found.len() == most {
                    return found;
                }
            }
        }
        found
    }
}

fn millis(time: &str) -> Option<u64> {
    u64::try_from(time.parse::<Timestamp>().ok()?.as_millisecond()).ok()
}
