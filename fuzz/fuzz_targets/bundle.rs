//! libFuzzer's way into `fuzz/checks/bundle.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::bundle::check(data));
