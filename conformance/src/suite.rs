//! Plays all cases, several at once, and tells what failed.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use stillwire_testkit::tools;

use crate::Result;
use crate::assertions::{self, Family};
use crate::backend::Backend;
use crate::cases::{self, Case};
use crate::page::{self, Failed};
use crate::play::play;
use crate::sdk::Sdks;
use crate::world::World;

/// Cases at once: most of them wait most of the time.
const WORKERS: usize = 8;

/// What is claimed, and what proves it.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) families: Vec<Family>,
    pub(crate) cases: Vec<Case>,
}

/// Runs the suite. Words choose cases by their file, name or assertion; `--write` writes the page, which otherwise has
/// to be what it would write.
pub fn run(arguments: &[String]) -> ExitCode {
    let (flags, words): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| word.starts_with('-'));
    match run_with(flags.iter().any(|flag| *flag == "--write"), &words) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("conformance: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run_with(write: bool, words: &[&String]) -> Result<ExitCode> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let book = Book { families: assertions::read(&folder)?, cases: cases::read(&folder)? };
    let is_chosen = |case: &&Case| {
        let named = |word: &str| {
            case.family == word
                || case.name.contains(word)
                || case.proves.iter().any(|id| id == word)
        };
        words.is_empty() || words.iter().any(|word| named(word))
    };
    let chosen: Vec<&Case> = book.cases.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        println!("conformance: no case has {words:?} in its name");
        return Ok(ExitCode::SUCCESS);
    }
    let began = Instant::now();
    let failed = play_all(&chosen, &folder)?;
    println!(
        "conformance: {} of {} cases pass ({:.0} s)",
        chosen.len() - failed.len(),
        chosen.len(),
        began.elapsed().as_secs_f64()
    );
    if words.is_empty() {
        check(&book)?;
        if write { page::write(&book, &failed)? } else { page::check(&book)? }
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether assertions and cases belong together.
fn check(book: &Book) -> Result<()> {
    let mut problems = Vec::new();
    let all = book.families.iter().flat_map(|family| &family.assertions);
    let mut known = BTreeSet::new();
    for assertion in all {
        let id = assertion.id.as_str();
        if !known.insert(id) {
            problems.push(format!("{id} is there twice"));
        }
        let is_proven = book.cases.iter().any(|case| case.proves.iter().any(|proved| proved == id));
        if !is_proven && assertion.missing.is_none() {
            problems.push(format!("{id} has no case"));
        }
    }
    let mut names = BTreeSet::new();
    for case in &book.cases {
        let Case { family, name, proves, .. } = case;
        if !names.insert((family, name)) {
            problems.push(format!("cases/{family}.toml: {name:?} is there twice"));
        }
        if proves.is_empty() {
            problems.push(format!("cases/{family}.toml: {name:?} proves nothing"));
        }
        for id in proves.iter().filter(|id| !known.contains(id.as_str())) {
            problems
                .push(format!("cases/{family}.toml: {name:?} proves {id}, which is no assertion"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n  ")) }
}

/// What the plays share.
struct Stage<'a> {
    folder: &'a Path,
    program: PathBuf,
    backend: Arc<Backend>,
    sdks: Sdks,
    /// The shared programs, each with how many plays still need it.
    apps: BTreeMap<&'a str, Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    world: Option<Arc<World>>,
    plays_left: usize,
}

/// Plays cases; gives those that failed.
fn play_all(cases: &[&Case], folder: &Path) -> Result<Failed> {
    let mut queue: Vec<(&Case, usize)> =
        cases.iter().flat_map(|case| (0..case.plays.len()).map(|row| (*case, row))).collect();
    // Those of one program one after another, so that few programs run at a time.
    queue.sort_by_key(|(case, _)| (!case.alone, case.app.as_str()));
    let mut apps: BTreeMap<&str, Mutex<Shared>> = BTreeMap::new();
    for (case, _) in queue.iter().filter(|(case, _)| !case.alone) {
        let app = apps.entry(case.app.as_str()).or_default();
        app.get_mut().unwrap_or_else(PoisonError::into_inner).plays_left += 1;
    }
    let backend = Arc::new(Backend::start()?);
    let stage = Stage { folder, program: program()?, backend, sdks: Sdks::new(folder), apps };
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Failed::new()));
    // What a play that panics has to say stands in its line.
    std::panic::set_hook(Box::new(|_| {}));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((case, row)) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = stage.play(case, *row) {
                        println!("FAILED cases/{}.toml: {:?}, {problem}", case.family, case.name);
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.insert((case.family, case.name.clone()));
                    }
                }
            });
        }
    });
    drop(std::panic::take_hook());
    Ok(failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Stage<'_> {
    fn play(&self, case: &Case, row: usize) -> Result<()> {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let world = self.world(case)?;
            let mark = format!("{}-{}-{row}", case.family, plain(&case.name));
            play(&world, &self.sdks, (&case.stage, &mark), &case.plays[row])
        }));
        if let Some(shared) = self.shared(case) {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.plays_left -= 1;
            if shared.plays_left == 0 {
                shared.world = None;
            }
        }
        let problem = match played {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problem)) => problem,
            Err(panic) => words_of(&*panic),
        };
        let row = if case.plays.len() > 1 { format!("row {}, ", row + 1) } else { String::new() };
        Err(format!("{row}{}", problem.replace('\n', "\\n")))
    }

    fn shared(&self, case: &Case) -> Option<&Mutex<Shared>> {
        self.apps.get(case.app.as_str()).filter(|_| !case.alone)
    }

    fn world(&self, case: &Case) -> Result<Arc<World>> {
        let start =
            || World::start(&self.program, self.folder, &case.app, &self.backend).map(Arc::new);
        let Some(shared) = self.shared(case) else { return start() };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match &shared.world {
            Some(world) => Ok(Arc::clone(world)),
            None => Ok(Arc::clone(shared.world.insert(start()?))),
        }
    }
}

/// A name as a word that stands in headers and JSON as it is.
fn plain(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// The program, as it is now: built, unless who started this has done so and says where it is.
fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("STILLWIRE_PROGRAM") {
        return Ok(program.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(tools::workspace()).args(["build", "--quiet", "--package", "stillwire"]);
    // This runs as `target/PROFILE/deps/NAME`.
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = own.ancestors().nth(2).ok_or("this is not run from a build folder")?;
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().map_err(|error| format!("{build:?}: {error}"))?;
    if status.success() {
        Ok(folder.join("stillwire"))
    } else {
        Err(format!("{build:?}: {status}"))
    }
}
