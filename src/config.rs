//! groups.yaml, dblists and host ranges, read into a [`policy::Policy`] with all mistakes reported at once.

pub mod policy;
