#![cfg(test)]
//! Tests of the finished crate through its public items, in one binary.

mod crash;
mod faults;
mod plug;
mod scenarios;
mod world;
