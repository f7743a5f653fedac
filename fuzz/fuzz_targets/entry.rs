//! libFuzzer's way into `fuzz/checks/entry.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::entry::check(data));
