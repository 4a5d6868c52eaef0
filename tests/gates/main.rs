//! Gates against real servers, which are installed by `scripts/lib.sh`.

mod victoria;
