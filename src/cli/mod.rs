//! The command line: parses what a person typed, calls the public store, and prints the outcome.
//!
//! Owns words for people and shapes for scripts, and no rule of its own: what may be deleted, held
//! or read is the store's to say. Nothing here panics on a closed pipe, and nothing is printed
//! except through `output::Out`.

#[cfg(feature = "requests")]
mod agency;
mod args;
#[cfg(feature = "requests")]
mod audit;
mod bench;
mod camera;
mod clock;
mod completions;
mod delete;
mod demo;
#[cfg(feature = "requests")]
mod desk_args;
mod exit;
mod files;
mod get;
mod hold;
#[cfg(feature = "requests")]
mod household;
mod import;
mod init;
mod inspect;
mod keep;
mod ls;
mod man;
mod output;
mod plan;
mod policy;
mod progress;
#[cfg(feature = "requests")]
mod proof;
mod record;
mod repair;
#[cfg(feature = "requests")]
mod request;
#[cfg(feature = "daemon")]
mod serve;
mod show;
mod size;
mod stats;
mod store_args;
mod sweep;
#[cfg(feature = "daemon")]
mod token;
mod verify;
mod view;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::exit::Exit;
use self::output::Out;

/// Runs the command that the process's arguments name and answers with its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(run_with(arguments).code())
}

fn run_with(arguments: Vec<OsString>) -> Exit {
    // Known before the arguments are, so that a script gets its errors in one shape.
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return exit::refuse_arguments(&error, wants_json),
    };
    let mut out = Out::new(wants_json);
    let outcome = dispatch(cli.command, &mut out).and_then(|exit| out.flush().map(|()| exit));
    outcome.unwrap_or_else(|error| exit::report(&error, wants_json))
}

fn dispatch(command: Command, out: &mut Out) -> anyhow::Result<Exit> {
    match command {
        Command::Bench(args) => bench::run(&args, out),
        Command::Demo(args) => demo::run(&args, out),
        Command::Init(args) => init::run(&args, out),
        Command::Import(args) => import::run(&args, out),
        Command::Record(args) => record::run(&args, out),
        #[cfg(feature = "daemon")]
        Command::Serve(args) => serve::run(&args, out),
        #[cfg(feature = "daemon")]
        Command::Token(args) => token::run(&args, out),
        Command::Ls(args) => ls::run(&args, out),
        Command::Show(args) => show::run(&args, out),
        Command::Get(args) => get::run(&args, out),
        #[cfg(feature = "requests")]
        Command::Agency(args) => agency::run(&args, out),
        #[cfg(feature = "requests")]
        Command::Household(args) => household::run(args, out),
        #[cfg(feature = "requests")]
        Command::Request(args) => request::run(args, out),
        #[cfg(feature = "requests")]
        Command::Proof(args) => proof::run(args, out),
        Command::Keep(args) => keep::run(args, out),
        Command::Hold(args) => hold::run(args, out),
        Command::Plan(args) => plan::run(&args, out),
        Command::Sweep(args) => sweep::run(&args, out),
        Command::Delete(args) => delete::run(&args, out),
        Command::Policy(args) => policy::run(&args, out),
        Command::Camera(args) => camera::run(&args, out),
        Command::Clock(args) => clock::run(&args, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Repair(args) => repair::run(&args, out),
        Command::Stats(args) => stats::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Man(args) => man::run(&args, out),
    }
}
