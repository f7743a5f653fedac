//! libFuzzer's way into `fuzz/checks/mp4_init.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::mp4_init::check(data));
