//! libFuzzer's way into `fuzz/checks/request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::request::check(data));
