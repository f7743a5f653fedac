//! libFuzzer's way into `fuzz/checks/note.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::note::check(data));
