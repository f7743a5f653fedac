//! libFuzzer's way into `fuzz/checks/slot.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::slot::check(data));
