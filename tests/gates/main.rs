//! Gates against the real things that they ask. What is needed is installed by `scripts/test`.

mod common;
mod graphite;
mod nagios;
mod prometheus;
mod search;
mod suggest;
mod victoria;
mod web;
