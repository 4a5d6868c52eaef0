//! Frames and messages between controller and agent.
//!
//! Invariant: no length that came over the wire is trusted: it is compared with a limit before one byte is allocated,
//! and malformed input is an error, never a panic. Deliberately absent: sockets, processes, deadlines; what the bytes
//! travel through is the business of `fleet` (there) and `agent` (here).
//!
//! A conversation, controller on the left:
//!
//! ```text
//! Hello, first request      ->
//!                           <-  preface (magic and nonce), Hello, Reply
//! Peek                      ->
//!                           <-  Reply(Observed | Refused)
//! Command (all but prepare) ->
//!                           <-  Reply
//! Command(Prepare), one blob with the manifest's bytes, packed or not ->
//!                           <-  Need (digests of files that the host lacks), or Reply(Refused), which ends it
//! one blob a needed digest, in that order ->
//!                           <-  Reply
//! ```
//!
//! A controller that offers bundles in its Hello gets a Need that says what the host holds, and answers it so, until a
//! Reply comes:
//!
//! ```text
//!                           <-  Need (digests, held)
//! Send(Bundle), one blob a group; or Send(Files), one blob a needed digest ->
//!                           <-  Need (what a bundle did not bring, held: nothing), or Reply
//! ```
//!
//! An agent whose Need says that it fetches may be told where else content is, once for each such place:
//!
//! ```text
//!                           <-  Need (digests, held, fetches)
//! Send(Fetch)               ->
//!                           <-  Fetched, then Need (what did not come), or Reply
//! ```
//!
//! The same agents serve what they hold to their datacenter, until the session ends:
//!
//! ```text
//! Serve                     ->
//!                           <-  Served
//! Shelve, one blob an object ->
//!                           <-  Served
//! ```
//!
//! To a controller that offers it in its Hello the agent's replies come packed ([`said`]). So do requests, the first one before the
//! agent was heard: what answers to a digest is of the very build that asks.
//!
//! An agent that cannot go on while blobs still arrive sends its `Reply` at once and then ends or skips them: the
//! controller stops sending when it sees the reply, and opens another channel for its next request.

pub mod async_io;
pub mod fetch;
pub mod frame;
pub mod message;
pub mod noise;
#[cfg(test)]
pub(crate) mod pieces;
pub mod said;
pub mod serve;
pub mod sync_io;
