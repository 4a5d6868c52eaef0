//! The host's side: looks, receives, prepares, switches and confirms on a small file system boundary.
