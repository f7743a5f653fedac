//! libFuzzer's way into `fuzz/checks/tree.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::tree::check(data));
