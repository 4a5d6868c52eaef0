//! Books and journal to text and JSON. Pure.
