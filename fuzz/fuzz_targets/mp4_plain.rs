//! libFuzzer's way into `fuzz/checks/mp4_plain.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::mp4_plain::check(data));
