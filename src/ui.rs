//! The only door to the terminal.
