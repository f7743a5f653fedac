//! libFuzzer's way into `fuzz/checks/names.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::names::check(data));
