//! libFuzzer's way into `fuzz/checks/segment_scan.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::segment_scan::check(data));
