//! The books: one contract, kept in SQLite.
