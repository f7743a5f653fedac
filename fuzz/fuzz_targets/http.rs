//! libFuzzer's way into `fuzz/checks/http.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::http::check(data));
