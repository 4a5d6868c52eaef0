//! The controller's side of a host: transports, sessions, deadlines, fault classes.
