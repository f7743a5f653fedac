//! The workflow over a store on a simulated disk.

mod life;
mod oracle;
mod personal;
mod races;
mod street;
