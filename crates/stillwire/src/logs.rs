//! `stillwire logs`: what functions wrote, as it was kept, and as it comes.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use stillwire_awswire::iso_millis;
use stillwire_model::Clock as _;
use tokio::runtime::Builder;

use crate::cli::LogsArgs;
use crate::clock::SystemClock;
use crate::dev::function_logs::{Entry, files, newest};
use crate::report::hinted;
use crate::running;
use crate::settings::Settings;
use crate::style::{Style, visible};

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs the command. Following ends with ^C, or when nobody reads any more.
pub(crate) fn run(args: &LogsArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    let data = data_dir(args, &settings)?;
    let since = SystemClock.epoch_millis().saturating_sub(millis(args.since));
    let view = View {
        function: args.function.clone(),
        // Times of one form are in the order of their texts.
        since: iso_millis(since),
        json: args.json,
        style: Style::of(&io::stdout(), settings.no_color),
    };
    let path = newest(&data);
    // Opened first: what is written from here on is not missed, whatever is put aside meanwhile.
    let mut reader = File::open(&path).ok().map(BufReader::new);
    for old in files(&data).iter().filter(|old| **old != path) {
        if let Ok(file) = File::open(old) {
            view.show(&mut BufReader::new(file))?;
        }
    }
    if let Some(reader) = &mut reader {
        view.show(reader)?;
    }
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match &mut reader {
                Some(open) => {
                    view.show(open)?;
                    if is_put_aside(open.get_ref(), &path) {
                        // What came between the last look and the change of files.
                        view.show(open)?;
                        reader = None;
                    }
                }
                None => reader = File::open(&path).ok().map(BufReader::new),
            }
        }
    })
}

/// Where the log is: named, that of an app that runs, or beside the app in this folder.
fn data_dir(args: &LogsArgs, settings: &Settings) -> Result<PathBuf> {
    if let Some(data) = &args.data_dir {
        return Ok(data.clone());
    }
    let beside = args.app.clone().unwrap_or_else(|| PathBuf::from(".")).join(".stillwire");
    match running::find(settings, args.app.as_deref()) {
        Ok(running) => Ok(running.data_dir),
        Err(_) if beside.join("lock").exists() => Ok(beside),
        Err(error) => Err(error.context(hinted(
            "there is no log to read",
            "name the data folder of the app with --data-dir",
        ))),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether another file has taken the place of an open one.
fn is_put_aside(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.ino() != there.ino(),
        (_, there) => there.is_err(),
    }
}

/// What is shown, and how.
struct View {
    function: Option<String>,
    since: String,
    json: bool,
    style: Style,
}

impl View {
    /// Shows what there is to read. A line that is not finished yet stays unread.
    fn show(&self, reader: &mut BufReader<File>) -> Result<()> {
        let mut out = io::stdout().lock();
        let mut line = String::new();
        loop {
            let start = io::Seek::stream_position(reader)?;
            line.clear();
            reader.read_line(&mut line)?;
            if !line.ends_with('\n') {
                io::Seek::seek(reader, io::SeekFrom::Start(start))?;
                out.flush()?;
                return Ok(());
            }
            // What cannot be read is not ours.
            let Ok(entry) = serde_json::from_str::<Entry<'_>>(&line) else { continue };
            if self.is_wanted(&entry) {
                self.print(&mut out, &entry, &line)?;
            }
        }
    }

    fn is_wanted(&self, entry: &Entry<'_>) -> bool {
        let named = self.function.as_deref().is_none_or(|name| is_meant(name, &entry.function));
        named && *entry.time >= *self.since
    }

    fn print(&self, out: &mut impl io::Write, entry: &Entry<'_>, line: &str) -> io::Result<()> {
        if self.json {
            return out.write_all(line.as_bytes());
        }
        let style = self.style;
        let text = visible(&entry.text);
        let (time, name) = (style.dim(&entry.time), style.cyan(visible(&entry.function)));
        match &*entry.source {
            "function" => writeln!(out, "{time} {name} {text}"),
            "notice" => writeln!(out, "{time} {name} {}", style.yellow(text)),
            _ => writeln!(out, "{time} {name} {}", style.dim(text)),
        }
    }
}

/// Whether a name or logical id means a function of this name: a name that was made up has the logical id in it.
fn is_meant(wanted: &str, name: &str) -> bool {
    let wanted = wanted.rsplit([':', '/']).next().unwrap_or(wanted);
    name == wanted || name.contains(&format!("-{wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_s_lines_are_found_by_its_name_and_its_logical_id() {
        for wanted in
            ["dev-Chat0A-XY", "Chat0A", "Chat", "arn:aws:lambda:r:1:function:dev-Chat0A-XY"]
        {
            assert!(is_meant(wanted, "dev-Chat0A-XY"), "{wanted}");
        }
        assert!(!is_meant("hat", "dev-Chat0A-XY") && !is_meant("Gate", "dev-Chat0A-XY"));
    }
}
