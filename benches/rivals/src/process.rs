//! A keeper's process, seen from the one that measures: started, told what to do, and stopped
//! while others have their turn.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use clipkeep::workload::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::Rival;
use crate::child::{Job, TAB};

/// One keeper's process. It runs only while it is asked something, and ends with this.
pub struct Process {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub name: String,
    pub settings: String,
}

impl Process {
    /// Starts it in the empty folder `dir`; it has opened its keeper on return.
    pub fn start(rival: &Rival, dir: &Path, job: &Job) -> Outcome<Self> {
        std::fs::create_dir_all(dir)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(job.arguments(rival, dir)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("a process without an input")?;
        let answers = child.stdout.take().ok_or("a process without an output")?;
        let (name, settings) = (rival.name.to_owned(), String::new());
        let mut process = Self { child, orders, answers: BufReader::new(answers), name, settings };
        let first = process.line()?;
        let (name, settings) = first.split_once(TAB).ok_or("a keeper without a name")?;
        (process.name, process.settings) = (name.to_owned(), settings.to_owned());
        process.signal(Signal::STOP)?;
        Ok(process)
    }

    /// Lets it run until it has answered `order`. Afterwards the disk has nothing left to do for
    /// it, so that whoever is next begins on an idle one.
    pub fn ask(&mut self, order: &str) -> Outcome<Vec<u64>> {
        self.signal(Signal::CONT)?;
        writeln!(self.orders, "{order}")?;
        self.orders.flush()?;
        let line = self.line()?;
        self.signal(Signal::STOP)?;
        rustix::fs::sync();
        let numbers = line.split_whitespace().map(|word| word.parse());
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("{}: failed, see above", self.name).into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn signal(&self, signal: Signal) -> Outcome<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or("a process without a number")?, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
