//! Steps that meddle with the program: its template, its files, its life.

use rustix::process::Signal as Signals;
use serde_json::Value;
use stillwire_testkit::Stillwire;

use super::Play;
use crate::Result;
use crate::steps::{AfterTheEnd, Edit, Next, Signal, Validate};

impl Play<'_> {
    pub(super) fn validate(&mut self, step: &Validate) -> Result<()> {
        let mut template = self.world.read_template()?;
        for (path, value) in &step.validate {
            let mut names = path.split('.');
            let resource = names.next().unwrap_or_default();
            let mut place = &mut template["Resources"][resource]["Properties"];
            if place.is_null() {
                return Err(format!("the app has no resource {resource:?}"));
            }
            for name in names {
                place = &mut place[name];
            }
            *place = value.clone();
        }
        let file = self.world.file(&format!("changed {}.json", self.mark));
        std::fs::write(&file, template.to_string()).map_err(|error| error.to_string())?;
        let mut command = Stillwire::command(&self.world.executable().to_string_lossy());
        let output = command.arg("check").arg(&file).args(self.world.parameters()?).output();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() != step.accepted {
            let what = if step.accepted { "accepted" } else { "refused" };
            return Err(format!(
                "expected {} to be {what}, got {text}",
                Value::from(step.validate.clone())
            ));
        }
        match step.says.iter().find(|piece| !text.contains(*piece)) {
            Some(piece) => Err(format!("expected {piece:?}, got {text}")),
            None => Ok(()),
        }
    }

    pub(super) fn edit(&self, step: &Edit) -> Result<()> {
        let file = self.world.file(&step.edit);
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let edited = text.replace(&step.from, &step.to);
        if edited == text {
            return Err(format!("{} has no {:?}", file.display(), step.from));
        }
        std::fs::write(&file, edited).map_err(|error| error.to_string())
    }

    pub(super) fn signal(&self, step: &Signal) -> Result<()> {
        let signal = match step.signal.as_str() {
            "TERM" => Signals::TERM,
            "INT" => Signals::INT,
            other => return Err(format!("{other:?} is not sent")),
        };
        self.world.program(|stillwire| stillwire.signal(signal))
    }

    pub(super) fn after_the_end(&self, step: &AfterTheEnd) -> Result<()> {
        self.world.end()?;
        match step.after_the_end {
            Next::Nothing => Ok(()),
            Next::Start => self.world.run(),
        }
    }
}
