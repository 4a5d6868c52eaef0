//! Files that go to a host: asked for, sent, proven.
