//! libFuzzer's way into `fuzz/checks/segment_ends.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::segment_ends::check(data));
