//! The workflow over a store on a simulated disk.
#![expect(clippy::similar_names, reason = "a desk and a disk are the words of the trade")]

mod bundle;
mod doubt;
mod evidence;
mod forge;
mod life;
mod looks;
mod oracle;
mod personal;
mod races;
mod retention;
mod screening;
mod street;
mod tokens;
mod words;
