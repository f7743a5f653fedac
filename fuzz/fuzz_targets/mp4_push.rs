//! libFuzzer's way into `fuzz/checks/mp4_push.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::mp4_push::check(data));
