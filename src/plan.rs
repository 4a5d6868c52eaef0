//! Intent, view and books to a plan, and the lint that checks every plan again. Pure.
