//! A process of its own for what must not happen to the test's: limits, signals, mounts.
//!
//! The test binary runs itself again and plays one role there. A program in front of it, such as
//! `prlimit` or `unshare`, sets the stage; it executes the binary in its own process, so a signal
//! to the child reaches the role.

use std::process::{Command, Stdio};

use super::{each_step, full_disk, kill, limits};

/// The role to play and what it is told, parted by a colon.
const ROLE: &str = "CLIPKEEP_TEST_ROLE";

/// What is done in the other process.
type Role = fn(&str);

/// All roles by name. Each is told a path, or words of its own.
const ROLES: [(&str, Role); 13] = [
    ("recorder", kill::recorder),
    ("fill at each step", each_step::play),
    ("go on when full", full_disk::go_on),
    ("wait for room", full_disk::wait_for_room),
    ("give back", full_disk::give_back),
    ("read when full", full_disk::read),
    ("take what is not counted", full_disk::take_what_is_not_counted),
    ("append within a file size", limits::append_within_a_file_size),
    ("use few descriptors", limits::use_few_descriptors),
    ("use little memory", limits::use_little_memory),
    ("read a read-only disk", limits::read_a_read_only_disk),
    ("open what is closed", limits::open_what_is_closed),
    ("open what may be read", limits::open_what_may_be_read),
];

/// A command that plays `role`, with `task` for it, behind the program `wrapper`.
pub(super) fn command(wrapper: &[&str], role: &str, task: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().expect("the path of the test binary is text");
    let arguments = ["--exact", "kernel::stage::child_process", "--nocapture", "--test-threads=1"];
    let mut words = wrapper.iter().copied().chain([own]).chain(arguments);
    let mut command = Command::new(words.next().expect("there is a program"));
    command.args(words).env(ROLE, format!("{role}:{task}")).stdin(Stdio::null());
    command
}

/// Plays a role to its end and asserts that it ended well. Answers what it said.
#[track_caller]
pub(super) fn play(wrapper: &[&str], role: &str, task: &str) -> String {
    let output = command(wrapper, role, task).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role}: {}\n{said}", output.status);
    said.into_owned()
}

/// Not a test of its own: where the other process begins. Without a role it does nothing.
#[test]
fn child_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (role, task) = role.split_once(':').unwrap();
    let (_, play) = ROLES.iter().find(|(name, _)| *name == role).expect("a role by this name");
    play(task);
}
