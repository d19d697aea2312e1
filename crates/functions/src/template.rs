//! Template processes: what a function's environments have in common is loaded once, and each is forked from that.
//!
//! A template holds an interpreter with its libraries, and none of the function's own code, unless the function asks
//! for that (`SnapStart`). Where it cannot be forked soundly, environments are processes of their own, as without it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use crate::code::{Forks, Prepared};
use crate::output::{Allowance, Output, Verdict};
use crate::platform_log::Journal;
use crate::pool::Pool;
use crate::process_env::{self, Place};
use crate::supervisor::{Process, Role, Spawn};

/// How long a template may load.
///
/// Choice: Lambda's limit for the init phase, which this is a part of.
const READY_DEADLINE: Duration = stillwire_model::limits::FUNCTION_INIT_TIMEOUT;

/// A template that can fork. Dropping it ends its process; what was forked stays.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) id: u64,
    /// Its variables.
    env: BTreeMap<String, String>,
    alive: Arc<AtomicBool>,
    _stop: oneshot::Sender<()>,
}

/// The template of a function.
#[derive(Debug, Default)]
pub(crate) struct TemplateSlot(Mutex<Option<Tried>>);

/// What came of starting a template.
#[derive(Debug)]
struct Tried {
    prepared: Arc<Prepared>,
    /// `None` where it cannot be forked.
    template: Option<Arc<Template>>,
}

impl TemplateSlot {
    /// The template for a preparation, started where that was not tried yet; `None` where there is none.
    ///
    /// # Cancel safety
    /// Cancel safe: a start that nobody waits for any more is begun anew by the next who asks.
    pub(crate) async fn get(&self, pool: &Pool, prepared: &Arc<Prepared>) -> Option<Arc<Template>> {
        if prepared.forks == Forks::Never {
            return None;
        }
        let mut slot = self.0.lock().await;
        if let Some(tried) = slot.as_ref().filter(|tried| tried.is_for(prepared)) {
            let template = tried.template.clone();
            return template.filter(|template| template.alive.load(Ordering::Relaxed));
        }
        *slot = None;
        let template = match start(pool, prepared).await {
            Ok(template) => Some(Arc::new(template)),
            Err(problem) => {
                tell(pool, &problem);
                None
            }
        };
        *slot = Some(Tried { prepared: Arc::clone(prepared), template: template.clone() });
        template
    }
}

impl Tried {
    fn is_for(&self, prepared: &Arc<Prepared>) -> bool {
        match prepared.forks {
            Forks::FromLibraries => self.prepared == *prepared,
            Forks::FromCode | Forks::Never => Arc::ptr_eq(&self.prepared, prepared),
        }
    }
}

impl Template {
    /// What an environment with these variables changes of the template's, which has all of their names.
    pub(crate) fn changes(&self, mut env: BTreeMap<String, String>) -> BTreeMap<String, String> {
        env.retain(|name, value| self.env.get(name) != Some(value));
        env
    }

    /// It did not fork when it should have: nobody asks it again.
    pub(crate) fn give_up(&self, pool: &Pool, problem: &io::Error) {
        self.alive.store(false, Ordering::Relaxed);
        tell(pool, &problem.to_string());
    }
}

fn tell(pool: &Pool, problem: &str) {
    pool.journal().notice(format!("its environments are not forked from a template: {problem}"));
}

async fn start(pool: &Pool, prepared: &Prepared) -> Result<Template, String> {
    let cannot = |error: io::Error| format!("its template cannot be started: {error}");
    let processes = pool.processes();
    let id = processes.name();
    let tmp = tempfile::Builder::new().prefix("template-").tempdir_in(pool.work_dir());
    let tmp = tmp.map_err(cannot)?;
    let place = Place {
        id,
        log_stream: "template",
        task_root: &prepared.task_root,
        runtime: &prepared.env,
        tmp: tmp.path(),
    };
    let env = process_env::variables(pool.function(), pool.variables(), &place);
    let spawn = Spawn {
        id,
        program: prepared.program.clone(),
        args: prepared.args.clone(),
        env: Some(env.clone()),
        cwd: prepared.task_root.clone(),
        role: Role::Template,
        confinement: None,
    };
    let null = OwnedFd::from(std::fs::File::open("/dev/null").map_err(cannot)?);
    let (output, output_end) = Output::open().map_err(cannot)?;
    let (error, error_end) = Output::open().map_err(cannot)?;
    let started = processes.spawn_template(spawn, [null, output_end, error_end]).await;
    let (process, ready) = started.map_err(cannot)?;
    let alive = Arc::new(AtomicBool::new(true));
    let (stop, stopped) = oneshot::channel();
    let watch = Watch { process, outputs: [output, error], alive: Arc::clone(&alive), _tmp: tmp };
    pool.spawn("template", watch.run(pool.journal().clone(), stopped));
    match tokio::time::timeout(READY_DEADLINE, ready).await {
        Ok(Ok(None)) => Ok(Template { id, env, alive, _stop: stop }),
        Ok(Ok(Some(problem))) => Err(problem),
        Ok(Err(_)) => Err("its template ended before it was ready".to_owned()),
        Err(_) => Err(format!("its template is not ready after {READY_DEADLINE:?}")),
    }
}

/// Looks after the process of a template.
struct Watch {
    process: Process,
    outputs: [Output; 2],
    alive: Arc<AtomicBool>,
    _tmp: TempDir,
}

impl Watch {
    /// Logs what it writes, until it ends or is not wanted any more.
    async fn run(mut self, journal: Journal, stopped: oneshot::Receiver<()>) {
        let mut allowance = Allowance::new(Instant::now());
        let mut take = |line: String| {
            if let Verdict::Pass | Verdict::PassAfter(_) =
                allowance.judge(line.len(), Instant::now())
            {
                journal.output(None, line);
            }
        };
        tokio::pin!(stopped);
        loop {
            let [output, error] = &mut self.outputs;
            tokio::select! {
                () = output.readable() => output.drain(&mut take),
                () = error.readable() => error.drain(&mut take),
                _ = &mut self.process.exited => break,
                _ = &mut stopped => break,
            }
        }
        self.alive.store(false, Ordering::Relaxed);
        // What it wrote last; dropping the process kills it.
        for output in &mut self.outputs {
            output.drain(&mut take);
            output.finish(&mut take);
        }
    }
}
