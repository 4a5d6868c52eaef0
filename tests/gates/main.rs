//! Gates against the real things that they ask. What is needed is installed by `scripts/test`.

mod common;
mod nagios;
mod search;
mod victoria;
