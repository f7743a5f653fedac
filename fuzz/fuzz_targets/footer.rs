//! libFuzzer's way into `fuzz/checks/footer.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::footer::check(data));
