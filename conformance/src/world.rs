//! The program on one app, and what can be seen of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use stillwire_testkit::{Events, Stillwire};
use tempfile::TempDir;

use crate::Result;
use crate::backend::Backend;

/// A running app.
#[derive(Debug)]
pub(crate) struct World {
    program: PathBuf,
    running: Mutex<Option<Stillwire>>,
    ready: Mutex<Value>,
    /// What its functions got.
    pub(crate) events: Events,
    /// What its integrations asked.
    pub(crate) backend: Arc<Backend>,
    /// A copy of `apps`, which steps may change.
    apps: TempDir,
    app: String,
}

impl World {
    /// Starts the program on an app.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        app: &str,
        backend: &Arc<Backend>,
    ) -> Result<Self> {
        let apps = tempfile::tempdir().map_err(|error| error.to_string())?;
        for name in ["functions", app] {
            copy(&folder.join("apps").join(name), &apps.path().join(name))
                .map_err(|error| format!("the app {name:?} cannot be copied: {error}"))?;
        }
        let world = Self {
            program: program.to_owned(),
            running: Mutex::new(None),
            ready: Mutex::new(Value::Null),
            events: Events::new(),
            backend: Arc::clone(backend),
            apps,
            app: app.to_owned(),
        };
        world.run()?;
        Ok(world)
    }

    /// Starts the program, on the data of its last life.
    pub(crate) fn run(&self) -> Result<()> {
        let mut command = Stillwire::command(&self.program.to_string_lossy());
        command.args(["dev", "--port", "0", "--verbose", "--data-dir"]).arg(self.data());
        command.arg(self.template()).args(self.parameters()?);
        command.env("AWS_ENDPOINT_URL_SQS", self.backend.url());
        let stillwire = Stillwire::start(command);
        *lock(&self.ready) = stillwire.ready().clone();
        *lock(&self.running) = Some(stillwire);
        Ok(())
    }

    /// Does something with the running program.
    pub(crate) fn program<T>(&self, act: impl FnOnce(&mut Stillwire) -> T) -> Result<T> {
        lock(&self.running).as_mut().map(act).ok_or_else(|| "the program does not run".to_owned())
    }

    /// Waits until the program has ended.
    pub(crate) fn end(&self) -> Result<()> {
        let mut stillwire = lock(&self.running).take().ok_or("the program does not run")?;
        stillwire.wait();
        Ok(())
    }

    /// The program itself, for other commands.
    pub(crate) fn executable(&self) -> &Path {
        &self.program
    }

    /// The app's template.
    pub(crate) fn template(&self) -> PathBuf {
        self.file("template.json")
    }

    /// A file of the app.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.apps.path().join(&self.app).join(name)
    }

    /// The lines of all access logs: what they are as JSON, or as texts.
    pub(crate) fn access_logs(&self) -> Vec<Value> {
        let files = std::fs::read_dir(self.data().join("access-logs")).into_iter().flatten();
        let texts = files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok());
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| line.into());
        texts.flat_map(|text| text.lines().map(read).collect::<Vec<_>>()).collect()
    }

    /// An address of a stage, or of a custom domain's mapping by its key: `ws`, `wss`, `http`, `https`.
    pub(crate) fn address(&self, stage: &str, what: &str) -> Result<String> {
        let ready = lock(&self.ready);
        let all = |member: &str| ready[member].as_array().into_iter().flatten();
        let api = all("apis").find(|api| api["stage"] == stage);
        let place = api.or_else(|| all("domains").find(|domain| domain["key"] == stage));
        let address = place.and_then(|place| place[what].as_str());
        address
            .map(str::to_owned)
            .ok_or_else(|| format!("the app has no {what} of a stage {stage:?}"))
    }

    /// A member of the ready file.
    pub(crate) fn ready(&self, member: &str) -> String {
        lock(&self.ready)[member].as_str().unwrap_or_default().to_owned()
    }

    /// The template's parameters, as far as they are ours to give.
    pub(crate) fn parameters(&self) -> Result<Vec<String>> {
        let template = self.read_template()?;
        let events = self.events.folder().join("events").display().to_string();
        let known = [("Events", events), ("Backend", self.backend.url())];
        let wanted = |name: &str| template["Parameters"].get(name).is_some();
        let given = known.iter().filter(|(name, _)| wanted(name));
        Ok(given
            .flat_map(|(name, value)| ["--parameter".to_owned(), format!("{name}={value}")])
            .collect())
    }

    /// The app's template, read.
    pub(crate) fn read_template(&self) -> Result<Value> {
        let file = self.template();
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    fn data(&self) -> PathBuf {
        self.apps.path().join("data")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(lock(&self.running).take());
        std::fs::remove_dir_all(self.events.folder()).ok();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A case that panicked has left nothing half done here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
