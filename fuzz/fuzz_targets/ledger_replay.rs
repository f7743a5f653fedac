//! libFuzzer's way into `fuzz/checks/ledger_replay.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clipkeep::fuzzing::ledger_replay::check(data));
