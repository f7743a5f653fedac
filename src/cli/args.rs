//! The list of commands. Each command's own flags are beside the code that reads them.

use clap::{Parser, Subcommand};

#[cfg(feature = "requests")]
use super::{agency, household, proof, request};
use super::{
    bench, camera, clock, completions, delete, demo, exit, get, hold, import, init, inspect, keep,
    ls, man, plan, policy, record, repair, show, stats, sweep, verify,
};
#[cfg(feature = "daemon")]
use super::{serve, token};

/// Keeps camera clips for a promised time, deletes them on time, and never deletes what a hold
/// protects.
#[derive(Debug, Parser)]
#[command(
    name = "clipkeep",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "See it work, without a camera:  clipkeep demo",
    after_long_help = exit::HELP,
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What clipkeep can do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Import(import::Args),
    Record(record::Args),
    #[cfg(feature = "daemon")]
    Serve(serve::Args),
    #[cfg(feature = "daemon")]
    Token(token::Args),
    Ls(ls::Args),
    Show(show::Args),
    Get(get::Args),
    #[cfg(feature = "requests")]
    Agency(agency::Args),
    #[cfg(feature = "requests")]
    Household(household::Args),
    #[cfg(feature = "requests")]
    Request(request::Args),
    #[cfg(feature = "requests")]
    Proof(proof::Args),
    Keep(keep::Args),
    Hold(hold::Args),
    Plan(plan::Args),
    Sweep(sweep::Args),
    Delete(delete::Args),
    Policy(policy::Args),
    Camera(camera::Args),
    Clock(clock::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    Stats(stats::Args),
    Inspect(inspect::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_hold_together() {
        Cli::command().debug_assert();
    }

    /// Each line of an `Examples:` block that is a call of clipkeep.
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = help.replace("\\\n", "");
        let calls = help.lines().filter_map(|line| {
            let at = line.find("clipkeep ")?;
            line.starts_with("  ").then(|| line[at..].to_owned())
        });
        found.extend(calls);
        for inner in command.get_subcommands() {
            examples(inner, found);
        }
    }

    /// What a file of a key has, where an example lets the shell read one.
    #[cfg(feature = "requests")]
    fn key() -> String {
        let key = crate::evidence::SigningKey::new("street", &[7; 32]).unwrap();
        key.verifying_key().to_string()
    }

    /// Splits as a shell does, as far as the examples go: spaces, quotes around them, and the
    /// content of a file of a key.
    fn words(line: &str) -> Vec<String> {
        #[cfg(feature = "requests")]
        let line = &line.replace("$(cat street.key)", &key());
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '"' | '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        let stop = words.iter().position(|w| ["|", ">", "#", "&&", "<"].contains(&w.as_str()));
        words.truncate(stop.unwrap_or(words.len()));
        words
    }

    #[test]
    fn examples_in_the_help_are_accepted() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(found.len() >= 20, "only {} examples", found.len());
        for line in found {
            assert!(Cli::try_parse_from(words(&line)).is_ok(), "{line}");
        }
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let mut found = Vec::new();
            examples(command, &mut found);
            assert!(!found.is_empty() || command.is_hide_set(), "{}", command.get_name());
        }
    }
}
