//! The rules of the sources that a machine can check, and for each a test that it finds what it is
//! for.
//!
//! A rule is a function from a file to what is wrong in it, `path:line: message`.

mod barriers;
mod code;
mod named;
mod public;
mod shape;
mod source;

use source::Source;

type Rule = fn(&Source) -> Vec<String>;

/// Checks every file.
fn check(rule: Rule) {
    check_those(rule, |_| true);
}

/// Checks every file that is not compiled for tests alone.
fn check_code(rule: Rule) {
    let tests = source::test_only(&source::sources());
    check_those(rule, |path| !tests.iter().any(|test| path.starts_with(test.as_str())));
}

fn check_those(rule: Rule, is_meant: impl Fn(&str) -> bool) {
    let sources = source::sources();
    assert!(sources.len() > 60, "only {} files found", sources.len());
    let meant = sources.iter().filter(|source| is_meant(&source.path));
    let faults: Vec<String> = meant.flat_map(rule).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// The lines at which `rule` finds a fault in `text`, as the file `path`.
fn found(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    let faults = rule(&Source { path: path.to_owned(), text: text.to_owned() });
    let line = |fault: &String| {
        let (at, rest) =
            fault.strip_prefix(path).and_then(|rest| rest.split_at_checked(1)).unwrap();
        assert_eq!(at, ":", "{fault}");
        rest.split(':').next().unwrap().parse().unwrap()
    };
    faults.iter().map(line).collect()
}

#[test]
fn modules_name_only_lower_layers() {
    check_code(code::layers);
}

#[test]
fn a_module_that_names_a_higher_layer_is_found() {
    let up = "use crate::types::Error;\nuse crate::store::Store;\n";
    assert_eq!(found(code::layers, "src/log/scan.rs", up), [2]);
    assert_eq!(found(code::layers, "src/types/id.rs", "crate::vfs::Vfs"), [1]);
    assert_eq!(found(code::layers, "src/media/mod.rs", "crate::types::X, crate::vfs::X"), [1]);
    assert_eq!(found(code::layers, "src/store/read.rs", "use crate::media::Export;"), [1]);
    assert_eq!(found(code::layers, "src/hold/set.rs", "use crate::Store;"), [1]);
    assert!(found(code::layers, "src/cli/get.rs", "use crate::{Store, media};").is_empty());
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::store::X;\n}\nuse crate::cli::X;\n";
    assert_eq!(found(code::layers, "src/log/scan.rs", tests), [5]);
}

#[test]
fn the_daemon_names_public_items_only() {
    let sources = source::sources();
    let tests = source::test_only(&sources);
    let hidden = public::Hidden::of(&sources);
    let code = sources
        .iter()
        .filter(|source| !tests.iter().any(|test| source.path.starts_with(test.as_str())));
    let faults: Vec<String> = code.flat_map(|source| hidden.named_in(source)).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_private_item_in_the_daemon_is_found() {
    let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let engine = "pub struct Error;\nimpl Error {\n    pub(crate) fn hidden(self) {}\n    \
                  pub(crate) const fn made() -> Self {}\n    pub fn made_of() {}\n}\n\
                  impl<T> From<T> for Clip {\n    pub(crate) const MIN: u8 = 1;\n}\n";
    let own = "fn own() {}\n";
    let sources = [file("src/types/error.rs", engine), file("src/daemon/serve.rs", own)];
    let hidden = public::Hidden::of(&sources);
    let text = "use crate::{Error, Store};\nuse crate::store::Store;\nerror.hidden();\n\
                Error::made();\nError::made_of();\nmap(Clip::MIN);\nuse crate::media::Export;\n\
                use super::super::store::Store;\nuse super::own;\nhidden();\n";
    let found = |path: &str| hidden.named_in(&file(path, text)).len();
    assert_eq!(found("src/daemon/serve.rs"), 5);
    assert_eq!(found("src/daemon/watch/window.rs"), 4, "two up is still the daemon");
    assert_eq!(found("src/cli/serve.rs"), 0);
}

#[test]
fn only_vfs_os_touches_the_file_system() {
    check_code(code::file_system_only_in_vfs_os);
}

#[test]
fn a_file_system_call_outside_vfs_os_is_found() {
    let rule: Rule = code::file_system_only_in_vfs_os;
    let text = "use std::fs;\n// std::fs\nlet x = unsafe { y };\nuse memmap2::Mmap;\n";
    assert_eq!(found(rule, "src/store/open.rs", text), [1, 3, 4]);
    assert!(found(rule, "src/vfs/os/map.rs", text).is_empty());
    assert!(found(rule, "src/store/open.rs", "let unsafe_looking = 1;").is_empty());
}

#[test]
fn only_types_clock_reads_a_clock() {
    check_code(code::clock_only_in_types_clock);
}

#[test]
fn a_clock_outside_types_clock_is_found() {
    let rule: Rule = code::clock_only_in_types_clock;
    let text = "let now = Instant::now();\nlet now = self.now();\nstd::thread::sleep(x);\n";
    assert_eq!(found(rule, "src/cli/record/mod.rs", text), [1, 3]);
    assert!(found(rule, "src/types/clock.rs", text).is_empty());
}

#[test]
fn the_engine_has_no_hash_order() {
    check_code(code::no_hash_order);
}

#[test]
fn a_hash_map_in_the_engine_is_found() {
    let text = "let map: HashMap<u8, u8> = x;\nlet set = HashSet::new();\n";
    assert_eq!(found(code::no_hash_order, "src/index/mod.rs", text), [1, 2]);
    assert!(found(code::no_hash_order, "src/cli/ls.rs", text).is_empty());
}

#[test]
fn only_the_gate_removes_bytes_of_clips() {
    check_code(code::bytes_removed_only_by_the_gate);
}

#[test]
fn a_punch_outside_the_gate_is_found() {
    let rule: Rule = code::bytes_removed_only_by_the_gate;
    assert_eq!(found(rule, "src/store/sweep.rs", "segment.file.punch(range)?;"), [1]);
    assert!(found(rule, "src/store/gate.rs", "segment.file.punch(range)?;").is_empty());
}

#[test]
fn requests_and_evidence_write_no_log_and_count_no_metric() {
    check_code(code::requests_write_no_log);
}

#[test]
fn a_log_line_of_a_request_is_found() {
    let rule: Rule = code::requests_write_no_log;
    let text = "tracing::info!(contact);\nlet traces = 1;\nprintln!(\"{contact}\");\n";
    assert_eq!(found(rule, "src/requests/desk.rs", text), [1, 3]);
    assert_eq!(found(rule, "src/evidence/key.rs", text), [1, 3]);
    assert!(found(rule, "src/daemon/serve.rs", text).is_empty());
}

#[test]
fn no_sync_is_without_a_name() {
    check_code(barriers::syncs_have_names);
}

#[test]
fn a_sync_without_a_name_is_found() {
    let rule: Rule = barriers::syncs_have_names;
    let text = "next.sync()?;\nself.vfs.sync_dir(dir)?;\nBarrier::X.sync(|| next.sync())?;\n";
    assert_eq!(found(rule, "src/log/seal.rs", text), [1, 2]);
    assert!(found(rule, "src/vfs/os/file.rs", text).is_empty());
    assert!(found(rule, "src/store/mod.rs", "self.inner.sync()\n").is_empty());
}

#[test]
fn no_sync_outside_the_engine_is_unseen() {
    check_code(barriers::system_syncs_are_seen);
}

#[test]
fn a_sync_that_nobody_sees_is_found() {
    let rule: Rule = barriers::system_syncs_are_seen;
    let text = "file.sync_all()?;\nfile.sync_data()?;\nlet sync = File::sync_all;\n";
    assert_eq!(found(rule, "src/daemon/serve.rs", text), [1, 2, 3]);
    assert_eq!(found(rule, "src/store/open.rs", text), [1, 2, 3]);
    assert_eq!(found(rule, "src/cli/files.rs", text), [1, 2]);
    assert!(found(rule, "src/vfs/os/mod.rs", text).is_empty());
}

#[test]
fn barriers_stand_in_their_places() {
    let faults = barriers::barriers_stand_in_their_places(&source::sources());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_barrier_that_is_not_in_its_place_is_found() {
    let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let faults = |code: &str| {
        let rows = file("src/barrier.rs", "    SealSync: Sync in \"src/log/seal.rs\",\n");
        barriers::barriers_stand_in_their_places(&[rows, file("src/log/seal.rs", code)]).len()
    };
    assert_eq!(faults("Barrier::SealSync.sync(|| file.sync())\n"), 0);
    assert_eq!(faults("Barrier::SealSyncs.sync(|| file.sync())\n"), 1);
    assert_eq!(faults("Barrier::SealSync.stands();\nBarrier::SealSync.stands();\n"), 1);
    assert_eq!(barriers::barriers_stand_in_their_places(&[]).len(), 1);
}

#[test]
fn modules_are_named_for_what_they_are() {
    check(shape::no_drawer_modules);
}

#[test]
fn a_drawer_module_is_found() {
    for path in ["src/util.rs", "src/store/helpers.rs", "tests/it/common/mod.rs"] {
        assert_eq!(found(shape::no_drawer_modules, path, ""), [1], "{path}");
    }
    assert!(found(shape::no_drawer_modules, "src/utility.rs", "").is_empty());
}

#[test]
fn lines_fit_the_page() {
    check(shape::lines_are_short);
}

#[test]
fn a_long_line_is_found() {
    let long = "x".repeat(101);
    assert_eq!(found(shape::lines_are_short, "src/lib.rs", &format!("ok\n{long}\n")), [2]);
    assert_eq!(found(shape::lines_are_short, "README.md", &format!("{long}\n| {long}\n")), [1]);
    assert!(found(shape::lines_are_short, "src/lib.rs", &"\u{e9}".repeat(100)).is_empty());
}

#[test]
fn files_fit_a_head() {
    check(shape::files_are_short);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(found(shape::files_are_short, "src/lib.rs", &"x\n".repeat(601)), [601]);
    assert!(found(shape::files_are_short, "src/lib.rs", &"x\n".repeat(600)).is_empty());
}

#[test]
fn nothing_is_left_to_do() {
    check(shape::nothing_is_left_to_do);
}

#[test]
fn a_note_to_self_is_found() {
    let text = format!("fine\n// {}: later\n", concat!("TO", "DO"));
    assert_eq!(found(shape::nothing_is_left_to_do, "src/lib.rs", &text), [2]);
}

#[test]
fn every_file_says_what_it_is() {
    check(shape::file_says_what_it_is);
}

#[test]
fn a_file_without_a_first_word_is_found() {
    assert_eq!(found(shape::file_says_what_it_is, "src/lib.rs", "use std::fs;\n"), [1]);
}

#[test]
fn nothing_names_a_place_on_one_machine() {
    check(shape::no_machine_paths);
}

#[test]
fn a_place_on_one_machine_is_found() {
    let text = format!("fine\n{}ann/clips\n", concat!("/ho", "me/"));
    assert_eq!(found(shape::no_machine_paths, "README.md", &text), [2]);
    assert!(found(shape::no_machine_paths, "README.md", "clipkeep ls --dir /srv/clips").is_empty());
}

#[test]
fn imports_are_grouped() {
    check(shape::imports_are_grouped);
}

#[test]
fn imports_out_of_order_are_found() {
    let rule: Rule = shape::imports_are_grouped;
    let good = "mod own;\n\nuse std::fs;\n\nuse bytes::Bytes;\n\nuse crate::x;\nuse own::y;\n";
    assert!(found(rule, "src/lib.rs", good).is_empty());
    assert_eq!(found(rule, "src/lib.rs", "use bytes::Bytes;\n\nuse std::fs;\n"), [3]);
    assert_eq!(found(rule, "src/lib.rs", "use std::fs;\nuse crate::x;\n"), [2]);
}

#[test]
fn documents_name_files_that_exist() {
    check(shape::documents_name_files_that_exist);
}

#[test]
fn a_document_that_names_a_lost_file_is_found() {
    let rule: Rule = shape::documents_name_files_that_exist;
    let text = "`src/lib.rs` and `src/gone.rs`\n[x](docs/GONE.md) [y](README.md#use) `a/b.rs`\n";
    assert_eq!(found(rule, "README.md", text), [1, 2]);
    assert!(found(rule, "docs/X.md", "[x](FORMAT.md) `tests/run` `Cargo.toml`").is_empty());
}

#[test]
fn dependencies_say_why() {
    check(shape::dependencies_say_why);
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let text = "[package]\nname = \"x\"\n[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n";
    assert_eq!(found(shape::dependencies_say_why, "Cargo.toml", text), [6]);
}

fn unknown_tests(changelog: &str) -> usize {
    named::defects_name_their_tests(changelog, &source::sources()).len()
}

#[test]
fn defects_name_their_tests() {
    let changelog = std::fs::read_to_string(source::root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.matches("` |\n").count() > 30, "the table is not found");
    let faults = named::defects_name_their_tests(&changelog, &source::sources());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_defect_without_its_test_is_found() {
    assert_eq!(unknown_tests("| it broke | footage | `tidy::defects_name_their_tests` |"), 0);
    assert_eq!(unknown_tests("| it broke | footage | `tidy::nobody_wrote_this` |"), 1);
    assert_eq!(unknown_tests("| it broke | footage | the tests of the store |"), 1);
    assert_eq!(unknown_tests("| it broke | footage | `tidy::` |"), 1);
}

#[test]
fn rows_of_documents_name_their_tests() {
    let sources = source::sources();
    for path in ["README.md", "docs/EVIDENCE.md", "docs/REQUESTS.md", "docs/TESTING.md"] {
        let text = std::fs::read_to_string(source::root().join(path)).unwrap();
        assert!(text.contains(" test |") || text.contains(" tests |"), "{path} has no such table");
        let faults = named::rows_name_their_tests(path, &text, &sources);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[test]
fn a_row_without_its_test_is_found() {
    let sources = source::sources();
    let found = |row: &str| {
        let table = format!("| rule | test |\n|---|---|\n{row}\n\n| a | b |\n| c | d |\n");
        named::rows_name_their_tests("A.md", &table, &sources).len()
    };
    assert_eq!(found("| 1 | `rows_of_documents_name_their_tests`, `tidy::rows_of_` |"), 0);
    assert_eq!(found("| 1 | `tidy::`, how often |"), 0);
    assert_eq!(found("| 1 | `rows_of_documents_that_nobody_wrote` |"), 1);
    assert_eq!(found("| 1 | `of_no_such_module::` |"), 1);
    assert_eq!(found("| 1 | somewhere |"), 1);
}
