//! libFuzzer's way into `fuzz/checks/record.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::record::check(data));
