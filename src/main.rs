//! The `clipkeep` binary.
fn main() {}
