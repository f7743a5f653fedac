//! libFuzzer's way into `fuzz/checks/partition.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::partition::check(data));
