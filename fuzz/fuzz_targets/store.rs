//! libFuzzer's way into `fuzz/checks/store.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::store::check(data));
